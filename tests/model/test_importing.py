"""Folders that smp's save_pretrained writes, made into models."""

from __future__ import annotations

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch

from geoseg.errors import ModelError, OutputError
from geoseg.model.card import BandScaling, read_card
from geoseg.model.device import Device
from geoseg.model.halo import image_side_px, patchwork_image
from geoseg.model.importing import ImportRequest, import_smp_folder
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
