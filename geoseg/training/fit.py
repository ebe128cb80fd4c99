"""The training loop: every step depends on its number alone, so that it can stop anywhere."""

from __future__ import annotations

import copy
import json
import math
import pickle
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.accuracy.confusion import confusion_matrix, scores
from geoseg.errors import ModelError, OutOfDeviceMemoryError, OutputError
from geoseg.partial_files import replace_synced
from geoseg.training.chips import Anchors, CropPlan, PreparedBlocks, draw_batch, normalised
from geoseg.training.label_sets import Labels, class_mask, exact_class
from geoseg.training.losses import Loss
from geoseg.training.network import seed_torch
from geoseg.training.split import VALIDATION

__all__ = ["CHECKPOINT_NAME", "Check", "FitSettings", "Fitter", "predict_blocks"]

_AHEAD: Final = 3
_LONGEST_TEXT: Final = 200
_SAVE_EVERY_S: Final = 60.0
_BETTER: Final = 1e-4
CHECKPOINT_NAME: Final = "checkpoint.pt"
"""File of a training's folder that says where it stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How to fit; the same settings, data and machine give the same weights."""

    steps: int
    """Batches; the learning rate falls over them."""
    batch_size: int
    """Crops per batch."""
    learning_rate: float
    """The highest."""
    weight_decay: float
    """AdamW's, not for biases and scales."""
    warmup_steps: int
    """Batches over which the rate rises."""
    average: float
    """Share that the moving average of the weights keeps at each batch."""
    clip_norm: float
    """Longest gradient."""
    seed: int
    """Of the crops and of what the network draws."""
    check_steps: int
    """Batches between two looks at the validation ground."""
    patience: int
    """Looks without progress after which it ends; 0 goes on to the end."""
    device: str
    """torch's name."""
    half: bool
    """Mixed precision, bf16."""
    threads: int
    """Threads of the CPU."""
    overlap: bool = False
    """Classes may overlap: a yes or no for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One look at the validation ground."""

    step: int
    """After so many batches."""
    loss: float
    """Mean training loss since the last look."""
    mean_iou: float
    """Over the classes that occur."""
    overall: float
    """Share of right pixels."""
    class_iou: tuple[float | None, ...]
    """By class."""
    elapsed_s: float
    """Time spent training so far, over all sittings."""


@dataclass(slots=True)
class _State:
    """What a checkpoint holds beside tensors."""

    step: int = 0
    best: float = -1.0
    best_step: int = 0
    stale: int = 0
    elapsed_s: float = 0.0
    losses: list[float] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    looked: int = 0
    done: bool = False


