"""Where a raster lies, in longitude and latitude."""

from __future__ import annotations

import pytest
import shapely
from affine import Affine

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.run.extent import extent


def grid(left: float, top: float, step: float, crs: str) -> PixelGrid:
    transform = Affine(step, 0, left, 0, -step, top)
    return PixelGrid(height=40, width=60, transform=transform, crs_wkt=_wkt(crs))


def _wkt(crs: str) -> str:
    import pyproj

    return pyproj.CRS.from_user_input(crs).to_wkt()


def test_far_from_the_date_line_it_is_one_ring() -> None:
    found = extent(grid(10.0, 50.0, 0.01, "EPSG:4326"))
    assert found is not None
    geometry, bbox = found
    assert bbox == [10.0, 49.6, 10.6, 50.0]
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    assert shape.exterior.is_ccw
    assert shape.bounds == (10.0, 49.6, 10.6, 50.0)


@pytest.mark.parametrize(
    ("where", "bbox"),
    [
        (grid(179.8, 50.0, 0.01, "EPSG:4326"), [179.8, 49.6, -179.6, 50.0]),
        (grid(539.8, 50.0, 0.01, "EPSG:4326"), [179.8, 49.6, -179.6, 50.0]),
        (grid(-180.2, 50.0, 0.01, "EPSG:4326"), [179.8, 49.6, -179.6, 50.0]),
    ],
)
def test_across_the_date_line_it_is_cut(where: PixelGrid, bbox: list[float]) -> None:
    found = extent(where)
    assert found is not None
    geometry, box = found
    assert box == pytest.approx(bbox)
    shape = shapely.geometry.shape(geometry)
    assert (shape.geom_type, shape.is_valid, len(shape.geoms)) == ("MultiPolygon", True, 2)
    assert all(part.exterior.is_ccw for part in shape.geoms)
    assert shape.area == pytest.approx(0.6 * 0.4)
    assert max(abs(shape.bounds[0]), abs(shape.bounds[2])) == 180.0


def test_a_utm_scene_across_the_date_line_is_as_large_as_elsewhere() -> None:
    across, elsewhere = (
        extent(grid(left, 1_100_000, 30.0, "EPSG:32601")) for left in (170_000, 500_000)
    )
    assert across is not None
    assert elsewhere is not None
    west, _, east, _ = across[1]
    assert 179 < west < 180
    assert -180 < east < -179
    areas = [shapely.geometry.shape(found[0]).area for found in (across, elsewhere)]
    assert areas[0] == pytest.approx(areas[1], rel=0.01)


def test_wholly_beyond_it_comes_back_to_the_map() -> None:
    found = extent(grid(190.0, 50.0, 0.01, "EPSG:4326"))
    assert found is not None
    assert found[1] == pytest.approx([-170.0, 49.6, -169.4, 50.0])


def test_around_a_pole_it_stays_as_it_is() -> None:
    found = extent(grid(-30_000, 20_000, 1000.0, "EPSG:3031"))
    assert found is not None
    west, south, east, _ = found[1]
    assert -180 <= west < east <= 180
    assert south >= -90


def test_without_a_crs_there_is_no_place() -> None:
    assert extent(PixelGrid(height=4, width=6, transform=Affine.identity(), crs_wkt=None)) is None
