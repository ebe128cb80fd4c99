"""Folding batch normalisation changes nothing but rounding."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch

from geoseg.model.fold import folded


def norms(network):
    return sum(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def smp_network(arch, encoder):
    torch.manual_seed(3)
    network = smp.create_model(arch, encoder_name=encoder, encoder_weights=None, classes=3).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize(
    ("arch", "encoder", "left"),
    [("unet", "resnet18", 0), ("fpn", "tu-mobilenetv4_conv_small", 44)],
)
def test_same_scores_fewer_layers(arch, encoder, left):
    network = smp_network(arch, encoder)
    before = norms(network)
    lighter = folded(network, torch.randn(1, 3, 128, 128))
    assert norms(lighter) == left
    assert norms(network) == before  # the given one is not changed
    pixels = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        torch.testing.assert_close(lighter(pixels), network(pixels), rtol=1e-4, atol=1e-4)


class Shared(torch.nn.Module):
    """Uses the convolution's output twice, so it must not be folded."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1)
        self.norm = torch.nn.BatchNorm2d(3)
        self.norm.running_mean.fill_(2.0)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


def test_shared_output_is_left_alone():
    network = Shared().eval()
    assert folded(network, torch.randn(1, 3, 8, 8)) is network


def test_module_called_twice_is_left_alone():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.BatchNorm2d(3)).eval()
    twice = torch.nn.Sequential(network, network).eval()
    assert folded(twice, torch.randn(1, 3, 8, 8)) is twice
