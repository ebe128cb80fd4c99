"""Lengths and areas with units."""

from __future__ import annotations

import pytest
from affine import Affine

from geoseg.errors import OptionError
from geoseg.vector.measures import length_pixels, min_pixels
from tests.vector.maps import grid_of


@pytest.mark.parametrize(("text", "expected"), [("16px", 16), ("2.5 px", 3), ("950m2", 10)])
def test_min_area_in_pixels_or_metres(text: str, expected: int) -> None:
    assert min_pixels(text, grid_of((10, 10))) == expected


@pytest.mark.parametrize("text", ["16", "px", "-1px", "10ha", "", "10m", "1e3px", "nanpx"])
def test_min_area_without_unit_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="minimum area"):
        min_pixels(text, grid_of((10, 10)))


def test_min_area_in_metres_needs_a_crs() -> None:
    with pytest.raises(OptionError, match="needs the size of a pixel"):
        min_pixels("100m2", grid_of((10, 10), epsg=None))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("0px", 0), (".5px", 0.5), ("1.px", 1), (" 2.5 px ", 2.5), ("12m", 1.2)],
)
def test_length_in_pixels_or_metres(text: str, expected: float) -> None:
    assert length_pixels(text, grid_of((10, 10))) == pytest.approx(expected, rel=1e-3)


def test_length_in_metres_is_that_on_the_ground() -> None:
    """Web Mercator at 60 degrees north is twice too long."""
    grid = grid_of((10, 10), epsg=3857, transform=Affine(20, 0, 0, 0, -20, 8_399_738))
    assert length_pixels("10m", grid) == pytest.approx(1, rel=0.01)
    tall = grid_of((10, 10), transform=Affine(5, 0, 500_000, 0, -20, 5_400_000))
    assert length_pixels("10m", tall) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("text", ["1", "m", "-1m", "5m2", "1 km", "", "inf px"])
def test_length_without_unit_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="tolerance"):
        length_pixels(text, grid_of((10, 10)))


def test_length_in_metres_needs_a_crs() -> None:
    with pytest.raises(OptionError, match="needs the size of a pixel"):
        length_pixels("1m", grid_of((10, 10), epsg=None))
