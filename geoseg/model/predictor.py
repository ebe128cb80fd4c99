"""The seam between geoseg and whatever runs a network: two methods on arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geoseg.confidence import CONFIDENCE_STEPS
from geoseg.errors import ModelError, OutOfDeviceMemoryError

__all__ = [
    "LabelBatch",
    "Pixels",
    "Predictor",
    "Prepared",
    "labels_from_scores",
    "no_memory_error",
    "not_finite_error",
    "program_error",
    "quantise",
]

Pixels = NDArray[np.uint8] | NDArray[np.float32]


class LabelBatch(NamedTuple):
    """What a map needs of a forward pass."""

    channel: NDArray[np.uint8]
    """(n, row, col), index of the highest score in the legend."""
    confidence: NDArray[np.uint8]
    """(n, row, col), the highest score as 0..250."""


class Predictor(Protocol):
    """Runs a network on batches of equal windows.

    Implementations are safe to call from several threads, normalise the pixels
    themselves, and give the same result for a window whatever else is in the batch.
    They raise ``OutOfDeviceMemoryError`` where the batch does not fit.
    """

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return (n, class, row, col) scores 0..1; of a softmax model they add up to 1.

        Args:
            pixels: (n, band, row, col) raw pixel values.
        """
        ...

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        """Return class and confidence, without ``crop_px`` pixels on every side.

        Equal to ``labels_from_scores`` of the cropped scores.
        """
        ...


@runtime_checkable
class Prepared(Protocol):
    """A predictor with something to do before its first call, which may be done beforehand."""

    def prepare(self, crop_px: int | None) -> None:
        """Get ready to give labels without ``crop_px`` at each side; scores where it is None."""
        ...


def labels_from_scores(scores: NDArray[np.float32]) -> LabelBatch:
    """Return the best class, the first of equals, and its quantised score.

    Args:
        scores: (n, class, row, col), 0..1.
    """
    channel = scores.argmax(axis=1).astype(np.uint8)
    best = scores.max(axis=1)
    return LabelBatch(channel, quantise(best))


def quantise(scores: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return 0..1 as whole steps 0..250, halves to even."""
    steps: NDArray[np.uint8] = np.rint(np.clip(scores, 0, 1) * CONFIDENCE_STEPS).astype(np.uint8)
    return steps


def no_memory_error(device: str, pixels: Pixels) -> OutOfDeviceMemoryError:
    """Return the error of a device that has no room for a batch (n, band, row, col)."""
    n, _, height, width = pixels.shape
    msg = f"{device} has no memory left for {n} x {height} x {width} px"
    return OutOfDeviceMemoryError(msg, hint="Give it smaller windows with --window-px.")


def program_error(
    error: Exception, what: str, pixels: Pixels, no_memory: tuple[str, ...]
) -> ModelError | OutOfDeviceMemoryError:
    """Return the error of a program that does not get through a batch on the CPU.

    Args:
        error: What the runtime raised.
        what: The part of its text that is worth showing.
        pixels: (n, band, row, col).
        no_memory: Phrases, in lower case, by which the runtime says that memory ran out.
    """
    if isinstance(error, MemoryError) or any(p in str(error).lower() for p in no_memory):
        return no_memory_error("cpu", pixels)
    height, width = pixels.shape[2:]
    msg = f"the network fails on a window of {width} x {height} px: {what}"
    return ModelError(msg, hint="It may need larger windows (--window-px), or --backend torch.")


def not_finite_error(precision: str, pixels: Pixels) -> ModelError:
    """Return the error of a network whose scores are NaN or infinite.

    Without it such a pixel would quietly get some class.
    """
    msg = (
        f"the network gives scores that are not finite in {precision} for pixel "
        f"values {pixels.min():g} to {pixels.max():g}"
    )
    half = "Repeat with --precision fp32."
    whole = "Its weights hold NaN or infinity, or the values are far outside its range."
    return ModelError(msg, hint=whole if precision == "fp32" else half)
