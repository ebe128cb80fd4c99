"""The accuracy table: places the model chose itself by, never saw, or was drawn like."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sample_scenes import STYLES, make_scene

from bundled_model import data
from bundled_model.classes import COUNT, EXACT, UNKNOWN
from bundled_model.score import building_confusion, confusion, predict, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from bundled_model.data import Source
    from bundled_model.score import Normalisation

    Counts = NDArray[np.uint8]

logger = logging.getLogger(__name__)

BUILDING_OR_NOT = ("building", "not building")
HELD_OUT_SEED = 500


def predict_at(
    model: nn.Module, source: Source, normalisation: Normalisation, gsd_m: float
) -> Counts:
    """Map a place at the model's resolution and bring the classes back to the place's grid.

    Args:
        model: In evaluation mode.
        source: The place; pixels without data are filled with the mean, as when a scene is mapped.
        normalisation: Mean and standard deviation per band, in counts.
        gsd_m: What the model works at.

    Returns:
        Class ids on the grid of the place, (row, col).
    """
    rgb = np.moveaxis(source.rgb, 0, -1).copy()
    rgb[(source.allowed == UNKNOWN) & (rgb == 0).all(axis=-1)] = np.asarray(
        normalisation[0], dtype=np.uint8
    )
    height, width = source.allowed.shape
    scale = source.gsd_m / gsd_m
    image = Image.fromarray(rgb)
    if abs(scale - 1) > 0.01:
        image = image.resize(
            (round(width * scale), round(height * scale)), Image.Resampling.BILINEAR
        )
    labels = predict(
        model, np.ascontiguousarray(np.moveaxis(np.asarray(image), -1, 0)), normalisation
    )
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))


def score_all(
    model: nn.Module, folder: Path, tiles: Path, normalisation: Normalisation, gsd_m: float
) -> dict[str, object]:
    """Score the model everywhere.

    Args:
        model: In evaluation mode.
        folder: The data sets.
        tiles: The sample scenes.
        normalisation: Mean and standard deviation per band, in counts.
        gsd_m: What the model works at.

    Returns:
        Ratios by name of the place, ready for JSON.
    """
    dubai = [data.read_dubai_tile(folder / "dubai-landcover", number) for number in (1, 3)]
    samples = [
        data.read_labelled_pair(path, tiles / "labels" / path.name)
        for path in sorted(tiles.glob("*.tif"))
    ]
    banepa = data.read_hot_place(folder / "hot-oam-buildings", 3)
    suburb = data.read_massachusetts(folder / "nrcan-aerial-labelled")
    table = {"dubai tiles 1 and 3": _five(model, dubai, normalisation, gsd_m)}
    table |= {place.name: _five(model, [place], normalisation, gsd_m) for place in dubai}
    for work_m in (0.5, 0.7, 1.0):
        table[f"banepa buildings, mapped at {work_m} m"] = _two(
            model, banepa, normalisation, work_m
        )
    table["massachusetts buildings"] = _two(model, suburb, normalisation, gsd_m)
    table["sample scenes"] = _five(model, samples, normalisation, gsd_m)
    table |= {
        f"sample scene {place.name}": _five(model, [place], normalisation, gsd_m)
        for place in samples
    }
    for given_m in (0.3, 0.5, 1.0, 1.5, 2.0, 2.5):
        table[f"synthetic scenes given at {given_m} m"] = _five(
            model, _drawn_at(given_m), normalisation, gsd_m
        )
    return dict(table)


def _five(
    model: nn.Module, sources: Sequence[Source], normalisation: Normalisation, gsd_m: float
) -> dict[str, object]:
    total = np.zeros((COUNT, COUNT), dtype=np.int64)
    for source in sources:
        total += confusion(source.allowed, predict_at(model, source, normalisation, gsd_m))
    scores = ratios(total)
    logger.info(
        "%s: mean IoU %s", ", ".join(source.name for source in sources)[:60], scores["mean_iou"]
    )
    return {**scores, "confusion_true_by_predicted": total.tolist()}


def _two(
    model: nn.Module, source: Source, normalisation: Normalisation, work_m: float
) -> dict[str, object]:
    total = building_confusion(source.allowed, predict_at(model, source, normalisation, work_m))
    scores = ratios(total, BUILDING_OR_NOT)
    logger.info("%s at %s m: %s", source.name, work_m, scores["classes"])
    return {**scores, "confusion_true_by_predicted": total.tolist()}


def _drawn_at(gsd_m: float, side_m: float = 480.0) -> list[Source]:
    """Draw scenes of seeds that neither training nor the sample scenes use."""
    side = round(side_m / gsd_m)
    table = np.zeros(256, dtype=np.uint8)
    table[: len(EXACT)] = EXACT
    scenes = []
    for seed, style in enumerate(STYLES, start=HELD_OUT_SEED):
        rgb, labels, _ = make_scene(seed, side, side, gsd_m, style)
        scenes.append(
            data.Source(name=f"{style}_{gsd_m}", rgb=rgb, allowed=table[labels], gsd_m=gsd_m)
        )
    return scenes
