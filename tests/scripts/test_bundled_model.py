"""The training of the bundled model: sets of classes, places as files, scores."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from bundled_model.accuracy import building_matrix, resolved, summary, write_place
from bundled_model.classes import (
    BUILDING,
    COUNT,
    EXACT,
    LAND,
    LEGEND,
    NOT_BUILDING,
    REAL_SETS,
    ROAD,
    UNKNOWN,
    VEGETATION,
    WATER,
    bits,
    match_of,
)
from bundled_model.data import Source, read_chesapeake, read_north_dakota
from bundled_model.publish import place_model
from train_bundled_model import parse, shown_flags, write_labels

from geoseg.model.card import ModelCard, read_card
from geoseg.model.registry import find_model
from geoseg.options import TrainOptions
from geoseg.run.train_labels import label_reader
from geoseg.run.train_plan import make_train_plan


def a_place(gsd_m: float = 1.0) -> Source:
    """Give a place: all sets that the training holds, side by side, and a black corner."""
    sets = (*EXACT, NOT_BUILDING, bits(BUILDING, ROAD), bits(BUILDING, LAND, ROAD), UNKNOWN)
    allowed = np.repeat(np.array(sets, dtype=np.uint8), 8)[None].repeat(64, axis=0)
    rgb = np.random.default_rng(0).integers(1, 255, (3, *allowed.shape), dtype=np.uint8)
    rgb[:, :, -8:] = 0
    return Source(name="place", rgb=rgb, allowed=allowed, gsd_m=gsd_m, black_is_nodata=True)


def test_sets_are_bits() -> None:
    assert bits(BUILDING, ROAD) == 0b101
    assert NOT_BUILDING | EXACT[BUILDING] == 2**COUNT - 1


def test_no_place_both_trains_and_tests(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    for number in range(8):
        layers = np.zeros((1, 29, 4, 4), np.float32)
        np.savez(tmp_path / "patches" / f"quad-{number}.npz", arr_0=layers)
    trained, tested = (
        {source.name for source in read_chesapeake(tmp_path, part)} for part in ("train", "test")
    )
    assert len(trained) == 12
    assert len(tested) == 4
    assert not trained & tested
    values = np.arange(934, dtype=np.uint16).astype(np.uint8)[None, None].repeat(4, 0)
    with rasterio.open(
        tmp_path / "naip.tif", "w", driver="GTiff", width=934, height=1, count=4, dtype="uint8"
    ) as target:
        target.write(values)
    west, east = (read_north_dakota(tmp_path, part)[0].rgb for part in ("train", "test"))
    assert np.array_equal(west, values[:3, :, :590])
    assert np.array_equal(east, values[:3, :, 622:])


@pytest.mark.parametrize("gsd_m", [1.0, 0.5])
def test_a_place_comes_back_from_its_files_with_the_same_sets(tmp_path: Path, gsd_m: float) -> None:
    place = a_place(gsd_m)
    write_place(tmp_path / "p.tif", place)
    write_labels(tmp_path / "l.tif", place)
    options = TrainOptions(
        data=(str(tmp_path / "p.tif"),), labels=(str(tmp_path / "l.tif"),), out=tmp_path / "m",
        classes=LEGEND, match=match_of(REAL_SETS), gsd_m=gsd_m, bands=("red", "green", "blue"),
    )  # fmt: skip
    plan = make_train_plan(options)
    source = plan.scenes[0].labels
    with label_reader(source, plan.legend, match_of(REAL_SETS), overlap=False) as read:
        assert np.array_equal(read(source.grid.window), place.allowed)
    with rasterio.open(tmp_path / "p.tif") as image:
        assert np.array_equal(image.read(), place.rgb)
        assert not image.dataset_mask()[:, -8:].any()
        assert image.dataset_mask()[:, :-8].all()


def test_near_infrared_tells_plants_and_water(tmp_path: Path) -> None:
    values = {"plants": (60, 80, 50, 200), "water": (40, 70, 60, 20), "soil": (150, 140, 120, 150)}
    bands = np.array(list(values.values()), np.uint8).T[:, None].repeat(4, axis=1)
    with rasterio.open(
        tmp_path / "naip.tif", "w", driver="GTiff", width=3, height=4, count=4, dtype="uint8"
    ) as target:
        target.write(bands)
    found = read_north_dakota(tmp_path, "train")[0].allowed[0].tolist()
    assert found == [EXACT[VEGETATION], EXACT[WATER], bits(BUILDING, LAND, ROAD)]


def test_building_matrix_uses_partial_labels() -> None:
    truth = np.array([[EXACT[BUILDING], EXACT[BUILDING], NOT_BUILDING, UNKNOWN]], dtype=np.uint8)
    found = np.array([[BUILDING, LAND, BUILDING, BUILDING]], dtype=np.uint8)
    assert building_matrix(truth, found).tolist() == [[1, 1], [1, 0]]


def test_the_card_tells_every_flag_that_makes_a_difference() -> None:
    assert shown_flags(parse(["d", "o", "--threads", "1", "--bundle", "b"])) == ""
    asked = ["--steps", "40", "--encoder", "tu-x", "--depth", "4", "--chip-px", "256"]
    assert (
        shown_flags(parse(["d", "o", *asked]))
        == "--steps 40 --chip-px 256 --encoder tu-x --depth 4"
    )
    assert shown_flags(parse(["d", "o", "--start", "m", "--rate", "8e-4"])) == (
        "--start FIRST --rate 0.0008"
    )


def test_a_class_of_the_set_is_right_and_any_other_is_its_first() -> None:
    either, none = bits(BUILDING, ROAD), bits(BUILDING, LAND, ROAD)
    allowed = np.array([[either, either, none, EXACT[WATER], UNKNOWN, EXACT[WATER]]], np.uint8)
    found = np.array([[ROAD, LAND, VEGETATION, WATER, LAND, 255]], np.uint8)
    expected = [[ROAD, BUILDING, BUILDING, WATER, -1, WATER]]
    assert resolved(allowed, found).tolist() == expected


def test_summary_of_a_known_matrix_leaves_out_what_does_not_occur() -> None:
    matrix = np.zeros((COUNT, COUNT), np.int64)
    matrix[0, 0], matrix[1, 0], matrix[1, 1], matrix[4, 1] = 6, 2, 8, 4
    right, wrong = np.zeros(251, np.int64), np.zeros(251, np.int64)
    right[225], wrong[225] = 14, 6
    found = summary(matrix, right, wrong)
    assert set(found["classes"]) == {"building", "land"}
    assert found["mean_iou"] == pytest.approx((6 / 8 + 8 / 14) / 2, abs=1e-4)
    assert found["overall_accuracy"] == pytest.approx(0.7)
    assert found["expected_calibration_error"] == pytest.approx(0.2)


def test_a_model_takes_its_place_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, card = find_model("aerial-landcover")
    out = tmp_path / "model"
    place_model(card, folder / card.weights_file, out)
    # Another release of torch may write the same graph in other bytes.
    placed = read_card(out)
    assert replace(placed, programs=()) == replace(card, programs=())
    assert [p.kind for p in placed.programs] == [p.kind for p in card.programs]
    assert (out / card.weights_file).read_bytes() == (folder / card.weights_file).read_bytes()
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")

    def fail(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(ModelCard, "write", fail)
    with pytest.raises(OSError, match="full"):
        place_model(card, other, out)
    assert (out / card.weights_file).read_bytes() == (folder / card.weights_file).read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [
        "card.json", "labels.onnx", card.weights_file, "scores.onnx",
    ]  # fmt: skip
