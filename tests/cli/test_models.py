"""``geoseg models``: list, show, and import of any smp folder."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from geoseg.errors import OptionError
from geoseg.model.card import BandScaling, read_card
from geoseg.model.legend_text import read_legend
from geoseg.raster.read import SceneReader
from geoseg.run import model_import
from tests.scenes import UTM, texture, write_scene

CLASSES = "1:roof:#c8452d,4:ground: all of it:#d9c9a3"


@pytest.fixture
def listed(monkeypatch, model_folder):
    """Let the tiny model be the bundled one."""
    monkeypatch.setattr("geoseg.model.registry.bundled_models", lambda: {"tiny": model_folder})


@pytest.fixture(scope="session")
def smp_folder(tmp_path_factory):
    """What smp's save_pretrained writes for a small network of two bands."""
    import segmentation_models_pytorch as smp
    import torch

    torch.manual_seed(3)
    network = smp.Unet(
        "resnet18",
        encoder_weights=None,
        encoder_depth=3,
        decoder_channels=(32, 16, 8),
        in_channels=2,
        classes=2,
    )
    folder = tmp_path_factory.mktemp("smp")
    network.save_pretrained(folder)
    return folder


@pytest.fixture
def small_halo_images(monkeypatch):
    """Measure halos on images of 352 px instead of 1536 px."""
    monkeypatch.setattr("geoseg.model.halo._CORE_PX", 32)
    monkeypatch.setattr("geoseg.model.halo._LARGEST_HALO_PX", 128)
    monkeypatch.setattr(model_import, "_SIDE_PX", 352)


def flags(out, **changes):
    chosen = {
        "out": out, "classes": CLASSES, "bands": "red,nir", "mean": "110", "std": "50,60",
        "gsd": "1", **changes,
    }  # fmt: skip
    named = ((f"--{k.replace('_', '-')}", str(v)) for k, v in chosen.items() if v is not None)
    return [part for pair in named for part in pair]


@pytest.mark.usefixtures("listed")
def test_list_has_a_line_per_model(geoseg):
    answer = geoseg("models", "list")
    assert answer.code == 0
    line = answer.out.splitlines()[1]
    for words in ("tiny", "3", "red,green,blue", "0.3 to 2 m (works at 1 m)", "A model for tests"):
        assert words in line


@pytest.mark.usefixtures("listed")
def test_list_as_json(geoseg, model_folder):
    found = json.loads(geoseg("models", "list", "--json").out)
    assert found["event"] == "models"
    (model,) = found["models"]
    assert (model["name"], model["folder"]) == ("tiny", str(model_folder.resolve()))
    assert model["classes"][0] == {"id": 1, "name": "지붕", "colour": "#c02020"}


def test_show_tells_everything_in_the_card(geoseg, model_folder):
    answer = geoseg("models", "show", model_folder)
    assert answer.code == 0
    for words in (
        "A model for tests", "Knows nothing of the world.", "지붕", "#c02020", "red, green, blue",
        "values 0 to 255", "0.3 to 2 m", "unet, encoder resnet18", "48 px, stitch crop",
        "(nothing): 0: 10 %", "CC0-1.0", "here", "0.50", "지붕 0.25", "none of it is true",
        "name: noise", "clouds", str(model_folder),
    ):  # fmt: skip
        assert words in answer.out, words
    assert "\x1b" not in answer.out  # colours only on a terminal


def test_show_as_json_is_the_card(geoseg, model_folder):
    found = json.loads(geoseg("models", "show", model_folder, "--json").out)
    assert found == json.loads((model_folder / "card.json").read_text())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: None, "holds no card.json"),
        (lambda f: (f / "card.json").write_text("{"), "cannot read"),
        (lambda f: (f / "card.json").write_text("{}"), "not a complete model card"),
    ],
)
def test_show_names_what_is_wrong(geoseg, tmp_path, damage, words):
    damage(tmp_path)
    answer = geoseg("models", "show", tmp_path)
    assert answer.code == 1
    assert words in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.usefixtures("small_halo_images")
