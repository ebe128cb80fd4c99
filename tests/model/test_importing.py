"""Folders that smp's save_pretrained writes, made into models."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch

from geoseg.errors import ModelError, OutputError
from geoseg.model import importing
from geoseg.model.card import BandScaling, ModelCard, read_card
from geoseg.model.device import Device
from geoseg.model.halo import image_side_px, patchwork_image
from geoseg.model.importing import ImportRequest, import_smp_folder
from geoseg.model.network import build_network, load_weights, network_stride_px
from geoseg.model.torch_predictor import load_predictor
from tests.fakes import legend_of

REQUEST = ImportRequest(
    name="mine", title="Mine", description="", bands=("red", "green", "blue"),
    scaling=(BandScaling(offset=120, divisor=60),) * 3, value_range=(0, 255),
    gsd_m=None, gsd_range_m=None, legend=legend_of(3),
)  # fmt: skip


def saved(folder: Path, architecture: str, **more: object) -> Path:
    torch.manual_seed(0)
    network = smp.create_model(architecture, encoder_weights=None, in_channels=3, classes=3, **more)
    network.save_pretrained(folder)
    return folder


LIGHT = {"encoder_name": "mobilenet_v2", "encoder_depth": 2}
CASES = {
    "unet": {**LIGHT, "decoder_channels": [8, 8]},
    "pspnet": {**LIGHT, "encoder_depth": 3, "psp_out_channels": 16},
}
# One scene instead of the two synthetic ones: half the time.
IMAGES = [patchwork_image(1, 3, image_side_px(8), (0.0, 255.0))]


@pytest.mark.parametrize("architecture", CASES)
def test_architectures_become_models_that_work(tmp_path: Path, architecture: str) -> None:
    source = saved(tmp_path / "smp", architecture, **CASES[architecture])
    card = import_smp_folder(source, tmp_path / "모델 1", REQUEST, images=IMAGES)
    assert read_card(tmp_path / "모델 1") == card
    assert card.network.architecture == architecture
    assert card.halo_px % card.stride_px == 0
    assert card.facts["halo_curve"]
    if architecture == "pspnet":  # pools over the whole window
        assert card.stitch == "blend"
    predictor = load_predictor(tmp_path / "모델 1", card, Device(name="cpu", precision="fp32"))
    image = patchwork_image(3, 3, 96, (0.0, 255.0))
    assert predictor.labels(image[None], 8).channel.shape == (1, 80, 80)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure nothing."""
    monkeypatch.setattr(importing, "_measured", lambda draft, *_: draft)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("smp"), "unet", **CASES["unet"])


@pytest.mark.usefixtures("quick")
def test_overwrite_replaces_model_folders_only(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "m"
    import_smp_folder(source, out, REQUEST)
    second = replace(REQUEST, title="Second")
    import_smp_folder(source, out, second, overwrite=True)
    assert read_card(out).title == "Second"
    (out / "card.json").write_text("{")  # damaged, still a model
    import_smp_folder(source, out, REQUEST, overwrite=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"also holds 'notes.txt'"):
        import_smp_folder(source, out, REQUEST, overwrite=True)
    for name, make in {
        "empty": lambda p: p.mkdir(),
        "file": lambda p: p.write_text("x"),
        "link": lambda p: p.symlink_to(out),
    }.items():
        make(tmp_path / name)
        with pytest.raises(OutputError, match=r"replaces model folders only"):
            import_smp_folder(source, tmp_path / name, REQUEST, overwrite=True)
    assert read_card(out).title == "Mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file", "link", "m"]


@pytest.mark.usefixtures("quick")
def test_the_old_model_stays_where_the_new_one_cannot_come(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    import_smp_folder(source, out, REQUEST)
    before = (out / "card.json").read_bytes()
    real = os.replace

    def refuse(old: Path, new: Path) -> None:
        if Path(new) == out and not str(old).endswith(".old"):
            raise PermissionError(13, "Permission denied")
        real(old, new)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match=r"cannot write .*m: Permission denied"):
        import_smp_folder(source, out, replace(REQUEST, title="Second"), overwrite=True)
    assert (out / "card.json").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.usefixtures("quick")