class Fitter:
    """Fits one network to prepared blocks, with checkpoints in a folder."""

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        data: tuple[PreparedBlocks, Anchors, CropPlan],
        settings: FitSettings,
        folder: Path | None,
    ) -> None:
        """Start, or go on from the folder's checkpoint.

        Args:
            network: With its first weights; it is changed.
            loss: Of scores and sets.
            data: The ground, where crops lie, what they are like.
            settings: How to fit.
            folder: Existing folder for the checkpoint; None for a trial without any.
        """
        torch.set_num_threads(settings.threads)
        self._settings, self._loss, self._folder = settings, loss, folder
        self._blocks, self._anchors, self._crops = data
        self._device = torch.device(settings.device)
        self._network = network.to(self._device).to(memory_format=torch.channels_last)
        self._average = copy.deepcopy(self._network).eval()
        self._best = copy.deepcopy(self._average.state_dict())
        self._optimiser = torch.optim.AdamW(
            _groups(self._network, settings.weight_decay), lr=settings.learning_rate
        )
        self._state = _State()
        self._is_whole = True
        self._resume()

    @property
    def steps_done(self) -> int:
        """Batches so far."""
        return self._state.step

    @property
    def curve(self) -> list[tuple[int, float]]:
        """(batch, mean loss) some hundred times over the training."""
        return list(self._state.curve)

    @property
    def checks(self) -> list[Check]:
        """All looks at the validation ground."""
        return [_check(stored) for stored in self._state.checks]

    @property
    def best_step(self) -> int:
        """After how many batches the weights were taken."""
        return self._state.best_step

    @property
    def elapsed_s(self) -> float:
        """Time spent so far, over all sittings."""
        return self._state.elapsed_s

    def best_network(self) -> nn.Module:
        """Return the averaged network that did best on the validation ground, on the CPU."""
        self._average.load_state_dict(self._best)
        return self._average.eval().cpu()

    def run(
        self,
        on_step: Callable[[int, float, float], None],
        on_check: Callable[[Check], None],
    ) -> None:
        """Train to the end, telling of every step (number, loss, rate) and every look.

        A KeyboardInterrupt leaves a checkpoint behind, of now or of a minute ago.

        Raises:
            ModelError: The loss is no number any more, or the network does not take the crops.
            OutOfDeviceMemoryError: The batch does not fit.
        """
        saved = began = time.monotonic()
        before_s = self._state.elapsed_s
        try:
            if self._is_look_due():  # it was stopped while it looked
                on_check(self._look())
                self._save()
            for number, batch in self._batches():
                self._is_whole = False
                loss = self._step(number, batch)
                self._is_whole = True
                self._state.elapsed_s = before_s + time.monotonic() - began
                on_step(self._state.step, loss, self._rate(number))
                if self._is_look_due():
                    on_check(self._look())
                    self._save()
                    saved = time.monotonic()
                elif time.monotonic() - saved > _SAVE_EVERY_S:
                    self._save()
                    saved = time.monotonic()
                if self._state.done:
                    break
        except KeyboardInterrupt:
            # In the middle of a step the weights have moved and the averages have not; the
            # checkpoint before is at most a minute old.
            if self._is_whole:
                self._save()
            raise

    def one_step(self, number: int) -> float:
        """Draw a batch and move the weights by it, as ``run`` does again and again."""
        return self._step(number, self._drawn(number))

    def _is_look_due(self) -> bool:
        step, settings = self._state.step, self._settings
        at_look = step % settings.check_steps == 0 or step >= settings.steps
        return at_look and step > self._state.looked

    def _batches(self) -> Iterator[tuple[int, tuple[Tensor, Tensor]]]:
        """Yield the batches to come; a thread draws a few ahead."""
        first, steps = self._state.step, self._settings.steps
        if self._state.done:
            return
        with ThreadPoolExecutor(1) as pool:
            waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
            try:
                for number in range(first, steps):
                    while len(waiting) < _AHEAD and number + len(waiting) < steps:
                        waiting.append(pool.submit(self._drawn, number + len(waiting)))
                    yield number, waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()

    def _drawn(self, number: int) -> tuple[Tensor, Tensor]:
        settings = self._settings
        images, labels = draw_batch(
            self._blocks, self._anchors, self._crops, (settings.seed, number), settings.batch_size
        )
        return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))

    def _step(self, number: int, batch: tuple[Tensor, Tensor]) -> float:
        """Move the weights by one batch and return its loss."""
        # What the network itself draws (dropout) depends on the step alone, too.
        seed_torch(self._settings.seed * 1_000_003 + number)
        images, labels = (part.to(self._device, non_blocking=True) for part in batch)
        images = images.contiguous(memory_format=torch.channels_last)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate(number)
        self._network.train()
        self._optimiser.zero_grad(set_to_none=True)
        with _readable_errors(images):
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.half):
                output = self._network(images)
            loss = self._loss(output.float(), labels)
            value = float(loss.detach())
            if not math.isfinite(value):
                msg = f"the loss is {value} after {number} steps"
                raise ModelError(msg, hint="Try a lower --rate, or --precision fp32.")
            torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._network.parameters(), self._settings.clip_norm)
        self._optimiser.step()
        self._follow(number)
        self._remember(value)
        return value

    def _rate(self, number: int) -> float:
        """Return the learning rate: a linear rise, then half a cosine down to a hundredth."""
        settings = self._settings
        rise = min(1.0, (number + 1) / max(settings.warmup_steps, 1))
        fall = 0.5 * (1 + math.cos(math.pi * number / settings.steps))
        return settings.learning_rate * rise * (0.99 * fall + 0.01)

    @torch.no_grad()
    def _follow(self, number: int) -> None:
        """Move the averaged weights toward the network's; at first faster."""
        keep = min(self._settings.average, (1 + number) / (10 + number))
        pairs = zip(
            self._average.state_dict().values(), self._network.state_dict().values(), strict=True
        )
        for slow, fast in pairs:
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)
            else:
                slow.copy_(fast)

    def _remember(self, loss: float) -> None:
        state = self._state
        state.step += 1
        state.losses.append(loss)
        every = max(1, self._settings.steps // 300)
        if state.step % every == 0:
            state.curve.append((state.step, float(np.mean(state.losses[-every:]))))

    def _look(self) -> Check:
        """Look at the validation ground, and keep the weights if they are the best so far."""
        state = self._state
        overall, class_iou = validation_scores(
            self._average, self._blocks, self._crops, self._settings
        )
        known = [iou for iou in class_iou if iou is not None]
        check = Check(
            step=state.step,
            loss=float(np.mean(state.losses)) if state.losses else math.nan,
            mean_iou=float(np.mean(known)) if known else 0.0,
            overall=overall,
            class_iou=class_iou,
            elapsed_s=round(state.elapsed_s, 3),
        )
        # From here on nothing waits: a stop finds the look made, or not begun.
        self._is_whole = False
        state.losses, state.looked = [], state.step
        state.checks.append(asdict(check))
        if check.mean_iou > state.best + _BETTER:
            state.best, state.best_step, state.stale = check.mean_iou, state.step, 0
            self._best = copy.deepcopy(self._average.state_dict())
        else:
            state.stale += 1
        tired = bool(self._settings.patience) and state.stale >= self._settings.patience
        state.done = tired or state.step >= self._settings.steps
        self._is_whole = True
        return check

    def _save(self) -> None:
        """Put the checkpoint in place, whole or not at all."""
        if self._folder is None:
            return
        path = self._folder / CHECKPOINT_NAME
        part = path.with_name(f".{path.name}.part")
        stored = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "state": json.dumps(asdict(self._state)),
        }
        try:
            torch.save(stored, part)
            replace_synced(part, path)
        except (OSError, RuntimeError) as error:
            part.unlink(missing_ok=True)
            msg = f"cannot write {path}: {' '.join(str(error).split())[:_LONGEST_TEXT]}"
            raise OutputError(msg, hint="Is the disk full? Repeat the command to go on.") from error

    def _resume(self) -> None:
        path = None if self._folder is None else self._folder / CHECKPOINT_NAME
        if path is None or not path.exists():
            return
        try:
            # Tensors and text only: a checkpoint never executes code.
            stored = torch.load(path, map_location=self._device, weights_only=True)
            self._restore(stored)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
            msg = f"the checkpoint {path} is damaged: {type(error).__name__}"
            raise ModelError(msg, hint="Remove it to start anew.") from error
        except pickle.UnpicklingError as error:
            msg = f"the checkpoint {path} is none of geoseg's"
            raise ModelError(msg, hint="Remove it to start anew.") from error

    def _restore(self, stored: dict[str, Any]) -> None:
        self._network.load_state_dict(stored["network"])
        self._average.load_state_dict(stored["average"])
        self._best = stored["best"]
        self._optimiser.load_state_dict(stored["optimiser"])
        state = json.loads(stored["state"])
        self._state = _State(**{**state, "curve": [tuple(point) for point in state["curve"]]})


