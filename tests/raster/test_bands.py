"""Which bands feed the model: by name, by number, by position only where that is safe."""

from __future__ import annotations

from pathlib import Path

import pytest
from rasterio.enums import ColorInterp as C

from geoseg.errors import MismatchError
from geoseg.raster.scene import Scene, open_scene, select_bands
from tests.scenes import texture, write_scene

RGB = ("red", "green", "blue")


def scene_with(tmp_path: Path, count: int, **names: object) -> Scene:
    return open_scene(write_scene(tmp_path / "a.tif", texture((6, 7), bands=count), **names))


def refused(scene: Scene, wanted: tuple[str, ...], chosen: tuple[str, ...] | None) -> str:
    with pytest.raises(MismatchError) as caught:
        select_bands(scene, wanted, chosen)
    assert caught.value.hint
    return str(caught.value)


def test_names_beat_positions(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 4, descriptions=("nir", "Blue", "GREEN", "red"),
                       colours=(C.undefined,) * 4)  # fmt: skip
    assert select_bands(scene, RGB, None) == (4, 3, 2)
    assert select_bands(scene, ("red", "nir"), None) == (4, 1)


def test_colour_interpretation_names_bands(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 3, colours=(C.blue, C.green, C.red))
    assert select_bands(scene, RGB, None) == (3, 2, 1)


def test_nameless_bands_are_taken_in_order_and_one_may_be_left_over(tmp_path: Path) -> None:
    plain = (C.gray, C.undefined, C.undefined, C.undefined)
    assert select_bands(scene_with(tmp_path, 3, colours=plain[:3]), RGB, None) == (1, 2, 3)
    assert select_bands(scene_with(tmp_path, 4, colours=plain), RGB, None) == (1, 2, 3)


def test_alpha_is_no_data_band(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 4, colours=(C.alpha, C.undefined, C.undefined, C.undefined))
    assert select_bands(scene, RGB, None) == (2, 3, 4)
    two = scene_with(tmp_path, 3, colours=(C.red, C.green, C.alpha))
    assert "2 data band(s)" in refused(two, RGB, None)


def test_five_nameless_bands_are_a_question(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 5, colours=(C.undefined,) * 5)
    assert "cannot tell" in refused(scene, RGB, None)
    assert select_bands(scene, RGB, ("3", "2", "1")) == (3, 2, 1)


def test_some_names_but_not_all_are_a_question(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 3, descriptions=("red", "x", "y"), colours=(C.undefined,) * 3)
    assert "cannot tell" in refused(scene, RGB, None)


def test_a_spare_band_with_a_name_is_a_question(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 4, descriptions=("b4", "b3", "b2", "b8"),
                       colours=(C.undefined,) * 4)  # fmt: skip
    assert "cannot tell" in refused(scene, RGB, None)


def test_too_few_bands(tmp_path: Path) -> None:
    assert "needs 3" in refused(scene_with(tmp_path, 1), RGB, None)


def test_chosen_by_number_name_and_mixed(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, 12, descriptions=tuple(f"B{i}" for i in range(1, 13)))
    assert select_bands(scene, RGB, ("4", "3", "2")) == (4, 3, 2)
    assert select_bands(scene, RGB, ("b4", " B3 ", "2")) == (4, 3, 2)
    assert select_bands(scene, ("x",), ("12",)) == (12,)
    assert select_bands(scene, RGB, ("1", "1", "1")) == (1, 1, 1)


@pytest.mark.parametrize("token", ["0", "4", "-1", "1.0", "nir", "", "²"])
def test_a_band_that_is_not_there(tmp_path: Path, token: str) -> None:
    scene = scene_with(tmp_path, 3, colours=(C.red, C.green, C.blue))
    assert "has no band" in refused(scene, RGB, ("1", "2", token))


@pytest.mark.parametrize("chosen", [("1",), ("1", "2"), ("1", "2", "3", "1")])
def test_the_wrong_number_of_bands(tmp_path: Path, chosen: tuple[str, ...]) -> None:
    scene = scene_with(tmp_path, 3)
    assert f"names {len(chosen)} bands" in refused(scene, RGB, chosen)
