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
from geoseg.model.network import predictor_identity
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


NAN, INF = float("nan"), float("inf")


def scaling(item: dict[str, Any]) -> dict[str, Any]:
    return item["properties"]["mlm:input"][0]["value_scaling"][0]


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
    "activation": lambda i: i["properties"].update({"geoseg:activation": "relu"}),
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
    **{
        f"{name} {value}": lambda i, name=name, value=value: i["properties"].update(
            {f"geoseg:{name}": value}
        )
        for name in ("gsd_m", "temperature", "activation_bytes_per_px", "stride_px", "halo_px")
        for value in (NAN, INF, -INF, -1, 1e300, 10**400, "8", True)
    },
    "gsd 0": lambda i: i["properties"].update({"geoseg:gsd_m": 0}),
    "gsd range reversed": lambda i: i["properties"].update({"geoseg:gsd_range_m": [2, 1]}),
    "range to infinity": lambda i: i["properties"].update({"geoseg:value_range": [0, INF]}),
    "range from nan": lambda i: i["properties"].update({"geoseg:value_range": [NAN, 1]}),
    "bf16 above 1": lambda i: i["properties"].update({"geoseg:bf16_agreement": 1.5}),
    "stride of a half": lambda i: i["properties"].update({"geoseg:stride_px": 8.5}),
    "stitch": lambda i: i["properties"].update({"geoseg:stitch": "glue"}),
    "facts": lambda i: i["properties"].update({"geoseg:facts": ["many"]}),
    "std negative": lambda i: scaling(i).update(stddev=-1),
    "std nan": lambda i: scaling(i).update(stddev=NAN),
    "std too small for float32": lambda i: scaling(i).update(stddev=1e-300),
    "mean infinite": lambda i: scaling(i).update(mean=INF),
    "mean huge": lambda i: scaling(i).update(mean=10**400),
    "min above max": lambda i: scaling(i).update(type="min-max", minimum=9, maximum=1),
    "digest": lambda i: i["assets"]["weights"].update({"file:checksum": "1220" + "x" * 64}),
    "parent": lambda i: i["assets"]["weights"].update(href=".."),
    "backslash": lambda i: i["assets"]["weights"].update(href="..\\x"),
    "escape codes": lambda i: i["properties"].update({"mlm:name": "\x1b[2J"}),
    "line break in a class": lambda i: i["properties"]["mlm:output"][0]["classification:classes"][
        0
    ].update(name="a\nb"),
}


def test_deep_json_is_refused_in_one_line(tmp_path: Path) -> None:
    for depth in (60, 900, 100_000):
        item = json.dumps(card_of(3).to_item())
        deep = item.replace('"geoseg:facts": {}', f'"geoseg:facts": {"[" * depth}{"]" * depth}')
        assert deep != item
        (tmp_path / "card.json").write_text(deep)
        with pytest.raises(ModelError, match=r"card\.json.* nested .*deep"):
            read_card(tmp_path)


def test_a_number_of_many_digits_does_not_fill_the_screen(tmp_path: Path) -> None:
    item = damaged(lambda i: i["properties"].update({"geoseg:halo_px": "many" * 10_000}))
    (tmp_path / "card.json").write_text(json.dumps(item))
    with pytest.raises(ModelError, match="a number is expected") as caught:
        read_card(tmp_path)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_card_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "card.json").mkdir()
    with pytest.raises(ModelError, match=r"cannot read .*card\.json: Is a directory"):
        read_card(tmp_path)
    with pytest.raises(ModelError, match="File name too long"):
        find_model("x" * 5000)

    real = Path.is_dir

    def refuse(path: Path) -> bool:
        if path == tmp_path:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "is_dir", refuse)
    for read in (lambda: read_card(tmp_path), lambda: find_model(str(tmp_path))):
        with pytest.raises(ModelError, match=r"Permission denied$"):
            read()


def test_the_identity_is_all_that_decides_a_pixel() -> None:
    card = card_of(3)
    other = replace(card.network, arguments=(("decoder_channels", (8, 4)),))
    changes = {
        "network": other,
        "value_range": (0.0, 100.0),
        "temperature": 2.0,
        "activation": "sigmoid",
        "scaling": (BandScaling(offset=1.0, divisor=1.0),),
        "weights_sha256": "0" * 64,
        "legend": legend_of(3, first=1),
    }
    found = [predictor_identity(card, "torch")]
    found += [predictor_identity(replace(card, **{k: v}), "torch") for k, v in changes.items()]
    found += [predictor_identity(card, name) for name in ("openvino", "onnxruntime")]
    texts = [json.dumps(entry, sort_keys=True) for entry in found]
    assert len(set(texts)) == len(texts)
    assert found[0]["libraries"]["torch"]
    for name in ("title", "description", "license", "facts"):
        told = replace(card, **{name: {"a": 1} if name == "facts" else "other words"})
        assert predictor_identity(told, "torch") == found[0]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_card_is_refused_in_one_line_that_names_it(tmp_path: Path, name: str) -> None:
    change = WRONG[name]
    item = damaged(change) if change else []
    (tmp_path / "card.json").write_text(json.dumps(item))
    with pytest.raises(ModelError, match=r"card\.json") as caught:
        read_card(tmp_path)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


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