def _check(stored: dict[str, Any]) -> Check:
    return Check(**{**stored, "class_iou": tuple(stored["class_iou"])})


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Leave biases and the scales of normalisation out of the weight decay."""
    heavy = [p for p in network.parameters() if p.ndim > 1]
    light = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]


@contextmanager
def _readable_errors(images: Tensor) -> Iterator[None]:
    """Turn what torch raises for a batch into errors that say what to do."""
    shape = " x ".join(map(str, images.shape))
    try:
        yield
    except ModelError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        msg = f"the device has no memory for a batch of {shape}"
        hint = "Use a smaller --batch-size or --chip-px."
        raise OutOfDeviceMemoryError(msg, hint=hint) from error
    except (RuntimeError, ValueError, AssertionError) as error:
        what = " ".join(str(error).split())[:_LONGEST_TEXT]
        msg = f"the network fails on a batch of {shape}: {what}"
        raise ModelError(msg, hint="Try another --chip-px or --batch-size.") from error


def predict_blocks(
    network: nn.Module,
    blocks: PreparedBlocks,
    numbers: NDArray[np.intp],
    crops: CropPlan,
    settings: FitSettings,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (block, logits (class, side, side)) of whole blocks, context included."""
    device = torch.device(settings.device)
    network.eval().to(device)
    for number in numbers:
        seen = normalised(blocks.pixels[number], crops.offset, crops.divisor)
        seen[:, ~blocks.valid[number]] = 0
        image = (
            torch.from_numpy(seen)[None].to(device).contiguous(memory_format=torch.channels_last)
        )
        with (
            torch.inference_mode(),
            _readable_errors(image),
            torch.autocast(device.type, torch.bfloat16, enabled=settings.half),
        ):
            output = network(image)
        yield int(number), output.float()[0].cpu().numpy()


def validation_scores(
    network: nn.Module, blocks: PreparedBlocks, crops: CropPlan, settings: FitSettings
) -> tuple[float, tuple[float | None, ...]]:
    """Return the share of right pixels of the validation ground, and the IoU of each class.

    Where classes overlap, every class is a map of its own: IoU of its yes, and the share of
    right answers over all classes.
    """
    numbers = np.flatnonzero(blocks.part == VALIDATION)
    total: NDArray[np.int64] | None = None
    for number, logits in predict_blocks(network, blocks, numbers, crops, settings):
        found = (
            binary_counts(logits, blocks.labels[number])
            if settings.overlap
            else _matrix(logits, exact_class(blocks.labels[number]))
        )
        total = found if total is None else total + found
    if total is None:
        return 0.0, ()
    if not settings.overlap:
        measured = scores(total)
        return measured.overall or 0.0, tuple(c.iou for c in measured.classes)
    hit, false, miss, none = total.T
    union = hit + false + miss
    ious = tuple(float(h / u) if u else None for h, u in zip(hit, union, strict=True))
    return float((hit + none).sum() / max(total.sum(), 1)), ious


def _matrix(logits: NDArray[np.float32], exact: NDArray[np.int16]) -> NDArray[np.int64]:
    known = exact >= 0
    return confusion_matrix(logits.argmax(axis=0)[known], exact[known].astype(np.intp), len(logits))


def binary_counts(logits: NDArray[np.float32], labels: Labels) -> NDArray[np.int64]:
    """Return (class, 4) labelled pixels: right yes, wrong yes, wrong no, right no."""
    known = labels != 0
    rows = []
    for k, plane in enumerate(logits):
        yes, truth = plane[known] > 0, class_mask(labels[known], k, overlap=True)
        counts = (yes & truth, yes & ~truth, ~yes & truth, ~yes & ~truth)
        rows.append([np.count_nonzero(part) for part in counts])
    return np.array(rows, np.int64)
