"""Place and size of pixels against rasterio and against geodesy done by hand."""

from __future__ import annotations

import math
import pickle

import pyproj
import pytest
import rasterio.windows
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from tests.strategies import close, pixel_grids


def grid_of(crs: str | int, transform: Affine, height: int = 100, width: int = 100) -> PixelGrid:
    return PixelGrid(
        crs_wkt=pyproj.CRS.from_user_input(crs).to_wkt(),
        transform=transform, height=height, width=width,
    )  # fmt: skip


def world(transform: Affine, col: float, row: float) -> tuple[float, float]:
    t = transform
    return t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f


@given(pixel_grids(), st.data())
def test_a_subgrid_keeps_every_pixel_in_its_place(grid: PixelGrid, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, grid.height - 1))
    col = data.draw(st.integers(0, grid.width - 1))
    height = data.draw(st.integers(1, grid.height - row))
    width = data.draw(st.integers(1, grid.width - col))
    part = grid.subgrid(Window(row, col, height, width))
    assert part.window == Window(0, 0, height, width)
    for dr, dc in ((0, 0), (height, width), (0.5, 0.5)):
        here, there = world(part.transform, dc, dr), world(grid.transform, col + dc, row + dr)
        assert all(close(a, b, rel=1e-9) for a, b in zip(here, there, strict=True))


@given(
    st.floats(1e-3, 100),
    st.floats(1e-3, 100),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.data(),
)
def test_bounds_of_a_subgrid_are_rasterios_window_bounds(
    width_m: float, height_m: float, left: float, top: float, data: st.DataObject
) -> None:
    transform = Affine(width_m, 0, left, 0, -height_m, top)
    row, col = data.draw(st.integers(0, 300)), data.draw(st.integers(0, 300))
    height, width = data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100))
    grid = PixelGrid(crs_wkt=None, transform=transform, height=400, width=400)
    found = grid.subgrid(Window(row, col, height, width)).bounds
    expected = rasterio.windows.bounds(rasterio.windows.Window(col, row, width, height), transform)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-6)
    assert found.left < found.right
    assert found.bottom < found.top


@given(pixel_grids(), st.floats(0, 1), st.floats(0, 1))
def test_pixel_to_world_to_pixel_is_the_identity(grid: PixelGrid, u: float, v: float) -> None:
    col, row = u * grid.width, v * grid.height
    back = ~grid.transform @ (grid.transform @ (col, row))
    # An origin of 1e6 with pixels of 1e-4 leaves some 1e-6 px of a float64.
    assert back == pytest.approx((col, row), abs=1e-4)


