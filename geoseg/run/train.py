"""Train a model on labelled scenes: plan, ground, fit, calibrate, judge, write the folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geoseg.accuracy.evaluation import Evaluation
from geoseg.cores import usable_cores
from geoseg.errors import ModelError, OptionError, RunInterruptedError
from geoseg.model.card import ModelCard
from geoseg.options import DEFAULT_STEPS, TrainOptions
from geoseg.run.events import (
    BatchDone,
    GroundRead,
    GroundSplit,
    Looked,
    Progress,
    StageStarted,
    Trained,
    TrainReady,
    Warned,
)
from geoseg.run.store import RunStore, StoreKey, write_atomically
from geoseg.run.train_blocks import SplitCounts, prepare_blocks
from geoseg.run.train_ground import Ground, crop_plan
from geoseg.run.train_halo import halo_images
from geoseg.run.train_plan import TrainPlan, make_train_plan
from geoseg.run.train_texts import brief, card_facts, model_request, report_texts, short
from geoseg.training.chips import CropPlan, PreparedBlocks, find_anchors
from geoseg.training.split import NAMES, TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    from geoseg.training.fit import Check, FitSettings, Fitter
    from geoseg.training.judge import Example
    from geoseg.training.offsets import FittedOffsets

__all__ = ["TrainResult", "train"]

_STEPS_NAME: Final = "steps.json"
_LOOKS: Final = 20
_LEAST_LOOK: Final = 10
_FOR_THE_REST: Final = 0.8
"""Part of ``--minutes`` for the batches; looks, the halo and the report take the rest."""
_LEAST_STEPS: Final = 20
_MOST_STEPS: Final = 100_000
_EXAMPLES: Final = 6
_WARMUP: Final = 0.05
_AVERAGE: Final = 0.998
_CLIP_NORM: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What ``geoseg.train`` returns."""

    folder: Path
    """The model folder."""
    card: ModelCard
    """Its card."""
    accuracy: dict[str, Evaluation]
    """By part of the ground that was not trained on: ``validation``, ``test``; of classes that
    overlap, each by itself: ``test: roof``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tuning:
    """What was fitted to the validation ground after the weights."""

    temperature: float
    facts: dict[str, Any]
    """What the card says of it, beside the temperature."""


def _ignore(_: object) -> None:
    """Take an event and do nothing."""


def train(options: TrainOptions, progress: Progress = _ignore) -> TrainResult:
    """Train a model and write its folder.

    Args:
        options: What to do.
        progress: Called with events from this thread.

    Raises:
        GeosegError: In one line what is wrong and what to do; nothing is half-written.
    """
    from geoseg.model.importing import require_free  # noqa: PLC0415 - torch
    from geoseg.training.fit import CHECKPOINT_NAME  # noqa: PLC0415
    from geoseg.training.network import choose_training_device  # noqa: PLC0415

    out = options.out.absolute()
    require_free(out, overwrite=options.overwrite)
    plan = make_train_plan(options)
    for message in plan.warnings:
        progress(Warned(message=message))
    device, half = choose_training_device(options.device, options.precision)
    progress(
        TrainReady(
            out=str(out), scenes=len(plan.scenes), classes=[c.name for c in plan.legend],
            network=f"{plan.network.architecture}, encoder {plan.network.encoder}",
            device=device, precision="bf16" if half else "fp32", gsd_m=plan.gsd_m,
        )
    )  # fmt: skip
    store = RunStore(out, folder=out.parent / f".{out.name}.geoseg")
    with store.locked():
        store.open(StoreKey(plan.identity(), plan.digest, (1, 1)), discard=options.overwrite)
        try:
            result = _trained(plan, store, (device, half), progress)
        except KeyboardInterrupt as error:
            msg = "the training was stopped"
            raise RunInterruptedError(msg, hint="Repeat the same command to continue.") from error
        except (OptionError, ModelError):
            if not (store.pieces / CHECKPOINT_NAME).exists():
                store.remove()  # these scenes and settings can never become a model
            raise
        store.remove()
    return result


def _trained(
    plan: TrainPlan, store: RunStore, device: tuple[str, bool], progress: Progress
) -> TrainResult:
    from geoseg.model.network import network_stride_px  # noqa: PLC0415
    from geoseg.training.fit import Fitter  # noqa: PLC0415 - torch
    from geoseg.training.losses import make_loss  # noqa: PLC0415
    from geoseg.training.network import fresh_network, last_bias  # noqa: PLC0415

    options = plan.options
    network, fresh = fresh_network(
        plan.network, len(plan.band_names), plan.start, plan.legend, options.seed
    )
    _require_chip(plan, network_stride_px(network))
    if options.decide == "iou":
        last_bias(network, len(plan.legend))  # what the offsets go into, after all batches
    if plan.start is not None and fresh:
        message = f"{len(fresh)} tensors of the network start anew, among them {fresh[0]}"
        progress(Warned(message=message))
    blocks, counts = prepare_blocks(
        plan, store.pieces, lambda done, all_: progress(GroundRead(blocks_done=done, blocks=all_))
    )
    _require_ground(plan, blocks)
    for message in _lacking(plan, counts):
        progress(Warned(message=message))
    crops, value_range = crop_plan(plan, blocks)
    weights = _class_weights(plan, counts)
    loss = make_loss(options.loss, len(plan.legend), weights)
    anchors = find_anchors(blocks, len(plan.legend), options.seed, overlap=plan.overlap)
    data = (blocks, anchors, crops)
    settings = _settings(plan, store, device, lambda s: _step_s(network, loss, data, s))
    fitter = Fitter(network, loss, data, settings, store.pieces)
    progress(_split_event(plan, counts, settings, fitter))
    _fit(fitter, settings, progress)
    ground = Ground(blocks=blocks, counts=counts, crops=crops, value_range=value_range)
    return _finish(plan, fitter, settings, ground, progress)


def _lacking(plan: TrainPlan, counts: SplitCounts) -> list[str]:
    """Return a warning for each class that a part of the ground does not show."""
    found = []
    for k, c in enumerate(plan.legend):
        if not counts.class_px[TRAIN][k]:
            found.append(f"class {c.name!r} has no label of its own: it is hardly learnt")
            continue
        found += [
            f"class {c.name!r} has no label in the {NAMES[part]} ground"
            for part in (VALIDATION, TEST)
            if counts.blocks[part] and not counts.class_px[part][k]
        ]
    return found


def _require_chip(plan: TrainPlan, stride_px: int) -> None:
    side = plan.options.chip_px
    if side % stride_px or side < 2 * stride_px:
        below = max(side // stride_px, 2) * stride_px
        msg = f"--chip-px {side} is no multiple of the network's stride of {stride_px} px"
        raise OptionError(msg, hint=f"Use {below} or {below + stride_px}.")


def _require_ground(plan: TrainPlan, blocks: PreparedBlocks) -> None:
    """Refuse crops that would be mostly empty, as there is no ground beyond a block."""
    side, most = plan.options.chip_px, 2 * blocks.side_px
    if side > most:
        msg = f"--chip-px {side} is too large for ground in blocks of {blocks.side_px} px"
        raise OptionError(msg, hint=f"Use at most {most}, or a larger --block-px.")


def _split_event(
    plan: TrainPlan, counts: SplitCounts, settings: FitSettings, fitter: Fitter
) -> GroundSplit:
    names = [c.name for c in plan.legend]
    return GroundSplit(
        block_px=counts.block_px,
        blocks=dict(zip(NAMES, counts.blocks, strict=True)),
        class_px={
            part: dict(zip(names, px, strict=True))
            for part, px in zip(NAMES, counts.class_px, strict=True)
        },
        steps=settings.steps,
        steps_done=fitter.steps_done,
    )


def _class_weights(plan: TrainPlan, counts: SplitCounts) -> tuple[float, ...] | None:
    """Return the weights of the classes in cross-entropy: roots of inverse frequencies."""
    if plan.options.class_weights == "none":
        return None
    px = np.array(counts.class_px[TRAIN], np.float64).clip(min=1)
    return tuple(np.sqrt(np.median(px) / px).clip(0.25, 4.0).tolist())


def _settings(
    plan: TrainPlan,
    store: RunStore,
    device: tuple[str, bool],
    step_s: Callable[[FitSettings], float],
) -> FitSettings:
    """Decide how many batches there are; an interrupted training keeps its number."""
    from geoseg.training.fit import FitSettings  # noqa: PLC0415 - torch

    options = plan.options
    first = FitSettings(
        steps=options.steps or DEFAULT_STEPS,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warmup_steps=1,
        average=_AVERAGE,
        clip_norm=_CLIP_NORM,
        seed=options.seed,
        check_steps=1,
        patience=options.patience,
        device=device[0],
        half=device[1],
        threads=options.threads or usable_cores(),
        overlap=plan.overlap,
    )
    path = store.pieces / _STEPS_NAME
    if path.exists():
        steps = int(json.loads(path.read_text(encoding="utf-8"))["steps"])
    else:
        steps = first.steps
        if options.minutes is not None:
            allowed = int(options.minutes * 60 * _FOR_THE_REST / step_s(first))
            steps = min(max(allowed, _LEAST_STEPS), options.steps or _MOST_STEPS)
        write_atomically(path, json.dumps({"steps": steps}))
    return replace(
        first,
        steps=steps,
        warmup_steps=max(1, round(_WARMUP * steps)),
        check_steps=max(_LEAST_LOOK, steps // _LOOKS),
    )


def _step_s(network: Any, loss: Any, data: Any, settings: FitSettings) -> float:  # noqa: ANN401
    """Return how long a batch takes here, on a copy of the network."""
    import copy  # noqa: PLC0415

    from geoseg.training.fit import Fitter  # noqa: PLC0415
    from geoseg.training.network import seconds_per_step  # noqa: PLC0415

    trial = Fitter(copy.deepcopy(network), loss, data, settings, None)
    numbers = itertools.count()
    return seconds_per_step(lambda: trial.one_step(next(numbers)))


def _fit(fitter: Fitter, settings: FitSettings, progress: Progress) -> None:
    def on_step(step: int, loss: float, rate: float) -> None:
        progress(
            BatchDone(
                step=step, steps=settings.steps, loss=round(loss, 6),
                learning_rate=round(rate, 9), elapsed_s=round(fitter.elapsed_s, 3),
            )
        )  # fmt: skip

    def on_check(check: Check) -> None:
        progress(
            Looked(step=check.step, mean_iou=check.mean_iou, overall=check.overall, loss=check.loss)
        )

    fitter.run(on_step, on_check)


def _finish(
    plan: TrainPlan, fitter: Fitter, settings: FitSettings, ground: Ground, progress: Progress
) -> TrainResult:
    """Calibrate, judge and write the folder."""
    from geoseg.model.halo import image_side_px  # noqa: PLC0415 - torch
    from geoseg.model.importing import make_model_folder  # noqa: PLC0415
    from geoseg.model.network import network_stride_px  # noqa: PLC0415

    network = fitter.best_network()
    progress(StageStarted(stage="calibration"))
    tuning = _tuned(plan, network, settings, ground, progress)
    found = _judged(plan, network, settings, ground, tuning.temperature)
    examples = _examples(network, ground.blocks, ground.crops, settings)
    progress(StageStarted(stage="model"))
    facts = card_facts(plan, fitter, settings, ground.counts, found)
    facts["training"] |= tuning.facts
    side_px = image_side_px(network_stride_px(network))
    card = make_model_folder(
        (plan.network, network.state_dict()),
        plan.options.out.absolute(),
        model_request(plan, ground, tuning.temperature, facts),
        images=halo_images(plan, ground.blocks, ground.crops, side_px),
        texts=report_texts(plan, fitter, found, examples, facts),
        overwrite=plan.options.overwrite,
    )
    progress(
        Trained(
            out=str(plan.options.out), elapsed_s=round(fitter.elapsed_s, 1),
            best_step=fitter.best_step, temperature=tuning.temperature,
            accuracy={part: brief(e) for part, e in found.items()},
        )
    )  # fmt: skip
    return TrainResult(folder=plan.options.out.absolute(), card=card, accuracy=found)


def _tuned(
    plan: TrainPlan,
    network: Any,  # noqa: ANN401 - torch's module
    settings: FitSettings,
    ground: Ground,
    progress: Progress,
) -> _Tuning:
    """Fit to the validation ground what the loss does not: offsets, if asked for, and temperature.

    The offsets go into the network. Each class that may overlap others has its own yes and no,
    which neither is for.
    """
    from geoseg.training.judge import sampled  # noqa: PLC0415 - torch
    from geoseg.training.network import shift_scores  # noqa: PLC0415
    from geoseg.training.offsets import fitted_offsets, middle_of_the_best  # noqa: PLC0415
    from geoseg.training.temperature import fitted_temperature  # noqa: PLC0415

    if plan.overlap:
        return _Tuning(temperature=1.0, facts={})
    n_classes = len(plan.legend)
    samples = sampled(network, ground.blocks, VALIDATION, ground.crops, settings, n_classes)
    logits, facts = samples.logits, {}
    if plan.options.decide == "iou":
        fitted = fitted_offsets(samples)
        if not fitted.offsets.any():
            progress(Warned(message=_why_no_offsets(fitted)))
        logits = logits + fitted.offsets
        # Where scores are shifted anyway, they may lie where bf16 tells them apart best.
        shift_scores(network, fitted.offsets - np.float32(middle_of_the_best(logits)))
        facts["decide_iou"] = {
            "offsets": {
                c.name: short(float(offset))
                for c, offset in zip(plan.legend, fitted.offsets, strict=True)
            },
            "validation_mean_iou_without": short(fitted.before),
            "validation_mean_iou_cross_fitted": short(fitted.crossed),
        }
    return _Tuning(temperature=round(fitted_temperature(logits, samples.truth), 4), facts=facts)


def _why_no_offsets(fitted: FittedOffsets) -> str:
    if fitted.crossed is None:
        return (
            "--decide iou changes nothing: it needs two classes that four blocks of validation "
            "ground show; use a smaller --block-px, or label more"
        )
    return (
        f"--decide iou changes nothing: on validation ground left out the mean IoU would go from "
        f"{fitted.before:.3f} to {fitted.crossed:.3f}"
    )


def _judged(
    plan: TrainPlan,
    network: Any,  # noqa: ANN401 - torch's module
    settings: FitSettings,
    ground: Ground,
    temperature: float,
) -> dict[str, Evaluation]:
    """Return the accuracy by part of the ground."""
    from geoseg.training.judge import judge  # noqa: PLC0415 - torch

    found = {}
    for part in (VALIDATION, TEST):
        by_class = judge(
            network, ground.blocks, part, ground.crops, settings,
            temperature=temperature, legend=plan.legend,
        )  # fmt: skip
        for name, evaluation in by_class.items():
            found[f"{NAMES[part]}: {name}" if name else NAMES[part]] = evaluation
    return found


def _examples(
    network: Any,  # noqa: ANN401 - torch's module
    blocks: PreparedBlocks,
    crops: CropPlan,
    settings: FitSettings,
) -> list[Example]:
    from geoseg.training.judge import pick_examples  # noqa: PLC0415 - torch

    unseen = np.flatnonzero(blocks.part == TEST)
    if not len(unseen):
        unseen = np.flatnonzero(blocks.part == VALIDATION)
    chosen = unseen[np.linspace(0, len(unseen) - 1, min(_EXAMPLES, len(unseen))).astype(np.intp)]
    return pick_examples(network, blocks, chosen, crops, settings)
