"""Cards: the same after writing and reading, valid STAC and MLM, refused where wrong."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import given

from geoseg.errors import GeosegError, ModelError
from geoseg.legend import Legend, LegendClass
from geoseg.model.card import BandScaling, ModelCard, NetworkSpec, read_card
from geoseg.model.registry import bundled_models, find_model
from tests.fakes import card_of, legend_of
from tests.strategies import cards


@given(cards())
def test_a_card_read_is_the_card_written(
    tmp_path_factory: pytest.TempPathFactory, card: ModelCard
) -> None:
    folder = tmp_path_factory.mktemp("card")
    card.write(folder)
    found = read_card(folder)
    # Scaling goes through "mean" and "stddev", everything else as it is.
    assert found == card
    found.write(folder)
    assert read_card(folder) == found


@given(cards())
def test_cards_survive_pickling(card: ModelCard) -> None:
    assert pickle.loads(pickle.dumps(card)) == card


@given(cards())
def test_a_card_is_a_valid_stac_item(card: ModelCard) -> None:
    data = json.loads(json.dumps(card.to_item()))
    item = pystac.Item.from_dict(data)
    item.stac_extensions = []  # their schemas are on the network
    item.validate()
    assert data["stac_version"] == "1.1.0"


def test_a_card_follows_the_machine_learning_model_extension() -> None:
    """Against stac-model's own data classes, field by field."""
    stac_model = pytest.importorskip("stac_model.schema", reason="stac-model is not installed")
    properties = card_of(3).to_item()["properties"]
    fields = {k.removeprefix("mlm:"): v for k, v in properties.items() if k.startswith("mlm:")}
    found = stac_model.MLModelProperties(**fields)
    assert found.name == "fake"
    assert [b.name for b in found.input[0].bands] == ["red"]
    assert len(found.output[0].classes) == 3


def damaged(change: Any) -> dict[str, Any]:
    item = json.loads(json.dumps(card_of(3).to_item()))
    change(item)
    return item


WRONG = {
    "no properties": lambda i: i.pop("properties"),
    "no weights": lambda i: i["assets"].clear(),
    "no input": lambda i: i["properties"].update({"mlm:input": []}),
    "a list": None,
    "md5": lambda i: i["assets"]["weights"].update({"file:checksum": "d50110abcdef"}),
    "escape": lambda i: i["assets"]["weights"].update({"href": "../model.safetensors"}),
    "absolute": lambda i: i["assets"]["weights"].update({"href": "/etc/passwd"}),
    "stride 0": lambda i: i["properties"].update({"geoseg:stride_px": 0}),
    "stride text": lambda i: i["properties"].update({"geoseg:stride_px": "many"}),
    "halo": lambda i: i["properties"].update({"geoseg:halo_px": -1}),
    "temperature": lambda i: i["properties"].update({"geoseg:temperature": 0}),
    "range": lambda i: i["properties"].update({"geoseg:value_range": [5, 5]}),
    "range of one": lambda i: i["properties"].update({"geoseg:value_range": [5]}),
    "scalings": lambda i: i["properties"]["mlm:input"][0]["value_scaling"].clear(),
    "divisor": lambda i: i["properties"]["mlm:input"][0]["value_scaling"][0].update(stddev=0),
    "scaling kind": lambda i: i["properties"]["mlm:input"][0]["value_scaling"][0].update(
        type="clip"
    ),
    "legend size": lambda i: i["properties"]["mlm:output"][0]["classification:classes"].pop(),
    "colour": lambda i: i["properties"]["mlm:output"][0]["classification:classes"][0].update(
        color_hint="red"
    ),
    "class id": lambda i: i["properties"]["mlm:output"][0]["classification:classes"][0].update(
        value=255
    ),
    "twice": lambda i: i["properties"]["mlm:output"][0]["classification:classes"][0].update(
        value=1
    ),
    "nodata is a class": lambda i: i["properties"].update({"geoseg:nodata_id": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_is_refused_in_one_line_that_names_it(tmp_path: Path, name: str) -> None:
    change = WRONG[name]
    item = damaged(change) if change else []
    (tmp_path / "card.json").write_text(json.dumps(item))
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "\x00\x01", "null", "3"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(tmp_path)
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelError, match=r"card\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"type": "min-max", "minimum": 2, "maximum": 10}, (2, 8)),
        ({"type": "scale", "value": 255}, (0, 255)),
        ({"type": "offset", "value": 7}, (7, 1)),
        ({"type": "z-score", "mean": 3, "stddev": 4}, (3, 4)),
    ],
)
def test_every_affine_scaling_of_the_extension(
    tmp_path: Path, entry: dict[str, Any], expected: tuple[float, float]
) -> None:
    item = damaged(lambda i: i["properties"]["mlm:input"][0].update(value_scaling=[entry]))
    (tmp_path / "card.json").write_text(json.dumps(item))
    assert read_card(tmp_path).scaling == (BandScaling(offset=expected[0], divisor=expected[1]),)


def test_one_output_stands_for_two_classes() -> None:
    binary = NetworkSpec(architecture="unet", encoder="resnet18", n_outputs=1)
    assert len(replace(card_of(2), network=binary).legend) == 2
    with pytest.raises(ModelError, match="2 classes"):
        replace(card_of(3), network=binary)


def test_models_are_found_by_name_or_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model") as caught:
        find_model("never heard of")
    assert caught.value.hint
    with pytest.raises(ModelError, match=r"no card\.json"):
        find_model(str(tmp_path))
    card_of(2).write(tmp_path)
    assert find_model(str(tmp_path)) == (tmp_path.resolve(), card_of(2))
    for name, folder in bundled_models().items():
        assert find_model(name)[0] == folder.resolve()


LEGENDS = {
    "no class": lambda: Legend(classes=()),
    "same id": lambda: Legend(
        classes=(*legend_of(2), LegendClass(class_id=0, name="x", colour="#000000"))
    ),
    "same name": lambda: Legend(
        classes=(*legend_of(2), LegendClass(class_id=9, name="class 0", colour="#000000"))
    ),
    "nodata is a class": lambda: legend_of(2, nodata_id=1),
    "nodata too large": lambda: legend_of(2, nodata_id=256),
    "id too large": lambda: legend_of(1, nodata_id=0, first=255),
    "no name": lambda: LegendClass(class_id=1, name=" ", colour="#000000"),
    "colour": lambda: LegendClass(class_id=1, name="x", colour="#00000"),
}


@pytest.mark.parametrize("name", LEGENDS)
def test_wrong_legends(name: str) -> None:
    with pytest.raises(GeosegError):
        LEGENDS[name]()
