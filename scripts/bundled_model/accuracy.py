"""The accuracy table: places the model chose itself by, never saw, or was drawn like."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sample_scenes import STYLES, make_scene

from bundled_model import data
from bundled_model.classes import EXACT, UNKNOWN
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
SAME_SCALE = 0.01


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
    if source.black_is_nodata:
        rgb[(source.allowed == UNKNOWN) & (rgb == 0).all(axis=-1)] = np.asarray(
            normalisation[0], dtype=np.uint8
        )
    height, width = source.allowed.shape
    scale = source.gsd_m / gsd_m
    image = Image.fromarray(rgb)
    if abs(scale - 1) > SAME_SCALE:
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
    table = _five("dubai tiles 1 and 3", dubai, model, normalisation, gsd_m)
    for work_m in (0.5, 0.7, 1.0):
        name = f"banepa buildings, mapped at {work_m} m"
        table[name] = _two(model, banepa, normalisation, work_m)
    table["massachusetts buildings"] = _two(model, suburb, normalisation, gsd_m)
    table |= _five("sample scenes", samples, model, normalisation, gsd_m)
    for given_m in (0.3, 0.5, 1.0, 1.5, 2.0):
        name = f"synthetic scenes given at {given_m} m"
        table[name] = _five(name, _drawn_at(given_m), model, normalisation, gsd_m)[name]
    return table


def _five(
    title: str,
    sources: Sequence[Source],
    model: nn.Module,
    normalisation: Normalisation,
    gsd_m: float,
) -> dict[str, object]:
    """Score places one by one and added up."""
    counts = {
        source.name: confusion(source.allowed, predict_at(model, source, normalisation, gsd_m))
        for source in sources
    }
    total = np.sum(list(counts.values()), axis=0)
    named = {title: total, **{f"{title}: {name}": part for name, part in counts.items()}}
    for name, part in named.items():
        logger.info("%s: mean IoU %s", name, ratios(part)["mean_iou"])
    return {
        name: {**ratios(part), "confusion_true_by_predicted": part.tolist()}
        for name, part in named.items()
    }


def _two(
    model: nn.Module, source: Source, normalisation: Normalisation, work_m: float
) -> dict[str, object]:
    total = building_confusion(source.allowed, predict_at(model, source, normalisation, work_m))
    scores = ratios(total, BUILDING_OR_NOT)
    logger.info("%s at %s m: %s", source.name, work_m, scores["classes"])
    return {**scores, "confusion_true_by_predicted": total.tolist()}


def _drawn_at(gsd_m: float, side_m: float = 240.0) -> list[Source]:
    """Draw scenes of seeds that neither training nor the sample scenes use."""
    side = round(side_m / gsd_m)
    table = np.zeros(256, dtype=np.uint8)
    table[: len(EXACT)] = EXACT
    scenes = []
    for seed, style in enumerate(STYLES, start=HELD_OUT_SEED):
        rgb, labels, _ = make_scene(seed, side, side, gsd_m, style)
        scenes.append(
            data.Source(
                name=style, black_is_nodata=True, rgb=rgb, allowed=table[labels], gsd_m=gsd_m
            )
        )
    return scenes
