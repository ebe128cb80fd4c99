"""The windows of one block through the model, and their results put together.

Three ways lead to a block's labels. Cropping on the scene's own grid, the common one,
copies labels. Cropping on another grid brings each window's scores to the scene's pixels.
Blending adds weighted scores of all windows first. In each of them a pixel's value is
the same whichever block it belongs to: windows are fixed, and sums run in their order.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OutOfDeviceMemoryError, RunInterruptedError
from geoseg.grid.blend import blend_weights
from geoseg.grid.resample import AxisTaps
from geoseg.grid.tiling import BlockIndex, CoreIndex
from geoseg.grid.window import Window, ceil_div, round_up
from geoseg.model.predictor import Pixels, Predictor, labels_from_scores, quantise
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.plan import RunPlan

__all__ = ["Forward", "ForwardResult", "ModelPixels", "Stopwatch", "ring_cores"]

_STRIP_ROWS = 256
_Result = TypeVar("_Result")


@dataclass(slots=True)
class Stopwatch:
    """Seconds per stage of one block."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time of the ``with`` block to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent


@dataclass(frozen=True, slots=True, eq=False)
class ModelPixels:
    """What the windows of a block see, on the model's grid."""

    region: Window
    """Block, ring and halo; may leave the grid, where pixels are mirrored."""
    values: Pixels
    """(band, row, col) with every invalid pixel replaced by the card's offset."""
    valid: NDArray[np.bool_]
    """(row, col) of the region, True where a real pixel is."""


@dataclass(slots=True, eq=False)
class ForwardResult:
    """Arrays on the block's scene pixels, not masked yet."""

    channel: NDArray[np.uint8]
    """(row, col) index of the best class in the legend."""
    confidence: NDArray[np.uint8]
    """(row, col) 0..250."""
    scores: NDArray[np.uint8] | None
    """(class, row, col) 0..250, where asked for."""
    seams: NDArray[np.uint8] | None
    """(row, col) share of disagreeing windows 0..250, where asked for."""
    overlap: NDArray[np.bool_]
    """(row, col) True where several windows see the pixel (only with ``seams``)."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One forward pass: ``nominal`` core of full size, of which ``keep`` is real."""

    nominal: Window
    keep: Window


def ring_cores(plan: RunPlan) -> int:
    """Return how many cores around a block have windows that reach into it and count."""
    if plan.stitch == "crop" and not plan.seams:
        return 0
    core = min(plan.tiling.core_height_px, plan.tiling.core_width_px)
    # One pixel more than the halo, because resampling looks at the next pixel.
    return ceil_div(plan.tiling.halo_px + 1, core)


