"""The model that ships with geoseg is there, whole, and suits the sample scenes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from geoseg.model.registry import bundled_models, find_model
from geoseg.options import DEFAULT_MODEL

SAMPLES = Path(__file__).resolve().parents[2] / "sample_tiles"


def test_it_ships_and_its_card_says_what_users_must_know():
    assert DEFAULT_MODEL in bundled_models()
    folder, card = find_model(DEFAULT_MODEL)
    assert card.weights_bytes == (folder / card.weights_file).stat().st_size <= 12_000_000
    assert card.license != "other"
    assert card.facts["training_data"]
    assert card.facts["accuracy"]
    assert card.facts["halo_curve"]
    assert card.facts["training"]["data_sha256"]
    assert card.facts["training"]["command"].startswith("python scripts/train_bundled_model.py")
    place = card.facts["accuracy"]["dubai tiles 1 and 3 (chose the weights)"]
    assert place["expected_calibration_error"] < 0.05
    assert card.temperature != 1.0


def test_the_doctor_is_content(geoseg):
    answer = geoseg("doctor", "--json")
    found = json.loads(answer.out)
    assert [f for f in found["findings"] if f["verdict"] == "fail"] == []
    assert answer.code == 0


def test_it_is_the_default_and_shows_its_accuracy(geoseg):
    assert f"{DEFAULT_MODEL} *" in geoseg("models", "list").out
    shown = geoseg("models", "show", DEFAULT_MODEL).out
    for words in ("building", "water", "accuracy", "training data", "mean IoU"):
        assert words in shown


@pytest.mark.parametrize("name", ["town", "coast", "farmland"])
def test_it_takes_the_sample_scenes(geoseg, name):
    answer = geoseg("info", SAMPLES / f"{name}.tif", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["model"]["reason"] is None


def test_every_command_and_the_library_have_the_same_default():
    """The name stands in three rooms, none of which may import another."""
    from geoseg.cli.options import model_option
    from geoseg.options import DEFAULT_MODEL, RunOptions

    @model_option
    def command(model):
        return model

    (parameter,) = command.__click_params__
    assert parameter.default == RunOptions(scene="x").model == DEFAULT_MODEL
