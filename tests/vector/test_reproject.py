"""Polygons in another CRS: a coverage still, at the right place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings

from geoseg.errors import OptionError, OutputError
from geoseg.options import Outlines
from geoseg.vector.polygons import VectorSummary, write_polygons
from geoseg.vector.reproject import Reprojection
from tests.vector.maps import LEGEND, blobs, grid_of, strips_of
from tests.vector.test_polygons import read
from tests.vector.test_trace_join import maps

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import PixelGrid


def write(
    classes: NDArray[np.uint8], target: Path, grid: PixelGrid | None = None, **options: Any
) -> VectorSummary:
    return write_polygons(
        strips_of(classes, rows=32),
        grid=grid or grid_of(classes.shape),
        legend=LEGEND,
        targets=[target],
        temp_dir=target.parent,
        outlines=Outlines(**options),
    )


@pytest.mark.parametrize("ending", [".gpkg", ".parquet", ".geojson"])
@pytest.mark.parametrize("epsg", [4326, 3857, 3035])
def test_every_vertex_is_where_it_was(ending: str, epsg: int, tmp_path: Path) -> None:
    classes = blobs((50, 40))
    here, there = tmp_path / "here.parquet", tmp_path / f"there{ending}"
    write(classes, here)
    write(classes, there, crs=f"EPSG:{epsg}")
    before, after = read(here), read(there)
    expected_crs = 4326 if ending == ".geojson" else epsg
    assert after.crs == pyproj.CRS.from_epsg(expected_crs)
    moved = before.to_crs(expected_crs)
    size = 1e-4 if expected_crs == 4326 else 10
    for one, other in zip(moved.geometry, after.geometry, strict=True):
        assert one.hausdorff_distance(other) < 1e-3 * size
    assert after.geometry.exterior.is_ccw.all()
    np.testing.assert_allclose(before.area_m2, after.area_m2)


@pytest.mark.parametrize("options", [{}, {"smooth": True}, {"simplify_px": 2.0}])
def test_a_coverage_stays_one(options: dict[str, Any], tmp_path: Path) -> None:
    classes = blobs((300, 280), seed=3)
    classes[100:102, 10:270] = 3  # long thin things that curves would cut
    classes[:, 140] = 4
    grid = grid_of(classes.shape, transform=Affine(500, 0, 350_000, 0, -500, 7_800_000))
    target = tmp_path / "map.parquet"
    write(classes, target, grid, crs="EPSG:4326", **options)
    shapes = read(target).geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)


@given(maps())
@settings(deadline=None, max_examples=15)
def test_any_map_stays_a_coverage(tmp_path: Path, classes: NDArray[np.uint8]) -> None:
    classes = np.where(classes == 254, 3, classes).astype(np.uint8)
    target = tmp_path / "map.parquet"
    write(classes, target, crs="EPSG:4326")
    shapes = read(target).geometry.to_numpy()
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)


def test_long_edges_follow_the_curve(tmp_path: Path) -> None:
    """A straight line of 1000 km in one CRS is none in the other."""
    classes = np.zeros((4, 2000), dtype=np.uint8)
    classes[2:] = 1
    grid = grid_of(classes.shape, transform=Affine(500, 0, 0, 0, -500, 7_000_000))
    target = tmp_path / "map.parquet"
    write(classes, target, grid, crs="EPSG:4326")
    shape = read(target).geometry[0]
    back = pyproj.Transformer.from_crs(4326, 32633, always_xy=True)
    x, y = back.transform(*shapely.get_coordinates(shapely.segmentize(shape, 0.01)).T)
    rows = (7_000_000 - y) / 500
    assert np.abs(rows - np.round(rows)).max() < 0.1
    assert x.min() == pytest.approx(0, abs=1)


def test_a_mirrored_grid_keeps_its_orientation(tmp_path: Path) -> None:
    classes = blobs((30, 30))
    grid = grid_of(classes.shape, transform=Affine(10, 0, 500_000, 0, 10, 5_400_000))
    target = tmp_path / "map.parquet"
    write(classes, target, grid, crs="EPSG:4326")
    assert read(target).geometry.exterior.is_ccw.all()


def test_an_unknown_crs_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="'EPSG:1'"):
        write(blobs((9, 9)), tmp_path / "map.gpkg", crs="EPSG:1")
    assert not list(tmp_path.iterdir())


def test_a_map_without_crs_cannot_move(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="has no CRS"):
        write(blobs((9, 9)), tmp_path / "map.gpkg", grid_of((9, 9), epsg=None), crs="EPSG:4326")


def test_the_cut_of_the_world_is_one_line(tmp_path: Path) -> None:
    grid = grid_of((9, 9), epsg=32601, transform=Affine(99_000, 0, 0, 0, -99_000, 7_000_000))
    with pytest.raises(OutputError, match="180th meridian"):
        write(np.ones((9, 9), np.uint8), tmp_path / "map.gpkg", grid, crs="EPSG:4326")
    assert not list(tmp_path.iterdir())


def test_no_place_is_one_line(tmp_path: Path) -> None:
    grid = grid_of((9, 9), epsg=4326, transform=Affine(1, 0, 0, 0, -1, 95))
    with pytest.raises(OutputError, match="no place"):
        write(np.ones((9, 9), np.uint8), tmp_path / "map.gpkg", grid, crs="EPSG:3857")
    assert not list(tmp_path.iterdir())


def test_edges_are_cut_the_same_from_both_sides() -> None:
    change = Reprojection(grid_of((500, 500)), "EPSG:4326")
    ring = np.array([[0, 0], [300, 7], [120, 450]], dtype=np.float64)
    begins = np.array([0, 3])
    one = change.with_long_edges_cut(begins, ring)[1]
    other = change.with_long_edges_cut(begins, ring[::-1].copy())[1]
    assert len(one) > 10
    assert set(map(tuple, one)) == set(map(tuple, other))
