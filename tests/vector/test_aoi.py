"""Areas of interest from files: other reference systems, and areas that cannot be."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely
from rasterio import Affine

from geoseg.errors import OptionError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.vector.aoi import read_aoi


def grid(epsg: int = 32632) -> PixelGrid:
    return PixelGrid(
        crs_wkt=geopandas.GeoSeries([], crs=epsg).crs.to_wkt(),
        transform=Affine(10, 0, 690_000, 0, -10, 5_336_000),
        width=200,
        height=100,
    )


def area_px(rings) -> float:
    return sum(shapely.Polygon(outer, holes).area for outer, *holes in rings)


@pytest.mark.parametrize("box", [(-180, -90, 180, 90), (-20, 30, 60, 70)])
def test_an_area_far_larger_than_the_scenes_zone_is_the_whole_scene(box, tmp_path):
    path = tmp_path / "world.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.box(*box)], crs=4326).to_file(path)
    assert area_px(read_aoi(str(path), grid())) == pytest.approx(200 * 100)


def test_a_small_area_in_another_system_stays_where_it_is(tmp_path):
    path = tmp_path / "parcel.gpkg"
    square = geopandas.GeoSeries([shapely.box(690_300, 5_335_200, 690_800, 5_335_600)], crs=32632)
    geopandas.GeoDataFrame(geometry=square.to_crs(4326)).to_file(path)
    rings = read_aoi(str(path), grid())
    corners = np.array(rings[0][0])
    assert corners.min(axis=0) == pytest.approx([30, 40], abs=0.01)
    assert corners.max(axis=0) == pytest.approx([80, 80], abs=0.01)


def test_an_area_on_the_other_side_of_the_world_is_outside(tmp_path):
    path = tmp_path / "far.geojson"
    geopandas.GeoDataFrame(geometry=[shapely.box(170, -50, 175, -45)], crs=4326).to_file(path)
    with pytest.raises(OptionError, match="lies outside the scene"):
        read_aoi(str(path), grid())
