"""What a forward pass takes of the memory, measured in a process of its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path

import numpy as np

from geoseg.errors import OutOfDeviceMemoryError
from geoseg.memory import peak_memory_bytes, return_freed_pages
from geoseg.model.card import ModelCard
from geoseg.model.device import Device

__all__ = ["activation_bytes_per_px", "peak_device_bytes"]

_SIDE_PX = 1024
_SMALL_PX = 128
_CLEAR_REFS = Path("/proc/self/clear_refs")


def activation_bytes_per_px(folder: Path, card: ModelCard) -> float:
    """Return the peak memory of a fp32 forward pass per window pixel, on the CPU.

    A process that has done anything else before has memory to reuse, and would measure
    too little.

    Raises:
        ModelError: The weights are missing or damaged.
        OutOfDeviceMemoryError: The machine has no memory for a window of 1024 px.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_measured, folder, card).result()
    except BrokenProcessPool as error:
        msg = "the process that measured the network's memory was killed, probably for want of it"
        raise OutOfDeviceMemoryError(msg, hint="Use a machine with more memory.") from error


def peak_device_bytes(device: Device) -> int | None:
    """Return the most memory that this process has held on a CUDA device; None elsewhere."""
    if not device.name.startswith("cuda"):
        return None
    import torch  # noqa: PLC0415 - 1.2 s

    return int(torch.cuda.max_memory_allocated(device.name))


def _measured(folder: Path, card: ModelCard) -> float:
    from geoseg.model.torch_predictor import load_predictor  # noqa: PLC0415 - needs torch

    predictor = load_predictor(folder, card, Device(name="cpu", precision="fp32"))
    # The first pass also loads the kernels.
    predictor.labels(_blank(card, max(_SMALL_PX, 4 * card.stride_px)), 0)
    _forget_peak()
    before = peak_memory_bytes() or 0
    side_px = _SIDE_PX // card.stride_px * card.stride_px
    predictor.labels(_blank(card, side_px), 0)
    spent = (peak_memory_bytes() or 0) - before
    return max(spent / side_px**2, 4.0 * len(card.legend))


def _forget_peak() -> None:
    """Let the peak start from what is held now, where the system can.

    Loading holds the weights several times. A pass that stays below that peak would be
    measured as if it took nothing, and windows would be made far too large.
    """
    return_freed_pages()
    with suppress(OSError):  # not Linux
        _CLEAR_REFS.write_text("5", encoding="ascii")


def _blank(card: ModelCard, side_px: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.zeros((1, len(card.bands), side_px, side_px), np.uint8)
