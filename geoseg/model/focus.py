"""Decode only the part of a window that is kept.

A window's halo is there for the encoder, which looks far. The last layers of a U-Net's
decoder look at a few pixels around each one, and they work on features of full or half
size: two fifths of the bundled model's time. So features are cut to what the kept pixels need
before each step of the decoder. Two pixels of the coarser features are enough: they become
four by upsampling, and two convolutions of 3 x 3 spoil two of them from the outside.

Compiled programs also leave out what upsampling repeats. A convolution of 3 x 3 on features
that were doubled by repeating pixels sees each coarse pixel up to four times; with the
weights of those added up beforehand it is a transposed convolution of 4 x 4 with a stride of
two: 16 products for each coarse pixel instead of 36 (Shi et al. 2016, arXiv:1609.07009, on
the equivalence), and no doubled tensor in memory. Sums run in another order, nothing else.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["FocusedUnet", "focused"]

_MARGIN = 2
_KERNEL = (3, 3)
_DOUBLED = 2
# A convolution of another size may add up in another order; more is a mistake.
_TOLERANCE = 1e-3


class FocusedUnet(torch.nn.Module):
    """A U-Net of smp whose decoder leaves out the rim that nobody asks for."""

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - smp's class, which has no stubs
        *,
        merged: bool = False,
    ) -> None:
        """Take over a network that :func:`focused` has looked at.

        Args:
            network: A U-Net of smp.
            merged: Merge upsampling with the convolution behind it. The weights of the two
                are added up in every call: for programs, which do it once when compiled.
        """
        super().__init__()
        self.network = network
        self._begin = _merged if merged else _doubled

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
            begun = self._begin(block, coarse, skip, times)
            coarse = block.attention2(block.conv2(begun))
            del begun
        logits = self.network.segmentation_head(coarse)
        return _without_rim(logits, crop_px - taken)


def _doubled(
    block: Any,  # noqa: ANN401
    coarse: torch.Tensor,
    skip: torch.Tensor | None,
    times: int,
) -> torch.Tensor:
    """Upsample, join and do the first convolution, as smp's step does for a given size."""
    fine = torch.nn.functional.interpolate(coarse, scale_factor=float(times), mode="nearest")
    if skip is not None:
        fine = block.attention1(torch.cat([fine, skip], dim=1))
    result: torch.Tensor = block.conv1(fine)
    return result


def _merged(
    block: Any,  # noqa: ANN401
    coarse: torch.Tensor,
    skip: torch.Tensor | None,
    times: int,
) -> torch.Tensor:
    """Do the same with upsampling and the convolution as one."""
    conv, *behind = block.conv1
    if times != _DOUBLED:
        return _doubled(block, coarse, skip, times)
    # A plain number: a traced one would keep runtimes from adding up the weights beforehand.
    n_coarse = int(coarse.shape[1])
    kernel = _on_doubled(conv.weight[:, :n_coarse])
    result = torch.nn.functional.conv_transpose2d(coarse, kernel, conv.bias, stride=2, padding=1)
    if skip is not None and int(skip.shape[1]):  # some encoders have none at half size
        beside = torch.nn.functional.conv2d(skip, conv.weight[:, n_coarse:], padding=1)
        result = result + beside
    for layer in behind:
        result = layer(result)
    return result


def _on_doubled(kernel: torch.Tensor) -> torch.Tensor:
    """Return the transposed kernel (in, out, 4, 4) that is ``kernel`` on doubled features.

    Args:
        kernel: (out, in, 3, 3), of a convolution with a rim of one zero.
    """
    for axis in (2, 3):
        first, middle, last = (kernel.select(axis, i) for i in range(_KERNEL[0]))
        # What a coarse pixel adds to the fine ones around it: the one before its two, its
        # two, and the one behind them.
        taps = (last, middle + last, first + middle, first)
        kernel = torch.stack(taps, dim=axis)
    return kernel.transpose(0, 1)


def focused(
    network: torch.nn.Module, example: torch.Tensor, crop_px: int, *, merged: bool = False
) -> FocusedUnet | None:
    """Return the network with a decoder that leaves out rims; None if it is of another kind.

    Args:
        network: In evaluation mode.
        example: Windows (n, band, row, col) to check the result on.
        crop_px: Rim to leave out in the check, a multiple of the encoder's stride.
        merged: See ``FocusedUnet``.
    """
    if not _is_plain_unet(network):
        return None
    candidate = FocusedUnet(network, merged=merged).eval()
    with torch.inference_mode():
        expected = _without_rim(network(example), crop_px)
        try:
            found = candidate(example, crop_px)
        except RuntimeError:  # shapes that do not fit: a decoder of another kind
            return None
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
