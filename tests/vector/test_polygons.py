"""The front door: maps in, files out, checked through readers that are not ours."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
from affine import Affine
from rasterio.features import rasterize

from geoseg.errors import OptionError, OutputError, SceneError
from geoseg.vector.polygons import Strip, VectorSummary, write_polygons
from tests.vector.maps import LEGEND, NODATA, blobs, grid_of, strips_of
from tests.vector.test_trace_join import traces

if TYPE_CHECKING:
    from pathlib import Path

    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import PixelGrid

ENDINGS = (".gpkg", ".fgb", ".parquet", ".geojson")
FIELDS = ["class_id", "class_name", "area_m2", "confidence_mean", "px_count", "confidence_min"]


def write(
    classes: NDArray[np.uint8],
    target: Path,
    *,
    grid: PixelGrid | None = None,
    confidence: NDArray[np.uint8] | None = None,
    rows: int = 1000,
) -> VectorSummary:
    return write_polygons(
        strips_of(classes, confidence, rows=rows),
        grid=grid or grid_of(classes.shape),
        legend=LEGEND,
        targets=[target],
        temp_dir=target.parent,
    )


def read(path: Path) -> GeoDataFrame:
    if path.suffix == ".parquet":
        return geopandas.read_parquet(path)
    return geopandas.read_file(path, layer=None if path.suffix != ".gpkg" else "polygons")


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_the_map_back(ending: str, tmp_path: Path) -> None:
    classes = blobs((60, 50))
    grid = grid_of(classes.shape)
    target = tmp_path / f"map{ending}"
    summary = write(classes, target)
    table = read(target)
    assert len(table) == summary.n_polygons
    assert [c for c in table.columns if c != "geometry"] == FIELDS
    assert table.is_valid.all()
    back = rasterize(
        zip(table.to_crs(grid.crs_wkt).geometry, table.class_id, strict=True),
        classes.shape,
        fill=NODATA,
        transform=grid.transform,
        dtype="uint8",
    )
    np.testing.assert_array_equal(back, classes)
    assert [p.name for p in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_equal_maps_are_equal_files(ending: str, tmp_path: Path) -> None:
    classes = blobs((70, 40))
    confidence = np.where(classes == NODATA, 255, classes * 40).astype(np.uint8)
    files = [tmp_path / f"{rows}{ending}" for rows in (1, 9, 32, 70)]
    for target in files:
        write(classes, target, confidence=confidence, rows=int(target.stem))
    assert len({target.read_bytes() for target in files}) == 1


@pytest.mark.parametrize(
    "transform",
    [
        Affine(2, 0, 500_000, 0, 2, 5_400_000),
        Affine.translation(500_000, 5_400_000) @ Affine.rotation(30) @ Affine.scale(2, -3),
    ],
    ids=["south-up", "rotated"],
)
def test_any_transform_keeps_corners_and_orientation(transform: Affine, tmp_path: Path) -> None:
    classes = blobs((30, 30))
    target = tmp_path / "map.gpkg"
    write(classes, target, grid=grid_of(classes.shape, transform=transform))
    table = read(target)
    assert table.geometry.exterior.is_ccw.all()
    assert not any(ring.is_ccw for shape in table.geometry for ring in shape.interiors)
    pixel = np.concatenate([np.array(shape.exterior.coords) for shape in table.geometry])
    col_row = np.array(~transform @ (pixel[:, 0], pixel[:, 1]))
    np.testing.assert_allclose(col_row, np.round(col_row), atol=1e-6)
    back = rasterize(
        zip(table.geometry, table.class_id, strict=True),
        classes.shape,
        fill=NODATA,
        transform=transform,
        dtype="uint8",
    )
    np.testing.assert_array_equal(back, classes)


@pytest.mark.parametrize(
    ("epsg", "transform"),
    [
        (32633, Affine(500, 0, 300_000, 0, -500, 7_900_000)),
        (3857, Affine(1000, 0, 0, 0, -1000, 9_000_000)),
        (4326, Affine(0.01, 0, 10, 0, -0.01, 72)),
    ],
    ids=["utm", "web mercator", "geographic"],
)
def test_areas_are_geodesic(epsg: int, transform: Affine, tmp_path: Path) -> None:
    classes = blobs((40, 40))
    target = tmp_path / "map.parquet"
    summary = write(classes, target, grid=grid_of(classes.shape, epsg=epsg, transform=transform))
    table = read(target)
    geod = pyproj.Geod(ellps="WGS84")
    # Short segments, because a straight edge of the map is no geodesic.
    dense = table.segmentize(abs(transform.a) / 50).to_crs(4326)
    expected = [geod.geometry_area_perimeter(shape)[0] for shape in dense.geometry]
    np.testing.assert_allclose(table.area_m2, expected, rtol=2e-5)
    assert summary.area_m2 is not None
    assert sum(summary.area_m2.values()) == pytest.approx(sum(expected), rel=1e-5)


def test_attributes_are_counted_over_the_region(tmp_path: Path) -> None:
    classes = np.array([[1, 1, 2], [1, NODATA, 2], [2, 2, 2]], dtype=np.uint8)
    confidence = np.array([[250, 125, 255], [0, 255, 255], [255, 255, 255]], dtype=np.uint8)
    target = tmp_path / "map.parquet"
    summary = write(classes, target, confidence=confidence, rows=1)
    table = read(target).set_index("class_id")
    assert table.px_count.to_dict() == {1: 3, 2: 5}
    assert table.confidence_mean[1] == 0.5
    assert table.confidence_min[1] == 0
    assert np.isnan(table.confidence_mean[2])
    assert np.isnan(table.confidence_min[2])
    assert table.class_name[1] == "class 1 <&>"
    assert summary.px_count == {0: 0, 1: 3, 2: 5, 3: 0, 4: 0}


@pytest.mark.parametrize("ending", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_a_map_without_crs_has_no_area(ending: str, tmp_path: Path) -> None:
    classes = blobs((20, 20))
    target = tmp_path / f"map{ending}"
    grid = grid_of(classes.shape, epsg=None, transform=Affine.identity())
    summary = write(classes, target, grid=grid)
    assert summary.area_m2 is None
    table = read(target)
    assert table.area_m2.isna().all()
    assert tuple(table.total_bounds) == (2, 0, 20, 20)


@pytest.mark.parametrize("ending", ENDINGS)
def test_all_nodata_is_an_empty_layer_with_fields(ending: str, tmp_path: Path) -> None:
    target = tmp_path / f"map{ending}"
    summary = write(np.full((9, 9), NODATA, dtype=np.uint8), target, rows=4)
    assert summary.n_polygons == 0
    table = read(target)
    assert len(table) == 0
    if ending != ".geojson":  # which has no place for a schema
        assert [c for c in table.columns if c != "geometry"] == FIELDS


def test_geopackage_carries_style_domain_and_index(tmp_path: Path) -> None:
    target = tmp_path / "map.gpkg"
    write(blobs((20, 20)), target)
    with closing(sqlite3.connect(target)) as database:
        [version] = database.execute("PRAGMA user_version").fetchone()
        assert version == 10400
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        styles = database.execute("SELECT f_table_name, useAsDefault FROM layer_styles").fetchall()
        assert styles == [("polygons", 1)]
        names = database.execute(
            "SELECT value, description FROM gpkg_data_column_constraints ORDER BY value"
        ).fetchall()
        assert names == [(str(c.class_id), c.name) for c in LEGEND]
        extensions = {
            row[0] for row in database.execute("SELECT extension_name FROM gpkg_extensions")
        }
        assert extensions == {"gpkg_rtree_index", "gpkg_schema"}


def test_geoparquet_declares_version_and_covering(tmp_path: Path) -> None:
    target = tmp_path / "map.parquet"
    write(blobs((20, 20)), target)
    geo = json.loads(pq.read_metadata(target).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]
    part = geopandas.read_parquet(target, bbox=(500_000, 5_399_900, 500_060, 5_399_950))
    assert 0 < len(part) < len(geopandas.read_parquet(target))


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"unknown polygon format '\.kml'"):
        write(blobs((9, 9)), tmp_path / "map.kml")
    assert not list(tmp_path.iterdir())


def test_unknown_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="id 77"):
        write(np.full((9, 9), 77, dtype=np.uint8), tmp_path / "map.gpkg")
    assert not list(tmp_path.iterdir())


def test_missing_strips_are_refused(tmp_path: Path) -> None:
    strips = list(strips_of(blobs((9, 9)), rows=3))
    for wrong in (strips[:2], strips[1:], [strips[0], strips[2]]):
        with pytest.raises(OutputError):
            write_polygons(
                wrong,
                grid=grid_of((9, 9)),
                legend=LEGEND,
                targets=[tmp_path / "map.gpkg"],
                temp_dir=tmp_path,
            )


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"map\.gpkg"):
        write_polygons(
            strips_of(blobs((9, 9))),
            grid=grid_of((9, 9)),
            legend=LEGEND,
            targets=[tmp_path / "nowhere" / "map.gpkg"],
            temp_dir=tmp_path,
        )


def test_progress_counts_rows(tmp_path: Path) -> None:
    rows: list[int] = []
    write_polygons(
        strips_of(blobs((20, 9)), rows=8),
        grid=grid_of((20, 9)),
        legend=LEGEND,
        targets=[tmp_path / "map.fgb"],
        progress=rows.append,
        temp_dir=tmp_path,
    )
    assert rows == [8, 8, 4]
    assert isinstance(next(strips_of(blobs((20, 9)))), Strip)


def test_blocks_traced_elsewhere_give_the_same_file(tmp_path: Path) -> None:
    classes = blobs((50, 40))
    targets = [tmp_path / "strips.gpkg", tmp_path / "blocks.gpkg"]
    write(classes, targets[0])
    write_polygons(
        traces(classes, [16, 32, 48], [16, 32]),
        grid=grid_of(classes.shape),
        legend=LEGEND,
        targets=targets[1:],
        temp_dir=tmp_path,
    )
    assert targets[0].read_bytes() == targets[1].read_bytes()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_wider_types_give_the_same_file(dtype: type[np.generic], tmp_path: Path) -> None:
    classes = blobs((30, 40))
    targets = [tmp_path / "narrow.gpkg", tmp_path / "wide.gpkg"]
    for labels, target in zip((classes, classes.astype(dtype)), targets, strict=True):
        write(labels, target)
    assert targets[0].read_bytes() == targets[1].read_bytes()
