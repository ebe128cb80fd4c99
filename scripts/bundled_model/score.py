"""Accuracy as confusion counts; ratios only at the end, so that places can be added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from bundled_model.classes import BUILDING, COUNT, EXACT, NAMES, UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    Counts = NDArray[np.uint8]
    Confusion = NDArray[np.int64]

Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]


def predict(
    model: nn.Module,
    rgb: Counts,
    normalisation: Normalisation,
    *,
    window_px: int = 768,
    halo_px: int = 64,
) -> Counts:
    """Map a whole image by windows with a halo.

    Args:
        model: Gives (item, class, row, col) scores; in evaluation mode.
        rgb: Counts, (3, row, col).
        normalisation: Mean and standard deviation per band, in counts.
        window_px: Side of a window; with the image side a multiple of 32.
        halo_px: Context around the part that is kept.

    Returns:
        Class ids, (row, col).
    """
    height, width = rgb.shape[1:]
    core = window_px - 2 * halo_px
    padding = ((0, 0), (halo_px, halo_px + -height % core), (halo_px, halo_px + -width % core))
    mean, std = (np.asarray(part, dtype=np.float32)[:, None, None] for part in normalisation)
    padded = np.pad(rgb, padding, mode="reflect" if min(height, width) > window_px else "symmetric")
    out = np.zeros((height + -height % core, width + -width % core), dtype=np.uint8)
    with torch.inference_mode():
        for row in range(0, out.shape[0], core):
            for col in range(0, out.shape[1], core):
                window = (
                    padded[:, row : row + window_px, col : col + window_px].astype(np.float32)
                    - mean
                ) / std
                scores = model(
                    torch.from_numpy(window)[None].contiguous(memory_format=torch.channels_last)
                )
                labels = scores[0, :, halo_px : halo_px + core, halo_px : halo_px + core].argmax(
                    dim=0
                )
                out[row : row + core, col : col + core] = labels.numpy()
    return out[:height, :width]


def confusion(truth: Counts, predicted: Counts) -> Confusion:
    """Count pixels by true and predicted class where the truth is one class; (true, predicted)."""
    total = np.zeros((COUNT, COUNT), dtype=np.int64)
    for label in range(COUNT):
        total[label] = np.bincount(predicted[truth == EXACT[label]], minlength=COUNT)[:COUNT]
    return total


def building_confusion(truth: Counts, predicted: Counts) -> Confusion:
    """Count pixels by building or not, where that is known; (true, predicted), building first."""
    known = truth != UNKNOWN
    is_true, is_found = (truth == EXACT[BUILDING])[known], (predicted == BUILDING)[known]
    hit, miss, wrong = (
        (is_true & is_found).sum(),
        (is_true & ~is_found).sum(),
        (~is_true & is_found).sum(),
    )
    return np.asarray([[hit, miss], [wrong, known.sum() - hit - miss - wrong]], dtype=np.int64)


def ratios(counts: Confusion, names: tuple[str, ...] = NAMES) -> dict[str, object]:
    """Turn confusion counts into ratios per class, mean IoU and overall accuracy.

    The mean IoU is over the classes that occur in the truth.
    """
    diagonal, true, found = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    classes = {}
    for number, name in enumerate(names):
        hit, union = int(diagonal[number]), int(true[number] + found[number] - diagonal[number])
        classes[name] = {
            "iou": _share(hit, union),
            "f1": _share(2 * hit, int(true[number] + found[number])),
            "precision": _share(hit, int(found[number])),
            "recall": _share(hit, int(true[number])),
            "pixels": int(true[number]),
        }
    ious = [part["iou"] for part in classes.values() if part["pixels"]]
    return {
        "classes": classes,
        "mean_iou": round(float(np.mean(ious)), 4) if ious else 0.0,
        "overall_accuracy": _share(int(diagonal.sum()), int(counts.sum())),
        "pixels": int(counts.sum()),
    }


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
