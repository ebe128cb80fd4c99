"""Fitting: loss with partial labels, schedule, averaged weights, checkpoints."""

from __future__ import annotations

import copy
import json
import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import nn

from bundled_model.augment import draw_crop
from bundled_model.classes import COUNT
from bundled_model.score import confusion, predict, ratios

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundled_model.augment import Pool
    from bundled_model.data import Source
    from bundled_model.score import Normalisation

logger = logging.getLogger(__name__)

# The Dice term of a class with fewer pixels in the batch would be mostly noise.
FEW_PIXELS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to fit; a run that its steps end, and not its minutes, is repeatable."""

    steps: int
    """Steps of the optimiser, over which the learning rate falls."""

    minutes: float
    """Limit on the time; the schedule is then shortened to end with it."""

    seed: int
    """Seed of weights and crops."""

    batch: int = 8
    """Crops per step."""

    crop_px: int = 192
    """Side of a crop."""

    gsd_m: float = 1.0
    """Ground sample distance of the model in metres."""

    start: str = ""
    """Checkpoint to start from; empty starts from random weights."""

    rate: float = 2e-3
    """Highest learning rate."""

    warmup_steps: int = 150
    """Steps of the linear rise."""

    decay: float = 0.02
    """Weight decay."""

    check_minutes: float = 4.0
    """Time between validations."""


def build_network() -> smp.Unet:
    """Build the network: a small residual U-Net of stride 16 without any global context."""
    return smp.Unet(
        encoder_name="tu-resnet10t",
        encoder_weights=None,
        encoder_depth=4,
        decoder_channels=(96, 64, 32, 16),
        in_channels=3,
        classes=COUNT,
    )


def partial_loss(scores: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of sets of classes plus the Dice loss of the exactly known pixels.

    The probability of a set is the sum of those of its classes, so an ordinary label gives
    ordinary cross-entropy.

    Args:
        scores: Unnormalised scores, (item, class, row, col).
        allowed: Sets of classes as bits, (item, row, col), int64; 0 is left out.

    Returns:
        The loss, a scalar.
    """
    member = ((allowed[:, None] >> torch.arange(COUNT)[None, :, None, None]) & 1).bool()
    known = member.any(dim=1)
    logs = scores.log_softmax(dim=1)
    of_set = logs.masked_fill(~member, -1e4).logsumexp(dim=1)
    entropy = -(of_set * known).sum() / known.sum().clamp(min=1)
    exact = member.sum(dim=1, keepdim=True) == 1
    chance, truth = logs.exp() * exact, member & exact
    hit, total = (
        (chance * truth).sum(dim=(0, 2, 3)),
        chance.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3)),
    )
    present = truth.sum(dim=(0, 2, 3)) > FEW_PIXELS
    dice = ((1 - 2 * hit / total.clamp(min=1)) * present).sum() / present.sum().clamp(min=1)
    return entropy + 0.4 * dice


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, keep: float) -> None:
    """Move the averaged weights and statistics toward the model's."""
    for slow, fast in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if slow.is_floating_point():
            slow.lerp_(fast, 1 - keep)
        else:
            slow.copy_(fast)


def validate(
    model: nn.Module, sources: Sequence[Source], normalisation: Normalisation
) -> dict[str, object]:
    """Score a model on places with exact labels, added up."""
    model.eval()
    total = np.zeros((COUNT, COUNT), dtype=np.int64)
    with torch.autocast("cpu", torch.bfloat16):
        for source in sources:
            total += confusion(source.allowed, predict(model, source.rgb, normalisation))
    return ratios(total)


def start_from(model: nn.Module, checkpoint: Path) -> None:
    """Load the weights of a checkpoint, to go on with other data or another rate."""
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["weights"])