@dataclass(slots=True, eq=False)
class Forward:
    """One block's windows on their way through the model."""

    plan: RunPlan
    block: BlockIndex
    pixels: ModelPixels
    predictor: Predictor
    limits: DeviceLimits
    watch: Stopwatch
    stop: Callable[[], bool]
    windows: int = 0
    """Windows forwarded so far."""
    forwarded_px: int = 0
    """Their pixels, halos included."""
    _pending: deque[_Job] = field(default_factory=deque)
    _wanted: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((0, 0), np.bool_))

    def run(self, wanted: NDArray[np.bool_]) -> ForwardResult:
        """Forward every window that matters and put the results together.

        Args:
            wanted: (row, col) True for the block's scene pixels that are to be classified.
        """
        plan = self.plan
        own = plan.scene_window(self.block)
        self._wanted = wanted
        result = ForwardResult(
            channel=np.zeros(own.shape, np.uint8),
            confidence=np.zeros(own.shape, np.uint8),
            scores=np.zeros((len(plan.card.legend), *own.shape), np.uint8) if plan.scores else None,
            seams=None,
            overlap=np.zeros((0, 0), np.bool_),
        )
        votes = _Votes(plan.tiling.block_window(self.block)) if plan.seams else None
        if plan.stitch == "blend":
            self._blend(result, votes)
        elif plan.takes_labels:
            self._crop_labels(result)
        else:
            self._crop_scores(result, votes)
        if votes is not None:
            result.seams, result.overlap = self._seam_layer(votes)
        return result

    def _crop_labels(self, result: ForwardResult) -> None:
        """Crop on the scene's own grid: labels come from the device and are copied."""
        block = self.plan.tiling.block_window(self.block)
        halo = self.plan.tiling.halo_px
        for jobs, batch in self._batches(ring=0):
            with self.watch("predict"):
                labels = self._guarded(jobs, batch, partial(self.predictor.labels, batch, halo))
            if labels is None:
                continue
            with self.watch("stitch"):
                for job, channel, confidence in zip(jobs, *labels, strict=False):
                    source, target = job.keep.within(job.nominal), job.keep.within(block)
                    result.channel[target] = channel[source]
                    result.confidence[target] = confidence[source]

    def _crop_scores(self, result: ForwardResult, votes: _Votes | None) -> None:
        """Crop with scores: each window's scores go to the scene pixels of its core."""
        block = self.plan.tiling.block_window(self.block)
        for job, scores in self._scores(ring_cores(self.plan)):
            window = job.nominal.expand(self.plan.tiling.halo_px)
            if votes is not None:
                votes.add(window, scores)
            keep = job.keep.intersect(block)
            if keep.size_px:
                self._to_scene(scores, window, keep, result)

    def _blend(self, result: ForwardResult, votes: _Votes | None) -> None:
        """Blend: weighted mean of all windows over the block and one pixel around it."""
        plan = self.plan
        block = plan.tiling.block_window(self.block)
        grid = Window(0, 0, plan.tiling.height, plan.tiling.width)
        extent = block.expand(0 if plan.scale.is_identity else 1).intersect(grid)
        total = np.zeros((len(plan.card.legend), *extent.shape), np.float32)
        weight_sum = np.zeros(extent.shape, np.float32)
        for job, scores in self._scores(ring_cores(plan)):
            window = job.nominal.expand(plan.tiling.halo_px)
            if votes is not None:
                votes.add(window, scores)
            shared = window.intersect(extent)
            if shared.size_px:
                weights = blend_weights(window.height, window.width, plan.tiling.halo_px)
                weights = weights[shared.within(window)]
                target = shared.within(extent)
                seen = scores[(slice(None), *shared.within(window))]
                total[(slice(None), *target)] += seen * weights
                weight_sum[target] += weights
        total /= np.where(weight_sum > 0, weight_sum, 1)
        self._to_scene(total, extent, block, result)

    def _scores(self, ring: int) -> Iterator[tuple[_Job, NDArray[np.float32]]]:
        """Yield (class, row, col) scores window by window, in the order of the windows."""
        for jobs, batch in self._batches(ring):
            with self.watch("predict"):
                scores = self._guarded(jobs, batch, partial(self.predictor.scores, batch))
            if scores is not None:
                with self.watch("stitch"):
                    yield from zip(jobs, scores, strict=False)

    def _to_scene(
        self, scores: NDArray[np.float32], extent: Window, keep: Window, result: ForwardResult
    ) -> None:
        """Write the labels of ``keep`` (model pixels) into the scene pixels they cover.

        Args:
            scores: (class, row, col) on the model pixels of ``extent``.
            extent: Where ``scores`` lies; holds ``keep``.
            keep: Model pixels to hand over.
            result: Receives them.
        """
        own = self.plan.scene_window(self.block)
        target = self.plan.scale.scene_window(keep)
        for row in range(target.row_off, target.row_end, _STRIP_ROWS):
            height = min(_STRIP_ROWS, target.row_end - row)
            strip = Window(row, target.col_off, height, target.width)
            values = self._on_scene(scores, extent, strip)
            labels = labels_from_scores(values[None])
            where = strip.within(own)
            result.channel[where] = labels.channel[0]
            result.confidence[where] = labels.confidence[0]
            if result.scores is not None:
                result.scores[(slice(None), *where)] = quantise(values)

    def _on_scene(
        self, scores: NDArray[np.float32], extent: Window, strip: Window
    ) -> NDArray[np.float32]:
        if self.plan.scale.is_identity:
            return scores[(slice(None), *strip.within(extent))]
        rows, cols = self.plan.scale.to_scene_taps(strip)
        rows = _clipped(rows, extent.row_off, extent.row_end)
        cols = _clipped(cols, extent.col_off, extent.col_end)
        first, last = rows.first, rows.last
        part = scores[:, first - extent.row_off : last + 1 - extent.row_off]
        return cols.apply(rows.apply(part, -2, first), -1, extent.col_off)

    def _seam_layer(self, votes: _Votes) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return disagreement and overlap on the scene's pixels (nearest model pixel)."""
        share, overlap = votes.layers()
        if self.plan.scale.is_identity:
            return share, overlap
        own, model = self.plan.scene_window(self.block), votes.window
        rows = _nearest(own.row_off, own.height, self.plan.scale.row_step, model.row_off)
        cols = _nearest(own.col_off, own.width, self.plan.scale.col_step, model.col_off)
        at = np.ix_(np.clip(rows, 0, model.height - 1), np.clip(cols, 0, model.width - 1))
        return share[at], overlap[at]

    def _batches(self, ring: int) -> Iterator[tuple[list[_Job], Pixels]]:
        """Yield jobs with their pixels (n, band, row, col), all batches of one shape.

        A batch that does not fit the device comes again, smaller: ``_guarded`` lowers the
        limits and puts the jobs back.
        """
        self._pending = deque(self._jobs(ring))
        if not ring:  # so that those of one shape share batches; sums of blending have an order
            self._pending = deque(sorted(self._pending, key=lambda job: job.nominal.shape))
        halo = self.plan.tiling.halo_px
        while self._pending:
            if self.stop():
                msg = "stopped between two windows"
                raise RunInterruptedError(msg)
            job = self._pending.popleft()
            window = job.nominal.expand(halo)
            if window.size_px > self.limits.window_px:
                self._pending.extendleft(reversed(self._split(job)))
                continue
            jobs = [job]
            # Read once: another thread may lower it, and a batch has one size.
            size = self.limits.batch_size
            while (
                len(jobs) < size
                and self._pending
                and self._pending[0].nominal.shape == job.nominal.shape
            ):
                jobs.append(self._pending.popleft())
            yield jobs, self._stack(jobs, size)

    def _jobs(self, ring: int) -> Iterator[_Job]:
        tiling, region = self.plan.tiling, self.pixels.region
        for core in tiling.block_cores(self.block, ring):
            keep = tiling.core_window(core)
            if self.pixels.valid[keep.within(region)].any() and self._matters(core, ring):
                job = _Job(tiling.model_window(core).expand(-tiling.halo_px), keep)
                yield job if ring or not self.plan.scale.is_identity else self._trimmed(job)

    def _matters(self, core: CoreIndex, ring: int) -> bool:
        """Tell whether a core's window contributes to any wanted pixel of the block."""
        tiling, scale = self.plan.tiling, self.plan.scale
        # Blended scores reach over the whole window; resampling looks one pixel further.
        reach = tiling.model_window(core).expand(1) if ring else tiling.core_window(core)
        own = self.plan.scene_window(self.block)
        seen = scale.scene_window(reach.intersect(tiling.block_window(self.block)))
        return bool(self._wanted[seen.intersect(own).within(own)].any())

    def _trimmed(self, job: _Job) -> _Job:
        """Cut a job down to the parts of its core, each way, that hold wanted pixels."""
        block = self.plan.tiling.block_window(self.block)
        wanted = self._wanted[job.keep.within(block)]
        stride, core = self.plan.tiling.stride_px, job.nominal
        parts = self.plan.parts_per_core
        row, height = _span(wanted, 0, core.height, round_up(ceil_div(core.height, parts), stride))
        col, width = _span(wanted, 1, core.width, round_up(ceil_div(core.width, parts), stride))
        part = Window(core.row_off + row, core.col_off + col, height, width)
        return _Job(part, part.intersect(job.keep))

    def _stack(self, jobs: Sequence[_Job], size: int) -> Pixels:
        """Return the batch, filled up with its first window to its full size."""
        halo, region = self.plan.tiling.halo_px, self.pixels.region
        cut: list[Pixels] = [
            self.pixels.values[(slice(None), *job.nominal.expand(halo).within(region))]
            for job in jobs
        ]
        self.windows += len(jobs)
        self.forwarded_px += sum(job.nominal.expand(halo).size_px for job in jobs)
        batch: NDArray[Any] = np.stack(cut + cut[:1] * (size - len(cut)))
        return batch

    def _guarded(
        self, jobs: Sequence[_Job], batch: Pixels, call: Callable[[], _Result]
    ) -> _Result | None:
        """Call the model; where memory runs out, lower the limits and queue the jobs again."""
        try:
            return call()
        except OutOfDeviceMemoryError:
            self.windows -= len(jobs)
            halo = self.plan.tiling.halo_px
            self.forwarded_px -= sum(job.nominal.expand(halo).size_px for job in jobs)
            if len(batch) > 1:
                self.limits.halve_batch(len(batch))
            elif self._split(jobs[0]) == [jobs[0]]:
                raise
            else:
                self.limits.refuse_window(jobs[0].nominal.expand(self.plan.tiling.halo_px))
            self._pending.extendleft(reversed(jobs))
            return None

    def _split(self, job: _Job) -> list[_Job]:
        """Halve a job along its longer side, on the stride's grid; itself if it cannot be."""
        stride, core = self.plan.tiling.stride_px, job.nominal
        if core.height >= core.width and core.height > stride:
            first = round_up(ceil_div(core.height, 2), stride)
            parts = [
                Window(core.row_off, core.col_off, first, core.width),
                Window(core.row_off + first, core.col_off, core.height - first, core.width),
            ]
        elif core.width > stride:
            first = round_up(ceil_div(core.width, 2), stride)
            parts = [
                Window(core.row_off, core.col_off, core.height, first),
                Window(core.row_off, core.col_off + first, core.height, core.width - first),
            ]
        else:
            return [job]
        jobs = [_Job(part, part.intersect(job.keep)) for part in parts]
        return [j for j in jobs if j.keep.size_px]


