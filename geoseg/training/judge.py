"""What a trained network is worth on ground that it did not train on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from geoseg.accuracy.evaluation import Evaluation, Tally
from geoseg.legend import Legend
from geoseg.model.predictor import quantise
from geoseg.training.chips import CropPlan, PreparedBlocks
from geoseg.training.fit import FitSettings, predict_blocks
from geoseg.training.label_sets import class_mask, exact_class
from geoseg.training.offsets import Samples

__all__ = ["Example", "judge", "pick_examples", "sampled"]

_MOST_SAMPLES = 200_000


class Example(NamedTuple):
    """A block to look at."""

    pixels: NDArray[np.float32]
    """(band, row, col) raw values."""
    valid: NDArray[np.bool_]
    """(row, col)."""
    truth: NDArray[np.int16]
    """(row, col) class index, -1 where nothing is known."""
    mapped: NDArray[np.int16]
    """(row, col) class index."""


def sampled(
    network: nn.Module,
    blocks: PreparedBlocks,
    part: int,
    crops: CropPlan,
    settings: FitSettings,
    n_classes: int,
) -> Samples:
    """Return pixels from all over a part of the ground, every one with the same chance."""
    numbers = np.flatnonzero(blocks.part == part)
    known = sum(int((exact_class(blocks.labels[n]) >= 0).sum()) for n in numbers)
    step = max(1, known // _MOST_SAMPLES)
    logits, truth, block, first = [], [], [], 0
    for number, found in predict_blocks(network, blocks, numbers, crops, settings):
        exact = exact_class(blocks.labels[number])
        chosen = np.flatnonzero(exact.ravel() >= 0)
        own = chosen[first::step]
        first = (first - len(chosen)) % step
        logits.append(found.reshape(len(found), -1)[:, own].T)
        truth.append(exact.ravel()[own].astype(np.intp))
        block.append(np.full(len(own), number, np.intp))
    if not logits:
        return Samples(
            logits=np.empty((0, n_classes), np.float32),
            truth=np.empty(0, np.intp),
            block=np.empty(0, np.intp),
        )
    return Samples(
        logits=np.concatenate(logits), truth=np.concatenate(truth), block=np.concatenate(block)
    )


def judge(
    network: nn.Module,
    blocks: PreparedBlocks,
    part: int,
    crops: CropPlan,
    settings: FitSettings,
    *,
    temperature: float,
    legend: Legend,
) -> dict[str, Evaluation]:
    """Compare the network with a part of the ground.

    Args:
        network: In evaluation mode.
        blocks: The ground.
        part: Training, validation or test.
        crops: Normalisation.
        settings: Device and precision; whether classes overlap.
        temperature: What logits are divided by.
        legend: The classes.

    Returns:
        One evaluation under the empty name; where classes overlap, one of yes and no for each
        class, under its name. Nothing where that part of the ground is empty.
    """
    numbers = np.flatnonzero(blocks.part == part)
    if settings.overlap:
        return _judged_apart(network, blocks, numbers, crops, settings, legend)
    tally = Tally()
    ids = np.array(legend.ids, np.int64)
    for logits, exact in _answers(network, blocks, numbers, crops, settings):
        known = exact >= 0
        scaled = logits[:, known] / temperature
        best = scaled.max(axis=0)
        confidence = 1 / np.exp(scaled - best).sum(axis=0)
        tally.add_pairs(ids[scaled.argmax(axis=0)], ids[exact[known]], quantise(confidence))
    names = {c.class_id: c.name for c in legend}
    return {} if tally.is_empty else {"": tally.evaluation(names)}


def _judged_apart(
    network: nn.Module,
    blocks: PreparedBlocks,
    numbers: NDArray[np.intp],
    crops: CropPlan,
    settings: FitSettings,
    legend: Legend,
) -> dict[str, Evaluation]:
    """Judge the yes and no of every class by itself."""
    tallies = [Tally() for _ in legend]
    for number, logits in predict_blocks(network, blocks, numbers, crops, settings):
        labels = blocks.labels[number]
        known = labels != 0
        for k, tally in enumerate(tallies):
            chance = 1 / (1 + np.exp(-logits[k][known].astype(np.float64)))
            truth = class_mask(labels[known], k, overlap=True)
            certain = quantise(np.maximum(chance, 1 - chance))
            yes = (chance > 0.5).astype(np.int64)  # noqa: PLR2004 - more likely than not
            tally.add_pairs(yes, truth.astype(np.int64), certain)
    return {
        c.name: tally.evaluation({0: f"not {c.name}", 1: c.name})
        for c, tally in zip(legend, tallies, strict=True)
        if not tally.is_empty
    }


def pick_examples(
    network: nn.Module,
    blocks: PreparedBlocks,
    numbers: NDArray[np.intp],
    crops: CropPlan,
    settings: FitSettings,
) -> list[Example]:
    """Return blocks with what is known and what the network says, without their margins."""
    m = blocks.margin_px
    inner = slice(m, -m) if m else slice(None)
    found = []
    for number, logits in predict_blocks(network, blocks, numbers, crops, settings):
        mapped = logits.argmax(axis=0).astype(np.int16)
        found.append(
            Example(
                pixels=blocks.pixels[number][:, inner, inner].astype(np.float32),
                valid=blocks.valid[number][inner, inner],
                truth=exact_class(blocks.labels[number])[inner, inner],
                mapped=mapped[inner, inner],
            )
        )
    return found


def _answers(
    network: nn.Module,
    blocks: PreparedBlocks,
    numbers: NDArray[np.intp],
    crops: CropPlan,
    settings: FitSettings,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int16]]]:
    """Yield logits (class, row, col) and truth (row, col) block by block."""
    for number, logits in predict_blocks(network, blocks, numbers, crops, settings):
        yield logits, exact_class(blocks.labels[number])