def fit(
    pools: Sequence[Pool],
    checks: Sequence[Source],
    normalisation: Normalisation,
    options: FitOptions,
    out: Path,
) -> nn.Module:
    """Fit the network and keep the averaged weights that score best on the validation places.

    Args:
        pools: Training places.
        checks: Validation places.
        normalisation: Mean and standard deviation per band, in counts.
        options: How to fit.
        out: Folder for checkpoints and `log.jsonl`.

    Returns:
        The best model, in evaluation mode.
    """
    torch.manual_seed(options.seed)
    model: nn.Module = build_network().to(memory_format=torch.channels_last)
    if options.start:
        start_from(model, Path(options.start))
    average = copy.deepcopy(model)
    average.eval()
    optimiser = torch.optim.AdamW(_groups(model, options.decay), lr=options.rate)
    rng = np.random.default_rng(options.seed)
    began = last_check = time.monotonic()
    best, losses, step = -1.0, [], 0
    while True:
        progress = max(step / options.steps, (time.monotonic() - began) / 60 / options.minutes)
        if progress < 1:
            set_rate(optimiser, options, step, progress)
            batch = draw_batch(rng, pools, normalisation, options)
            losses.append(take_step(model, optimiser, *batch))
            step += 1
            follow(average, model, min(0.998, (1 + step) / (10 + step)))
        if progress >= 1 or time.monotonic() - last_check > options.check_minutes * 60:
            scores = validate(average, checks, normalisation)
            record = {
                "step": step,
                "minutes": round((time.monotonic() - began) / 60, 2),
                "loss": float(np.mean(losses[-300:])),
                **scores,
            }
            best = _keep(average, record, best, options, out)
            last_check = time.monotonic()
        if progress >= 1:
            break
    average.load_state_dict(torch.load(out / "best.pt", weights_only=True)["weights"])
    average.eval()
    return average


def _groups(model: nn.Module, decay: float) -> list[dict[str, object]]:
    """Leave biases and the scales of normalisation out of the weight decay."""
    heavy = [p for p in model.parameters() if p.ndim > 1]
    light = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": heavy, "weight_decay": decay}, {"params": light, "weight_decay": 0.0}]


def set_rate(
    optimiser: torch.optim.Optimizer, options: FitOptions, step: int, progress: float
) -> None:
    """Set the learning rate: a linear rise, then a cosine down to one hundredth."""
    rise = min(1.0, (step + 1) / options.warmup_steps)
    fall = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    for group in optimiser.param_groups:
        group["lr"] = options.rate * rise * (fall * 0.99 + 0.01)


def draw_batch(
    rng: np.random.Generator,
    pools: Sequence[Pool],
    normalisation: Normalisation,
    options: FitOptions,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw normalised crops (item, band, row, col) and sets of classes (item, row, col)."""
    crops = [
        draw_crop(rng, pools, options.crop_px, gsd_m=options.gsd_m, fill=normalisation[0])
        for _ in range(options.batch)
    ]
    mean, std = (torch.tensor(part)[None, :, None, None] for part in normalisation)
    images = (torch.from_numpy(np.stack([rgb for rgb, _ in crops])) - mean) / std
    allowed = torch.from_numpy(np.stack([sets for _, sets in crops]).astype(np.int64))
    return images.contiguous(memory_format=torch.channels_last), allowed


def take_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    images: torch.Tensor,
    allowed: torch.Tensor,
) -> float:
    """Move the weights by one batch and give its loss."""
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(images)
    loss = partial_loss(scores.float(), allowed)
    optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    optimiser.step()
    return float(loss.detach())


def _keep(
    average: nn.Module, record: dict[str, object], best: float, options: FitOptions, out: Path
) -> float:
    """Write the checkpoint and the log line; give the best mean IoU so far."""
    score = float(str(record["mean_iou"]))
    stored = {
        "weights": average.state_dict(),
        "record": json.dumps(record),
        "options": json.dumps(asdict(options)),
    }
    torch.save(stored, out / "last.pt")
    if score > best:
        torch.save(stored, out / "best.pt")
    with (out / "log.jsonl").open("a") as log:
        log.write(json.dumps(record) + "\n")
    logger.info("step %s: loss %.3f, mean IoU %.4f", record["step"], record["loss"], score)
    return max(score, best)
