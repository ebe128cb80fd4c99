"""Ground of a training to measure the network's halo on."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.window import Window
from geoseg.raster.read import SceneReader
from geoseg.run.model_pixels import filled, read_model_window
from geoseg.run.train_plan import TrainPlan, TrainScene
from geoseg.training.chips import CropPlan, PreparedBlocks
from geoseg.training.split import VALIDATION

__all__ = ["halo_images"]

_IMAGES: Final = 2
_MOSTLY: Final = 0.5


def halo_images(
    plan: TrainPlan, blocks: PreparedBlocks, crops: CropPlan, side_px: int
) -> list[NDArray[Any]]:
    """Return squares to measure the halo on: real ground, or blocks where no scene is so large."""
    offset = np.asarray(crops.offset, np.float32)
    order = sorted(plan.scenes, key=lambda scene: scene.pair.part != VALIDATION)
    images: list[NDArray[Any]] = []
    for scene in order:
        if len(images) < _IMAGES:
            images += _square_of(scene, side_px, offset)
    return images or [_patched(blocks, side_px, offset)]


def _square_of(scene: TrainScene, side_px: int, offset: NDArray[np.float32]) -> list[NDArray[Any]]:
    """Return the middle square of a scene on the model's grid, if it is there and mostly valid."""
    height, width = scene.scale.model_height, scene.scale.model_width
    if min(height, width) < side_px:
        return []
    window = Window((height - side_px) // 2, (width - side_px) // 2, side_px, side_px)
    with SceneReader(scene.scene, scene.bands, "any") as reader:
        values, valid = read_model_window(reader, scene.scale, window)
    return [filled(values, valid, offset)] if valid.mean() > _MOSTLY else []


def _patched(blocks: PreparedBlocks, side_px: int, offset: NDArray[np.float32]) -> NDArray[Any]:
    """Return a square of the fullest blocks side by side, and again."""
    per_row = -(-side_px // blocks.side_px)
    fullest = np.argsort([-float(v.mean()) for v in blocks.valid], kind="stable")
    rows = [
        np.concatenate([filled(blocks.pixels[n], blocks.valid[n], offset) for n in line], axis=2)
        for line in np.resize(fullest, (per_row, per_row))
    ]
    return np.concatenate(rows, axis=1)[:, :side_px, :side_px].copy()
