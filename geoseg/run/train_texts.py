"""What a training tells of itself: the entries of the card, the report, all numbers."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoseg.accuracy.evaluation import Evaluation
from geoseg.model.card import BandScaling
from geoseg.model.network import library_versions
from geoseg.run.train_blocks import SplitCounts
from geoseg.run.train_ground import Ground, four_digits
from geoseg.run.train_plan import TrainPlan
from geoseg.training.split import NAMES, TRAIN

if TYPE_CHECKING:
    from geoseg.model.importing import ImportRequest
    from geoseg.training.fit import FitSettings, Fitter
    from geoseg.training.judge import Example

__all__ = ["brief", "card_facts", "model_request", "report_texts", "short"]


def model_request(
    plan: TrainPlan, ground: Ground, temperature: float, facts: dict[str, Any]
) -> ImportRequest:
    """Return what the model folder says beside its weights."""
    from geoseg.model.importing import ImportRequest  # noqa: PLC0415 - torch

    crops, name = ground.crops, _name(plan)
    return ImportRequest(
        name=name,
        title=plan.options.title or f"{', '.join(c.name for c in plan.legend)} ({name})",
        description=_description(plan, ground.counts),
        bands=plan.band_names,
        scaling=tuple(
            BandScaling(offset=o, divisor=d)
            for o, d in zip(crops.offset, crops.divisor, strict=True)
        ),
        value_range=ground.value_range,
        gsd_m=plan.gsd_m,
        gsd_range_m=_gsd_range(plan),
        legend=plan.legend,
        temperature=temperature,
        activation="sigmoid" if plan.overlap else "softmax",
        license=plan.options.license,
        facts=facts,
    )


def _name(plan: TrainPlan) -> str:
    return plan.options.name or plan.options.out.name


def _gsd_range(plan: TrainPlan) -> tuple[float, float] | None:
    if plan.start is not None and plan.gsd_m == plan.start[1].gsd_m:
        return plan.start[1].gsd_range_m
    if plan.gsd_m is None:
        return None
    return four_digits(plan.gsd_m / 2.5), four_digits(plan.gsd_m * 2)


def _description(plan: TrainPlan, counts: SplitCounts) -> str:
    names = ", ".join(c.name for c in plan.legend)
    first = sorted({Path(scene.scene.label).name for scene in plan.scenes})
    shown = ", ".join(first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")  # noqa: PLR2004
    return (
        f"Maps {names}. Trained on {counts.blocks[TRAIN]} blocks of {counts.block_px} px from "
        f"{shown}. What it does on other ground is not known: see the accuracy, and evaluate it "
        "on yours."
    )


def card_facts(
    plan: TrainPlan,
    fitter: Fitter,
    settings: FitSettings,
    counts: SplitCounts,
    found: dict[str, Evaluation],
) -> dict[str, Any]:
    """Return what the card says of the data, the training and the accuracy."""
    training: dict[str, Any] = {
        "steps": fitter.steps_done,
        "best_step": fitter.best_step,
        "minutes": round(fitter.elapsed_s / 60, 2),
        "loss": plan.options.loss,
        "seed": plan.options.seed,
        "batch_size": settings.batch_size,
        "chip_px": plan.options.chip_px,
        "learning_rate": settings.learning_rate,
        "precision": "bf16" if settings.half else "fp32",
        "data_sha256": counts.digest,
        "block_px": counts.block_px,
        "blocks": dict(zip(NAMES, counts.blocks, strict=True)),
        "versions": {**library_versions(), "numpy": np.__version__},
        "python": platform.python_version(),
    }
    if plan.start is not None:
        training["start"] = {
            "name": plan.start[1].name, "weights_sha256": plan.start[1].weights_sha256,
        }  # fmt: skip
    return {
        "training_data": [
            {"image": Path(s.scene.label).name, "labels": Path(s.pair.labels).name}
            | ({} if s.pair.background is None else {"background": s.pair.background})
            for s in plan.scenes
        ],
        "training": training,
        "accuracy": {_place(part): brief(e) for part, e in found.items()},
        "accuracy_note": "The validation blocks chose the weights, the temperature and, with "
        "--decide iou, the offsets; the test blocks were looked at once, at the end.",
    }


def _place(part: str) -> str:
    """Return ``test blocks`` for test, ``test blocks: roof`` for the roofs of test."""
    first, colon, rest = part.partition(":")
    return f"{first} blocks{colon}{rest}"


def brief(found: Evaluation) -> dict[str, Any]:
    """Return what a card says of the accuracy on one part of the ground."""
    calibration = found.calibration
    return {
        "classes": {
            name: {key: short(value) for key, value in asdict(score).items()}
            for name, score in zip(found.class_names, found.scores.classes, strict=True)
        },
        "mean_iou": short(found.scores.mean_iou),
        "overall_accuracy": short(found.scores.overall),
        "expected_calibration_error": None if calibration is None else short(
            calibration.expected_error
        ),
        "pixels": found.compared,
    }  # fmt: skip


def short(value: float | None) -> float | None:
    """Return a number of four decimals: a card is read by people."""
    return None if value is None else round(value, 4)


def report_texts(
    plan: TrainPlan,
    fitter: Fitter,
    found: dict[str, Evaluation],
    examples: Sequence[Example],
    facts: dict[str, Any],
) -> dict[str, str]:
    """Return the report and all numbers of the training, as texts by file name."""
    from geoseg.training.report_page import training_page  # noqa: PLC0415 - torch

    training = facts["training"]
    ground = ", ".join(f"{n} blocks for {part}" for part, n in training["blocks"].items())
    rows = [
        ("classes", ", ".join(c.name for c in plan.legend)),
        ("network", f"{plan.network.architecture}, encoder {plan.network.encoder}"),
        ("pixel size", "as it is" if plan.gsd_m is None else f"{plan.gsd_m:g} m"),
        ("ground", f"{ground}, {training['block_px']} px each"),
        ("batches", f"{training['steps']} of {training['batch_size']} crops"),
        ("weights", f"those after {training['best_step']} batches"),
        ("time", f"{training['minutes']} minutes"),
    ]  # fmt: skip
    if any(training.get("decide_iou", {"offsets": {}})["offsets"].values()):
        shifts = training["decide_iou"]["offsets"].items()
        rows.append(("scores shifted by", ", ".join(f"{name} {by:g}" for name, by in shifts)))
    backgrounds = dict.fromkeys(s.pair.background for s in plan.scenes if s.pair.background)
    if backgrounds:
        rows.insert(1, ("unlabelled ground", ", ".join(backgrounds)))
    curves = fitter.curve, fitter.checks
    page = training_page(_name(plan), rows, curves, found, plan.legend, examples)
    numbers = {
        "geoseg": plan.identity()["geoseg"],
        "made": time.strftime("%Y-%m-%d", time.gmtime()),
        "identity": plan.identity(),
        "training": training,
        "curve": fitter.curve,
        "looks": [asdict(check) for check in fitter.checks],
        "accuracy": {part: e.as_json() for part, e in found.items()},
    }
    return {"report.html": page, "training.json": json.dumps(numbers, indent=1) + "\n"}