@given(pixel_grids())
def test_bounds_hold_all_corners_and_touch_them(grid: PixelGrid) -> None:
    left, bottom, right, top = grid.bounds
    xs, ys = zip(*grid.corners, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (left, right, bottom, top)
    assert grid.corners[0] == pytest.approx(world(grid.transform, 0, 0))
    assert grid.corners[2] == pytest.approx(world(grid.transform, grid.width, grid.height))


# Ground sample distance -----------------------------------------------------------------

A, F = 6378137.0, 1 / 298.257223563
E2 = F * (2 - F)


def meridian_radius(lat: float) -> float:
    return A * (1 - E2) / (1 - E2 * math.sin(math.radians(lat)) ** 2) ** 1.5


def parallel_radius(lat: float) -> float:
    s = math.sin(math.radians(lat))
    return A / math.sqrt(1 - E2 * s * s) * math.cos(math.radians(lat))


@pytest.mark.parametrize("lat", [0.0, 37.5, -52.0, 71.0])
def test_geographic_pixels_are_arcs_on_the_ellipsoid(lat: float) -> None:
    size = 1e-5
    grid = grid_of(4326, Affine(size, 0, 127.0, 0, -size, lat + 50 * size))
    down, across = grid.gsd_m or (0, 0)
    assert down == pytest.approx(math.radians(size) * meridian_radius(lat), rel=1e-5)
    assert across == pytest.approx(math.radians(size) * parallel_radius(lat), rel=1e-5)
    assert grid.is_geographic


@pytest.mark.parametrize("lat", [0.0, 37.5, 60.0])
def test_web_mercator_gives_true_metres(lat: float) -> None:
    """EPSG:3857 is inflated by about 1 / cos(lat); the sphere it uses differs per axis."""
    y = A * math.asinh(math.tan(math.radians(lat)))
    grid = grid_of(3857, Affine(0.6, 0, 14_000_000, 0, -0.6, y + 30))
    down, across = grid.gsd_m or (0, 0)
    arc = 0.6 / A * math.cos(math.radians(lat))  # radians of latitude per pixel
    assert down == pytest.approx(arc * meridian_radius(lat), rel=1e-4)
    assert across == pytest.approx(0.6 / A * parallel_radius(lat), rel=1e-4)
    assert not grid.is_geographic


@pytest.mark.parametrize(("east", "scale"), [(500_000, 0.9996), (320_000, 1.0)])
def test_utm_pixels_are_metres_over_the_grid_scale(east: float, scale: float) -> None:
    grid = grid_of(32652, Affine(0.3, 0, east, 0, -0.3, 4_158_000))
    assert grid.gsd_m == pytest.approx((0.3 / scale, 0.3 / scale), rel=1e-4)


def test_feet_become_metres() -> None:
    """EPSG:2263, New York Long Island in US survey feet."""
    grid = grid_of(2263, Affine(0.5, 0, 990_000, 0, -0.5, 200_000))
    foot_m = 1200 / 3937
    assert grid.gsd_m == pytest.approx((0.5 * foot_m, 0.5 * foot_m), rel=1e-4)


@pytest.mark.parametrize("angle", [0, 30, 90, 200])
@pytest.mark.parametrize("flip", [-1, 1])
def test_rotation_and_south_up_do_not_change_the_size(angle: int, flip: int) -> None:
    transform = (
        Affine.translation(500_000, 4_158_000)
        @ Affine.rotation(angle)
        @ Affine.scale(0.4, flip * 0.8)
    )
    grid = grid_of(32652, transform)
    assert grid.gsd_m == pytest.approx((0.8 / 0.9996, 0.4 / 0.9996), rel=1e-4)


def test_a_local_crs_uses_its_unit() -> None:
    wkt = 'LOCAL_CS["site",UNIT["US survey foot",0.304800609601219],AXIS["x",EAST],AXIS["y",NORTH]]'
    grid = PixelGrid(crs_wkt=wkt, transform=Affine(2, 0, 0, 0, -3, 0), height=5, width=5)
    assert grid.gsd_m == pytest.approx((3 * 0.3048006, 2 * 0.3048006), rel=1e-6)


def test_no_crs_no_size() -> None:
    grid = PixelGrid(crs_wkt=None, transform=Affine(1, 0, 0, 0, -1, 0), height=5, width=5)
    assert grid.gsd_m is None
    assert grid.crs is None
    assert not grid.is_geographic


def test_pixels_off_the_earth_have_no_size() -> None:
    grid = grid_of(32652, Affine(1e7, 0, 1e9, 0, -1e7, 1e9))
    assert grid.gsd_m is None


def test_the_size_is_taken_at_the_centre() -> None:
    """One degree of pixels over 60 degrees of latitude: the middle row counts."""
    grid = grid_of(4326, Affine(1, 0, 10, 0, -1, 60), height=60, width=10)
    _, across = grid.gsd_m or (0, 0)
    assert across == pytest.approx(math.radians(1) * parallel_radius(30), rel=1e-3)


def test_a_grid_survives_pickling_without_its_cached_objects() -> None:
    grid = grid_of(4326, Affine(1e-5, 0, 127, 0, -1e-5, 37))
    before = grid.gsd_m
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert "gsd_m" in vars(grid)
    assert not {"gsd_m", "crs"} & set(vars(again))
    assert again.gsd_m == before


@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_a_grid_without_pixels_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        PixelGrid(crs_wkt=None, transform=Affine.identity(), height=shape[0], width=shape[1])


@pytest.mark.parametrize("six", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0), (1, 1, 0, 1, 1, 0)])
def test_a_transform_without_area_is_refused(six: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="no area"):
        PixelGrid(crs_wkt=None, transform=Affine(*six), height=5, width=5)
