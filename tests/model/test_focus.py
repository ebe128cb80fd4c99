"""A decoder that leaves out the rim gives what the whole network gives inside it."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch

from geoseg.model import focus as focus_module
from geoseg.model.card import BandScaling
from geoseg.model.device import Device
from geoseg.model.focus import focused
from geoseg.model.torch_predictor import TorchPredictor
from tests.fakes import card_of

SIDE_PX = 192


def network_of(architecture: str = "unet", **arguments: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    made = smp.create_model(
        architecture,
        **{"encoder_name": "resnet18", "encoder_weights": None, "classes": 3} | arguments,
    )
    for module in made.modules():  # as after training: not all zeros and ones
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return made.eval()


def windows(n: int = 1) -> torch.Tensor:
    return torch.randn(n, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("crop_px", [0, 1, 16, 32, 40, 64, 80])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"encoder_name": "tu-resnet10t", "encoder_depth": 4, "decoder_channels": (32, 16, 16, 8)},
        {"encoder_name": "mobilenet_v2"},
        {"encoder_name": "vgg11_bn"},
        # These give features of no channels at half size.
        {"encoder_name": "mit_b0"},
        {"encoder_name": "tu-convnext_atto"},
    ],
)
def test_the_inside_is_the_same(arguments: dict[str, Any], crop_px: int, *, merged: bool) -> None:
    network, images = network_of(**arguments), windows(2)
    focus = focused(network, images, 64, merged=merged)
    assert focus is not None
    with torch.inference_mode():
        inside = slice(crop_px, SIDE_PX - crop_px)
        expected = network(images)[..., inside, inside]
        found = focus(images, crop_px)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("unet", {"decoder_attention_type": "scse"}),
        ("unet", {"decoder_interpolation": "bilinear"}),
        ("fpn", {}),
        ("unetplusplus", {}),
        ("linknet", {}),
        ("manet", {}),
    ],
)
def test_a_decoder_that_looks_further_is_left_alone(
    architecture: str, arguments: dict[str, Any]
) -> None:
    assert focused(network_of(architecture, **arguments), windows(), 64) is None


def test_a_decoder_that_was_changed_is_found_out() -> None:
    network = network_of()
    network.decoder.blocks[-1].conv2.register_forward_hook(
        lambda _, __, output: output - output.mean(dim=(2, 3), keepdim=True)
    )
    assert focused(network, windows(), 64) is None


@pytest.mark.parametrize("skipped_bands", [0, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_is_one_on_doubled_features(
    *, bias: bool, skipped_bands: int
) -> None:
    """To the last digits, at the zeros around the features too."""
    torch.manual_seed(1)
    conv = torch.nn.Conv2d(3 + skipped_bands, 4, 3, padding=1, bias=bias).double()
    block = Namespace(
        conv1=torch.nn.Sequential(conv, torch.nn.ReLU()),
        conv2=torch.nn.Identity(),
        attention1=torch.nn.Identity(),
        attention2=torch.nn.Identity(),
    )
    coarse = torch.randn(2, 3, 7, 9, dtype=torch.float64)
    skip = torch.randn(2, 2, 14, 18, dtype=torch.float64) if skipped_bands else None
    with torch.inference_mode():
        torch.testing.assert_close(
            focus_module._merged(block, coarse, skip, 2),
            focus_module._doubled(block, coarse, skip, 2),
            rtol=1e-12, atol=1e-12,
        )  # fmt: skip


def test_features_that_grow_by_more_are_not_merged() -> None:
    conv = torch.nn.Conv2d(3, 4, 3, padding=1)
    same = torch.nn.Identity()
    block = Namespace(conv1=torch.nn.Sequential(conv), conv2=same, attention2=same)
    coarse = torch.randn(1, 3, 5, 5)
    found = focus_module._merged(block, coarse, None, 4)
    torch.testing.assert_close(found, focus_module._doubled(block, coarse, None, 4))


def test_the_predictor_uses_it_and_gives_the_same_labels() -> None:
    network, card = (
        network_of(),
        card_of(
            3,
            bands=("red", "green", "blue"),
            scaling=(BandScaling(offset=120.0, divisor=60.0),) * 3,
        ),
    )
    device = Device(name="cpu", precision="fp32")
    pixels = np.random.default_rng(0).integers(0, 255, (1, 3, SIDE_PX, SIDE_PX), dtype=np.uint8)
    focus = focused(network, windows(), 64)
    assert focus is not None
    calls = []

    def watched(images: torch.Tensor, crop_px: int) -> torch.Tensor:
        calls.append(crop_px)
        return focus(images, crop_px)

    whole = TorchPredictor(network, card, device).labels(pixels, 48)
    less = TorchPredictor(network, card, device, watched).labels(pixels, 48)
    assert calls == [48]
    np.testing.assert_array_equal(less.channel, whole.channel)
    assert np.abs(less.confidence.astype(int) - whole.confidence).max() <= 1