def test_import_makes_a_folder_that_run_takes(geoseg, tmp_path, smp_folder):
    out = tmp_path / "my model"
    facts = tmp_path / "facts.json"
    facts.write_text('{"limits": ["snow"]}')
    answer = geoseg("models", "import", smp_folder, *flags(out, license="MIT", facts=facts))
    assert answer.code == 0, answer.err
    card = read_card(out)
    assert (card.name, card.title, card.license) == ("my model", "my model", "MIT")
    assert card.bands == ("red", "nir")
    assert [(s.offset, s.divisor) for s in card.scaling] == [(110, 50), (110, 60)]
    assert (card.value_range, card.gsd_m, card.gsd_range_m) == ((0, 255), 1.0, (0.5, 2.0))
    assert [(c.class_id, c.name) for c in card.legend] == [(1, "roof"), (4, "ground: all of it")]
    assert card.stride_px == 8
    assert card.facts["limits"] == ["snow"]
    assert card.facts["halo_curve"]
    assert f"halo of {card.halo_px} px" in answer.out or f"halo {card.halo_px} px" in answer.out
    assert ("blended" in answer.out) == (card.stitch == "blend")
    # The folder is complete: a scene goes through it.
    scene = write_scene(tmp_path / "s.tif", texture((70, 90), bands=2), crs=UTM)
    done = geoseg("run", scene, "--model", out, "--out", tmp_path / "map", "--gsd", "1", "--quiet")
    assert done.code == 0, done.err
    assert (tmp_path / "map" / "classes.tif").is_file()


@pytest.mark.usefixtures("small_halo_images")
def test_import_measures_on_a_given_scene(geoseg, tmp_path, smp_folder):
    pixels = texture((360, 760), bands=2)
    mask = np.ones((360, 760), bool)
    mask[:, :380] = False
    scene = write_scene(tmp_path / "s.tif", pixels, mask=mask, descriptions=("red", "nir"), crs=UTM)
    out = tmp_path / "m"
    chosen = flags(out, gsd="0.3", halo_scene=scene, mean=None, std=None, min_max="0,250")
    answer = geoseg("models", "import", smp_folder, *chosen)
    assert answer.code == 0, answer.err
    card = read_card(out)
    assert card.facts["halo_measured_on"] == "given images"
    assert [(s.offset, s.divisor) for s in card.scaling] == [(0, 250)] * 2
    assert card.value_range == (0, 250)


@pytest.mark.usefixtures("small_halo_images")
@pytest.mark.parametrize(
    ("shape", "valid", "gsd", "words"),
    [
        ((100, 400), 1, "0.3", "at least 352 x 352"),
        ((360, 400), 0, "0.3", "mostly valid"),
        ((360, 400), 1, "5", "--gsd says 5 m"),
    ],
)
def test_import_refuses_a_halo_scene_that_tells_nothing(
    geoseg, tmp_path, smp_folder, shape, valid, gsd, words
):
    scene = write_scene(
        tmp_path / "s.tif",
        texture(shape, bands=2),
        mask=np.full(shape, bool(valid)),
        descriptions=("red", "nir"),
        crs=UTM,
    )
    out = tmp_path / "m"
    answer = geoseg("models", "import", smp_folder, *flags(out, gsd=gsd, halo_scene=scene))
    assert answer.code == 1
    assert words in answer.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": "1:roof"}, "is not id:name:#rrggbb"),
        ({"classes": "1:roof:red,2:b:#000000"}, "not of the form #rrggbb"),
        ({"classes": "1:a:#000000,1:b:#000000"}, "must be unique"),
        ({"classes": "1:a:#000000"}, "its legend names 1"),
        ({"classes": "nofile.json"}, "cannot read"),
        ({"bands": "red"}, "--std has 2 numbers"),
        ({"bands": "red", "std": "50"}, "takes 2 bands, --bands names 1"),
        ({"std": None}, "give --mean and --std together"),
        ({"min_max": "0,1"}, "give --mean and --std together"),
        ({"mean": "x,y"}, "--mean: could not convert"),
        ({"std": "0"}, "divides by 0"),
        ({"gsd": "-1"}, "must be positive"),
        ({"gsd": "1", "gsd_range": "2,4"}, "inside --gsd-range 2,4"),
        ({"gsd": None, "gsd_range": "2,4"}, "--gsd-range needs --gsd"),
        ({"mean": None, "std": None, "min_max": "5,1"}, "is empty"),
        ({"facts": "nofile"}, "--facts: cannot read"),
    ],
)
def test_import_refuses_what_does_not_fit(geoseg, tmp_path, smp_folder, changes, words):
    out = tmp_path / "m"
    answer = geoseg("models", "import", smp_folder, *flags(out, **changes))
    assert answer.code == 1
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert list(tmp_path.iterdir()) == []