class _Votes:
    """Classes that several windows give to the pixels of one block (model grid)."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._first = np.zeros(window.shape, np.uint8)
        self._seen = np.zeros(window.shape, np.uint16)
        self._differ = np.zeros(window.shape, np.uint16)

    def add(self, window: Window, scores: NDArray[np.float32]) -> None:
        """Count one window's (class, row, col) scores."""
        shared = window.intersect(self.window)
        if not shared.size_px:
            return
        label = scores[(slice(None), *shared.within(window))].argmax(axis=0).astype(np.uint8)
        at = shared.within(self.window)
        first = self._first[at]
        again = self._seen[at] > 0
        self._differ[at] += again & (label != first)
        self._first[at] = np.where(again, first, label)
        self._seen[at] += 1

    def layers(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return the share of later windows that contradict the first, and the overlap."""
        others = np.maximum(self._seen.astype(np.float32) - 1, np.float32(1))
        return quantise((self._differ / others).astype(np.float32)), self._seen > 1


def _span(wanted: NDArray[np.bool_], axis: int, length_px: int, step_px: int) -> tuple[int, int]:
    """Return offset and length of the parts of a core from first to last True.

    Args:
        wanted: (row, col) of the core's pixels, at least one of them True.
        axis: 0 for rows, 1 for columns.
        length_px: The core's length along it.
        step_px: Length of a part; the last one may be shorter.
    """
    found = np.flatnonzero(wanted.any(axis=1 - axis))
    first = int(found[0]) // step_px * step_px
    return first, min(round_up(int(found[-1]) + 1, step_px), length_px) - first


def _clipped(taps: AxisTaps, first: int, end: int) -> AxisTaps:
    return AxisTaps(np.clip(taps.index, first, end - 1), taps.weight)


def _nearest(first: int, count: int, step: float, offset: int) -> NDArray[np.intp]:
    centre = np.arange(first, first + count) + 0.5
    found: NDArray[np.intp] = (np.floor(centre / step) - offset).astype(np.intp)
    return found
