"""MultiPolygons: regions that touch diagonally, and whole classes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from rasterio.features import rasterize, shapes

from geoseg.errors import OptionError, OutputError
from geoseg.options import Outlines
from geoseg.vector.dissolve import dissolved
from geoseg.vector.join import join
from geoseg.vector.polygons import VectorSummary, write_polygons
from tests.vector.maps import LEGEND, NODATA, blobs, grid_of, strips_of
from tests.vector.test_polygons import ENDINGS, FIELDS, read
from tests.vector.test_trace_join import CASES, case, cuts, maps, plain, polygon, traces

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def write(
    classes: NDArray[np.uint8], target: Path, *, rows: int = 1000, **options: Any
) -> VectorSummary:
    confidence = np.where(classes == NODATA, 255, classes * 40).astype(np.uint8)
    confidence[::7, ::5] = 3
    return write_polygons(
        strips_of(classes, confidence, rows=rows),
        grid=grid_of(classes.shape),
        legend=LEGEND,
        targets=[target],
        temp_dir=target.parent,
        outlines=Outlines(**options),
    )


def grouped(
    classes: NDArray[np.uint8],
    rows: list[int] | range = range(0),
    cols: list[int] | range = range(0),
) -> list[list[dict[str, Any]]]:
    """Return the 8-connected groups of regions, as plain values in their order."""
    height, width = classes.shape
    out = []
    for part in join(traces(classes, rows, cols), height=height, width=width, connectivity=8):
        spans = itertools.pairwise(part.groups)
        out.extend([plain(part, i) for i in range(*span)] for span in spans)
    return out


def check_groups(classes: NDArray[np.uint8]) -> None:
    groups = grouped(classes)
    geometry = [shapely.MultiPolygon([polygon(r) for r in group]) for group in groups]
    assert all(shape.is_valid for shape in geometry)
    assert all(len({region["class"] for region in group}) == 1 for group in groups)
    back = np.full(classes.shape, NODATA, dtype=np.uint8)
    if groups:
        rasterize([(s, g[0]["class"]) for s, g in zip(geometry, groups, strict=True)], out=back)
    np.testing.assert_array_equal(back, classes)
    theirs = shapes(classes, classes != NODATA, connectivity=8)
    expected = sorted((v, shapely.make_valid(shapely.geometry.shape(s)).area) for s, v in theirs)
    ours = [(float(g[0]["class"]), s.area) for s, g in zip(geometry, groups, strict=True)]
    assert sorted(ours) == expected


@pytest.mark.parametrize("name", CASES)
def test_cases_are_grouped(name: str) -> None:
    check_groups(case(name))


@given(maps())
@settings(deadline=None)
def test_any_map_is_grouped(classes: NDArray[np.uint8]) -> None:
    check_groups(classes)


@given(maps(), cuts, cuts)
@settings(deadline=None)
def test_groups_do_not_depend_on_blocks(
    classes: NDArray[np.uint8], rows: list[int], cols: list[int]
) -> None:
    height, width = classes.shape
    rows, cols = [r for r in rows if r < height], [c for c in cols if c < width]
    assert grouped(classes, rows, cols) == grouped(classes)


def test_a_checkerboard_is_two_features(tmp_path: Path) -> None:
    classes = (np.indices((12, 9)).sum(axis=0) % 2).astype(np.uint8)
    for connectivity, count in ((4, 108), (8, 2)):
        target = tmp_path / f"{connectivity}.gpkg"
        summary = write(classes, target, connectivity=connectivity)
        table = read(target)
        assert len(table) == summary.n_polygons == count
        assert table.is_valid.all()
        assert table.px_count.sum() == classes.size


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("options", [{"connectivity": 8}, {"dissolve": True}])
def test_every_format_gives_the_map_back(
    ending: str, options: dict[str, Any], tmp_path: Path
) -> None:
    classes = blobs((60, 50))
    target = tmp_path / f"map{ending}"
    summary = write(classes, target, **options)
    table = read(target)
    assert len(table) == summary.n_polygons
    assert [c for c in table.columns if c != "geometry"] == FIELDS
    assert table.is_valid.all()
    assert set(table.geom_type) == {"MultiPolygon"}
    grid = grid_of(classes.shape)
    back = rasterize(
        zip(table.to_crs(grid.crs_wkt).geometry, table.class_id, strict=True),
        classes.shape, fill=NODATA, transform=grid.transform, dtype="uint8",
    )  # fmt: skip
    np.testing.assert_array_equal(back, classes)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("options", [{}, {"smooth": True}, {"simplify_px": 2.0}])
def test_dissolved_rows_add_up(options: dict[str, Any], tmp_path: Path) -> None:
    classes = blobs((80, 60))
    parts, whole = tmp_path / "parts.parquet", tmp_path / "whole.parquet"
    first = write(classes, parts, rows=16, **options)
    second = write(classes, whole, rows=16, dissolve=True, connectivity=8, **options)
    pieces, table = read(parts), read(whole).set_index("class_id")
    assert list(table.index) == sorted(set(classes.ravel()) - {NODATA})
    assert first.px_count == second.px_count
    assert table.is_valid.all()
    assert shapely.coverage_is_valid(table.geometry.to_numpy())
    for class_id, mine in pieces.groupby("class_id"):
        row = table.loc[class_id]
        assert row.px_count == mine.px_count.sum()
        assert row.area_m2 == pytest.approx(mine.area_m2.sum())
        assert row.confidence_min == mine.confidence_min.min()
        mean = (mine.confidence_mean * mine.px_count).sum() / mine.px_count.sum()
        assert row.confidence_mean == pytest.approx(mean, abs=2e-4)
        assert shapely.union_all(mine.geometry).equals(row.geometry)


def test_dissolved_files_do_not_depend_on_strips(tmp_path: Path) -> None:
    classes = blobs((60, 50))
    for options in ({"dissolve": True}, {"connectivity": 8}):
        files = [tmp_path / f"{rows}.fgb" for rows in (7, 60)]
        for target in files:
            write(classes, target, rows=int(target.stem), **options)
        assert files[0].read_bytes() == files[1].read_bytes()


def test_geoparquet_and_geopackage_say_multipolygon(tmp_path: Path) -> None:
    target = tmp_path / "map.parquet"
    write(blobs((20, 20)), target, dissolve=True)
    assert set(geopandas.read_parquet(target).geom_type) == {"MultiPolygon"}


def test_all_nodata_dissolves_to_nothing(tmp_path: Path) -> None:
    classes = np.full((9, 9), NODATA, dtype=np.uint8)
    for options in ({"dissolve": True}, {"connectivity": 8}):
        assert write(classes, tmp_path / "map.gpkg", **options).n_polygons == 0


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    classes = blobs((9, 9))
    with pytest.raises(OutputError, match="nowhere"):
        write_polygons(
            strips_of(classes),
            grid=grid_of((9, 9)),
            legend=LEGEND,
            targets=[tmp_path / "map.gpkg"],
            outlines=Outlines(dissolve=True),
            temp_dir=tmp_path / "nowhere",
        )
    assert not list(tmp_path.iterdir())
    assert not list(dissolved([], tmp_path))


def test_other_connectivity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="4 or 8"):
        write(blobs((9, 9)), tmp_path / "map.gpkg", connectivity=6)