def test_import_refuses_other_folders_and_existing_ones(geoseg, tmp_path, smp_folder):
    answer = geoseg("models", "import", tmp_path, *flags(tmp_path / "m"))
    assert (answer.code, "is not a folder that smp's" in answer.err) == (1, True)
    answer = geoseg("models", "import", smp_folder, *flags(tmp_path))
    assert (answer.code, "exists already" in answer.err) == (1, True)


def test_the_help_tells_the_side_that_a_halo_scene_needs(geoseg):
    from geoseg.model.halo import image_side_px

    answer = geoseg("models", "import", "--help")
    assert f"{model_import._SIDE_PX} px or more" in " ".join(answer.out.split())
    sides = {image_side_px(stride) for stride in (1, 2, 4, 8, 14, 16, 28, 32)}
    assert max(sides) == model_import._SIDE_PX


@pytest.mark.usefixtures("small_halo_images")
def test_import_replaces_a_model_folder_and_nothing_else(geoseg, tmp_path, smp_folder):
    out = tmp_path / "m"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    answer = geoseg("models", "import", smp_folder, *flags(out), "--overwrite")
    assert (answer.code, "holds no card.json" in answer.err) == (1, True)
    assert (out / "thesis.txt").read_text() == "years of work"


@pytest.mark.usefixtures("small_halo_images")
def test_import_says_when_windows_will_be_blended_and_why(geoseg, tmp_path, smp_folder):
    # Every image of so small a range is of one colour, and its map of one class.
    answer = geoseg("models", "import", smp_folder, *flags(tmp_path / "m", value_range="0,1e-6"))
    assert answer.code == 0, answer.err
    assert "blended" in answer.out
    assert "hardly more than one class" in answer.out
    card = read_card(tmp_path / "m")
    assert (card.stitch, card.bf16_agreement) == ("blend", None)


def test_messages_of_a_halo_scene_name_it_without_its_credentials(
    monkeypatch, tmp_path, small_halo_images
):
    scene = write_scene(
        tmp_path / "s.tif", texture((360, 400), bands=2), mask=np.zeros((360, 400), bool),
        descriptions=("red", "nir"), crs=UTM,
    )  # fmt: skip
    real = model_import.open_scene
    address = "https://host/s.tif?sig=secret"
    monkeypatch.setattr(
        model_import, "open_scene", lambda _: dataclasses.replace(real(str(scene)), address=address)
    )
    monkeypatch.setattr(
        model_import, "SceneReader", lambda _, *more: SceneReader(real(str(scene)), *more)
    )
    request = SimpleNamespace(
        bands=("red", "nir"), gsd_m=None, scaling=(BandScaling(offset=0, divisor=1),) * 2
    )
    with pytest.raises(OptionError, match="mostly valid") as caught:
        model_import.halo_images(address, request)
    assert "https://host/s.tif" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.csv", "id,name,color,description\n1,roof,#C8452D,Any\n4,ground,d9c9a3,\n"),
        (
            "l.json",
            (
                '[{"id": 1, "name": "roof", "colour": "#C8452D", "description": "Any"},'
                ' {"value": 4, "name": "ground", "color_hint": "d9c9a3"}]'
            ),
        ),
        (
            "m.json",
            (
                '{"classes": [{"class_id": 1, "class_name": "roof", "colour": "#C8452D",'
                ' "description": "Any"}, {"id": 4, "name": "ground", "colour": "#d9c9a3"}]}'
            ),
        ),
    ],
)
def test_legend_files(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig" if name.endswith("csv") else "utf-8")
    legend = read_legend(str(path))
    assert [(c.class_id, c.name, c.colour, c.description) for c in legend] == [
        (1, "roof", "#C8452D", "Any"),
        (4, "ground", "#d9c9a3", ""),
    ]


@pytest.mark.parametrize("text", ["[1]", "3", '[{"name": "a"}]', '[{"id": "x", "name": "a"}]'])
def test_legend_files_that_are_none(tmp_path, text):
    path = tmp_path / "l.json"
    path.write_text(text)
    with pytest.raises(OptionError, match="--classes"):
        read_legend(str(path))