def test_a_folder_filled_while_measuring_is_left_alone(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"

    def slow(draft: ModelCard, *_: object) -> ModelCard:
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
        return draft

    monkeypatch.setattr(importing, "_measured", slow)
    with pytest.raises(OutputError, match="exists already"):
        import_smp_folder(source, out, REQUEST)
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.usefixtures("quick")
def test_a_full_disk_is_one_line(full_disk: Path, source: Path) -> None:
    with pytest.raises(OutputError, match="No space left on device"):
        import_smp_folder(source, full_disk / "m", REQUEST)
    assert list(full_disk.iterdir()) == []


def test_weights_without_permission_are_one_line(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def refuse(path: Path, *more: object, **named: object) -> object:
        if path == source / "model.safetensors":
            raise PermissionError(13, "Permission denied")
        return real(path, *more, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelError, match=r"cannot read .*model\.safetensors: Permission denied"):
        import_smp_folder(source, tmp_path / "m", REQUEST)


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "{}",
        "3",
        '{"_model_class": "Unet", "encoder_name": "x", "classes": 1e400}',
        "[" * 9999,
    ],
)
def test_a_config_that_is_none_is_one_line(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match="is not a folder that smp") as caught:
        import_smp_folder(tmp_path, tmp_path / "m", REQUEST)
    assert len(str(caught.value)) < 400


def test_old_names_of_arguments_are_understood(tmp_path: Path) -> None:
    """As smp before 0.5 wrote them."""
    source = saved(tmp_path / "smp", "pspnet", **CASES["pspnet"], decoder_use_norm=False)
    config = json.loads((source / "config.json").read_text())
    config["psp_use_batchnorm"] = config.pop("decoder_use_norm")
    (source / "config.json").write_text(json.dumps(config))
    spec, _ = importing._read_spec(source)
    assert dict(spec.arguments)["decoder_use_norm"] is False
    load_weights(build_network(spec, 3), source / "model.safetensors")


@pytest.mark.usefixtures("quick")
def test_a_network_that_halves_more_often_than_its_encoder_loads(tmp_path: Path) -> None:
    source = saved(tmp_path / "smp", "pan", encoder_name="mobilenet_v2", decoder_channels=8)
    card = import_smp_folder(source, tmp_path / "m", REQUEST)
    predictor = load_predictor(tmp_path / "m", card, Device(name="cpu", precision="fp32"))
    image = patchwork_image(3, 3, 160, (0.0, 255.0))
    assert predictor.labels(image[None], 16).channel.shape == (1, 128, 128)
    with pytest.raises(ModelError, match="the network fails on a window of 64 x 64 px"):
        predictor.labels(image[None, :, :64, :64], 0)


def test_transformers_saved_for_one_window_size_take_any(tmp_path: Path) -> None:
    light = {"decoder_intermediate_channels": [8] * 4, "decoder_fusion_channels": 8}
    source = saved(tmp_path / "smp", "dpt", encoder_name="tu-vit_tiny_patch16_224", **light)
    spec, _ = importing._read_spec(source)
    network = build_network(spec, 3)
    load_weights(network, source / "model.safetensors")
    assert network_stride_px(network) == 16
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 96, 160)).shape == (1, 3, 96, 160)


def test_what_cannot_be_imported_leaves_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match="save_pretrained"):
        import_smp_folder(empty, tmp_path / "out", REQUEST)
    source = saved(tmp_path / "smp", "unet", **CASES["unet"])
    one_band = ImportRequest(**{f: getattr(REQUEST, f) for f in REQUEST.__slots__} | {
        "bands": ("red",), "scaling": REQUEST.scaling[:1],
    })  # fmt: skip
    with pytest.raises(ModelError, match="takes 3 bands"):
        import_smp_folder(source, tmp_path / "out", one_band)
    (source / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match="safetensors"):
        import_smp_folder(source, tmp_path / "out", REQUEST)
    (source / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no"):
        import_smp_folder(source, tmp_path / "out", REQUEST)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "smp"]
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        import_smp_folder(source, tmp_path / "out", REQUEST)
