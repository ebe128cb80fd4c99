"""A fully convolutional network, Long, Shelhamer and Darrell 2015 (arXiv:1411.4038).

Scores of the three deepest levels of an encoder are added up, from coarse to fine ("FCN-8s"
where the encoder halves five times), and brought to full size by interpolation. The simplest
of all decoders: small, quick, and blurred at borders.
"""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional

__all__ = ["Fcn"]

_LEVELS = 3


class Fcn(nn.Module):
    """An smp encoder with one 1 x 1 convolution per level."""

    def __init__(
        self, encoder_name: str, *, in_channels: int, classes: int, encoder_depth: int = 5
    ) -> None:
        """Build it with fresh weights.

        Args:
            encoder_name: Name that smp or timm knows.
            in_channels: Bands.
            classes: Score channels.
            encoder_depth: How often the encoder halves.
        """
        super().__init__()
        self.encoder = smp.encoders.get_encoder(
            encoder_name, in_channels=in_channels, depth=encoder_depth, weights=None
        )
        deepest = self.encoder.out_channels[-_LEVELS:]
        self.heads = nn.ModuleList(nn.Conv2d(width, classes, 1) for width in deepest)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (n, class, row, col) scores for (n, band, row, col) images."""
        features = self.encoder(image)[-_LEVELS:]
        levels = [head(part) for head, part in zip(self.heads, features, strict=True)]
        total = levels[-1]
        for finer in reversed(levels[:-1]):
            total = _resized(total, finer) + finer
        return _resized(total, image)


def _resized(scores: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(scores, like.shape[2:], mode="bilinear", align_corners=False)
