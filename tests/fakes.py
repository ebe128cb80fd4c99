"""Models of tests. Predictors with exact, known answers: first-class implementations of ``Predictor``.

All of them compute in whole numbers, so that "equal" in a test means equal. What they see
beyond the border of a window is nothing (zero), never a mirror image: a test of seams
must notice a halo that is too small.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import OutOfDeviceMemoryError
from geoseg.legend import Legend, LegendClass
from geoseg.model.card import BandScaling, ModelCard, NetworkSpec
from geoseg.model.predictor import LabelBatch, Pixels, Predictor, labels_from_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray


def one_hot(channel: NDArray[np.intp], n_classes: int, best: float = 0.75) -> NDArray[np.float32]:
    """Return (n, class, row, col) scores with ``best`` for the channel, the rest shared."""
    rest = (1 - best) / max(n_classes - 1, 1)
    scores = np.full((channel.shape[0], n_classes, *channel.shape[1:]), rest, np.float32)
    np.put_along_axis(scores, channel[:, None], np.float32(best), axis=1)
    return scores


def cropped(scores: NDArray[np.float32], crop_px: int) -> NDArray[np.float32]:
    height, width = scores.shape[2:]
    return scores[:, :, crop_px : height - crop_px, crop_px : width - crop_px]


class _FromScores:
    """Labels by the contract's own definition."""

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        raise NotImplementedError

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        return labels_from_scores(cropped(self.scores(pixels), crop_px))


class IdentityPredictor(_FromScores):
    """Class of a pixel: how many of the thresholds band 1 reaches."""

    def __init__(self, thresholds: tuple[float, ...]) -> None:
        self.thresholds = np.array(thresholds)

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        channel = np.searchsorted(self.thresholds, pixels[:, 0], side="right")
        return one_hot(channel, len(self.thresholds) + 1)


class BoxFilterPredictor(_FromScores):
    """Class of a pixel: which of equal value ranges the mean of (2r + 1)^2 pixels is in.

    The sum over the box, an exact integer, decides the class and the score alike.
    """

    def __init__(self, radius: int, n_classes: int = 3, top: int = 255) -> None:
        self.radius, self.n_classes = radius, n_classes
        self.full = top * (2 * radius + 1) ** 2

    def sums(self, plane: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return box sums (n, row, col) of planes padded with nothing."""
        r = self.radius
        padded = np.pad(plane, ((0, 0), (r + 1, r), (r + 1, r)))
        table = padded.cumsum(axis=1).cumsum(axis=2)
        k = 2 * r + 1
        return table[:, k:, k:] - table[:, :-k, k:] - table[:, k:, :-k] + table[:, :-k, :-k]

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        sums = self.sums(np.rint(pixels[:, 0]).astype(np.int64))
        share = sums / self.full
        # Triangular memberships of the centres 0, 1/(n-1), ... 1: they add up to 1.
        centres = np.linspace(0, 1, self.n_classes)[:, None, None]
        member = 1 - np.abs(share[:, None] - centres) * (self.n_classes - 1)
        return np.clip(member, 0, None).astype(np.float32)


class GlobalPredictor(_FromScores):
    """Every pixel's score depends on the whole window: no halo is ever enough."""

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        mean = pixels[:, 0].mean(axis=(1, 2), keepdims=True)
        return one_hot((pixels[:, 0] > mean).astype(np.intp), 2)


class WindowMeanPredictor(_FromScores):
    """Score of class 1: mix of the pixel and the window's mean; windows disagree mildly."""

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        plane = pixels[:, 0].astype(np.float64) / 255
        share = 0.7 * plane + 0.3 * plane.mean(axis=(1, 2), keepdims=True)
        return np.stack([1 - share, share], axis=1).astype(np.float32)


class Recorder:
    """Passes everything on to another predictor and remembers what it was given."""

    def __init__(self, inner: Predictor) -> None:
        self.inner = inner
        self.batches: list[Pixels] = []
        self._guard = threading.Lock()

    def _note(self, pixels: Pixels) -> None:
        with self._guard:
            self.batches.append(np.array(pixels))

    @property
    def windows(self) -> int:
        return sum(len(batch) for batch in self.batches)

    @property
    def shapes(self) -> set[tuple[int, ...]]:
        return {batch.shape for batch in self.batches}

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        self._note(pixels)
        return self.inner.scores(pixels)

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        self._note(pixels)
        return self.inner.labels(pixels, crop_px)


class SmallDevicePredictor:
    """A device that holds batches of at most ``room_px`` pixels."""

    def __init__(self, inner: Predictor, room_px: int) -> None:
        self.inner, self.room_px, self.refused = inner, room_px, 0

    def _claim(self, pixels: Pixels) -> None:
        if pixels.shape[0] * pixels.shape[2] * pixels.shape[3] > self.room_px:
            self.refused += 1
            msg = "the fake device has no memory left for this batch"
            raise OutOfDeviceMemoryError(msg)

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        self._claim(pixels)
        return self.inner.scores(pixels)

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        self._claim(pixels)
        return self.inner.labels(pixels, crop_px)


_CONFORMS: tuple[Predictor, ...] = (
    IdentityPredictor((1,)),
    BoxFilterPredictor(1),
    GlobalPredictor(),
    WindowMeanPredictor(),
    Recorder(GlobalPredictor()),
    SmallDevicePredictor(GlobalPredictor(), 1),
)


def legend_of(n_classes: int, *, nodata_id: int = 255, first: int = 0) -> Legend:
    """Return classes ``first, first + 1, ...`` with distinct colours."""
    return Legend(
        classes=tuple(
            LegendClass(class_id=first + i, name=f"class {i}", colour=f"#{40 * i:02x}80ff")
            for i in range(n_classes)
        ),
        nodata_id=nodata_id,
    )


def card_of(n_classes: int = 3, **changes: object) -> ModelCard:
    """Return the card of a model that a fake predictor stands for."""
    plain = ModelCard(
        name="fake",
        title="A fake",
        description="Stands for a predictor of the tests.",
        network=NetworkSpec(architecture="unet", encoder="resnet18", n_outputs=n_classes),
        bands=("red",),
        scaling=(BandScaling(offset=0.0, divisor=1.0),),
        value_range=(0.0, 255.0),
        gsd_m=None,
        gsd_range_m=None,
        legend=legend_of(n_classes),
        stride_px=1,
        halo_px=0,
        stitch="crop",
        weights_file="weights.bin",
        weights_sha256=hashlib.sha256(b"fake").hexdigest(),
        weights_bytes=4,
        activation_bytes_per_px=10.0,
    )
    return replace(plain, **changes)


def write_torch_model(folder: Path, card: ModelCard, *, seed: int = 3) -> ModelCard:
    """Write a model folder with seeded random weights whose map is not all one class."""
    import torch
    from safetensors.torch import save_file

    from geoseg.model.network import build_network, file_sha256

    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    network = build_network(card.network, len(card.bands))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        head = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)][-1]
        head.weight.normal_(0, 1)
    path = folder / card.weights_file
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    done = replace(card, weights_sha256=file_sha256(path), weights_bytes=path.stat().st_size)
    done.write(folder)
    return done
