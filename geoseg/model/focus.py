"""Decode only the part of a window that is kept.

A window's halo is there for the encoder, which looks far. The last layers of a U-Net's
decoder look at a few pixels around each one, and they work on features of full or half
size: two fifths of the bundled model's time. So features are cut to what the kept pixels need
before each step of the decoder. Two pixels of the coarser features are enough: they become
four by upsampling, and two convolutions of 3 x 3 spoil two of them from the outside.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["FocusedUnet", "focused"]

_MARGIN = 2
_KERNEL = (3, 3)
# A convolution of another size may add up in another order; more is a mistake.
_TOLERANCE = 1e-3


class FocusedUnet(torch.nn.Module):
    """A U-Net of smp whose decoder leaves out the rim that nobody asks for."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - smp's class, which has no stubs
        """Take over a network that :func:`focused` has looked at."""
        super().__init__()
        self.network = network

    def forward(self, windows: torch.Tensor, crop_px: int) -> torch.Tensor:
        """Return the logits (n, class, row, col) without ``crop_px`` at each side.

        Args:
            windows: (n, band, row, col).
            crop_px: A multiple of the encoder's stride.
        """
        # Each feature is let go of as soon as it is used, for together they are large.
        features = list(self.network.encoder(windows))
        # Plain numbers: a traced program shall hold the rims as constants.
        steps_px = [int(windows.shape[2]) // int(f.shape[2]) for f in features][::-1]
        del windows, features[0]
        coarse, taken = self.network.decoder.center(features.pop()), 0
        for i, block in enumerate(self.network.decoder.blocks):
            # What has been cut from these features before, and what may go in all.
            spare = max(crop_px // steps_px[i] - _MARGIN, 0)
            coarse = _without_rim(coarse, spare - taken)
            times = steps_px[i] // steps_px[i + 1]
            taken = times * spare
            skip = _without_rim(features.pop(), taken) if features else None
            coarse = _decoded(block, coarse, skip, times)
        logits = self.network.segmentation_head(coarse)
        return _without_rim(logits, crop_px - taken)


def _decoded(
    block: Any,  # noqa: ANN401
    coarse: torch.Tensor,
    skip: torch.Tensor | None,
    times: int,
) -> torch.Tensor:
    """Do a step of smp's decoder, whose own asks for the size instead of the factor."""
    fine = torch.nn.functional.interpolate(coarse, scale_factor=float(times), mode="nearest")
    if skip is not None:
        fine = block.attention1(torch.cat([fine, skip], dim=1))
    result: torch.Tensor = block.attention2(block.conv2(block.conv1(fine)))
    return result


def focused(network: torch.nn.Module, example: torch.Tensor, crop_px: int) -> FocusedUnet | None:
    """Return the network with a decoder that leaves out rims; None if it is of another kind.

    Args:
        network: In evaluation mode.
        example: Windows (n, band, row, col) to check the result on.
        crop_px: Rim to leave out in the check, a multiple of the encoder's stride.
    """
    if not _is_plain_unet(network):
        return None
    candidate = FocusedUnet(network).eval()
    with torch.inference_mode():
        expected = _without_rim(network(example), crop_px)
        found = candidate(example, crop_px)
    same = found.shape == expected.shape and torch.allclose(
        found, expected, rtol=_TOLERANCE, atol=_TOLERANCE
    )
    return candidate if same else None


def _is_plain_unet(network: Any) -> bool:  # noqa: ANN401
    """Tell whether every step of the decoder looks two pixels far, and no further."""
    blocks = getattr(getattr(network, "decoder", None), "blocks", ())
    head = getattr(network, "segmentation_head", None)
    return (
        type(network).__name__ == "Unet"
        and len(blocks) > 0
        and all(getattr(block, "interpolation_mode", None) == "nearest" for block in blocks)
        and all(_kernels(block) == [_KERNEL, _KERNEL] for block in blocks)
        and _kernels(head) == [_KERNEL]
        and getattr(network, "classification_head", None) is None
    )


def _kernels(module: Any) -> list[tuple[int, ...]]:  # noqa: ANN401
    """Return the kernel sizes of all convolutions; attention has more of them."""
    return [m.kernel_size for m in module.modules() if isinstance(m, torch.nn.Conv2d)]


def _without_rim(features: torch.Tensor, rim_px: int) -> torch.Tensor:
    return features[..., rim_px:-rim_px, rim_px:-rim_px] if rim_px > 0 else features
