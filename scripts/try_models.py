"""Try networks, losses and data for the bundled model, all on the same ground and batches.

Example:
    python scripts/try_models.py DATA_FOLDER WORK_FOLDER --steps 500

Prints one line of a table per trial: mean IoU and IoU per class on the validation ground (Dubai,
tiles 1 and 3) after the given number of batches, the size of the weights, and the time that the
network takes for a megapixel. Finished trials are kept in WORK_FOLDER/trials.jsonl.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from bundled_model.accuracy import resolved
from bundled_model.classes import DESERT_SETS, LEGEND, NAMES, REAL_SETS, VEGETATION, WATER, match_of
from train_bundled_model import GSD_M, write_pairs

from geoseg.accuracy.confusion import confusion_matrix, scores
from geoseg.cores import usable_cores
from geoseg.model.card import NetworkSpec
from geoseg.options import TrainOptions
from geoseg.run.train_blocks import prepare_blocks
from geoseg.run.train_ground import crop_plan
from geoseg.run.train_plan import TrainPlan, make_train_plan
from geoseg.training.chips import CropPlan, PreparedBlocks, find_anchors
from geoseg.training.fit import FitSettings, Fitter, predict_blocks
from geoseg.training.losses import make_loss
from geoseg.training.network import choose_training_device, fresh_network

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

logger = logging.getLogger("try_models")

NARROW = (("decoder_channels", (96, 64, 32, 16)), ("encoder_depth", 4))
NOT_DESERT = ("synthetic_town", "synthetic_coast", "synthetic_farmland")
TEMPERATE = ("wv_", "m_", "massachusetts")
"""Begins of the names of places that are neither desert nor tropical nor drawn."""
TOLD = (VEGETATION, WATER)
"""Classes that the labels of temperate places tell from all others."""
SIDE_PX = 512
TIMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What differs from the default."""

    name: str
    arch: str = "unet"
    encoder: str = "tu-resnet10t"
    arguments: tuple[tuple[str, Any], ...] = NARROW
    loss: str = "ce+0.5*dice"
    strength: float = 1.0
    without: tuple[str, ...] = ()
    """Begins of the names of places that are left out."""
    judged_on: tuple[str, ...] = ()
    """Begins of the names of places left out that are judged too, for ``TOLD``."""
    gsd_m: float = GSD_M
    """Pixel size that the network works at; it is judged at this size too."""
    seed: int = 7
    """Of crops and weights."""


TRIALS = (
    Trial(name="U-Net, ResNet-10-T, narrow decoder (the default)"),
    Trial(name="the same, cross-entropy alone", loss="ce"),
    Trial(name="the same, cross-entropy and Lovász", loss="ce+0.5*lovasz"),
    Trial(name="the same, without synthetic scenes", without=("synthetic",)),
    Trial(name="the same, light and air as they are", strength=0.0),
    Trial(
        name="U-Net, MobileNetV3-small, narrow decoder", encoder="tu-mobilenetv3_small_100",
    ),
    Trial(name="FPN, ResNet-10-T", arch="fpn", arguments=()),
    Trial(name="FCN, ResNet-10-T", arch="fcn", arguments=()),
    Trial(name="the default with another seed", seed=8),
    Trial(name="the default, no temperate ground", without=TEMPERATE, judged_on=TEMPERATE),
    Trial(
        name="the same, without synthetic scenes either", without=(*TEMPERATE, "synthetic"),
        judged_on=TEMPERATE,
    ),
    Trial(name="the default at 1.5 m", gsd_m=1.5),
    Trial(name="the default at 0.75 m", gsd_m=0.75),
    Trial(
        name="U-Net, MobileNetV4-conv-small, narrow decoder", encoder="tu-mobilenetv4_conv_small",
    ),
    Trial(name="U-Net, RegNetX-400MF, narrow decoder", encoder="tu-regnetx_004"),
    Trial(name="U-Net, EfficientNet-Lite0, narrow decoder", encoder="tu-efficientnet_lite0"),
)  # fmt: skip


Ground = tuple[PreparedBlocks, "NDArray[Any]", CropPlan]
"""Blocks, the name of each one's place, and how crops are cut from them."""


def prepared(listing: Path, out: Path, gsd_m: float) -> tuple[TrainPlan, Ground]:
    """Return plan and ground at a pixel size."""
    options = TrainOptions(
        data=(str(listing),), out=out / "trial", classes=LEGEND,
        match=match_of(REAL_SETS + DESERT_SETS), gsd_m=gsd_m,
        bands=("red", "green", "blue"), chip_px=192, scale=1.6, block_px=512, seed=7,
    )  # fmt: skip
    plan = make_train_plan(options)
    folder = out / f"ground_{plan.digest[:12]}"
    folder.mkdir(exist_ok=True)
    blocks, _ = prepare_blocks(plan, folder, lambda *_: None)
    places = json.loads((folder / "blocks.json").read_text())["places"]
    names = np.array([plan.scenes[place[0]].scene.stem for place in places])
    crops, _ = crop_plan(plan, blocks)
    return plan, (blocks, names, crops)


def run_trial(
    trial: Trial,
    plan: TrainPlan,
    ground: Ground,
    settings: FitSettings,
) -> dict[str, Any]:
    """Train for some batches and look once."""
    blocks, names, crops = ground
    if trial.without:
        kept = ~begins(names, trial.without)
        blocks = replace(blocks, weight=np.where(kept, blocks.weight, 1e-12))
    crops = replace(crops, variation=replace(crops.variation, strength=trial.strength))
    spec = NetworkSpec(
        architecture=trial.arch, encoder=trial.encoder, arguments=trial.arguments,
        n_outputs=len(plan.legend),
    )  # fmt: skip
    network, _ = fresh_network(spec, len(plan.band_names), None, plan.legend, settings.seed)
    anchors = find_anchors(blocks, len(plan.legend), settings.seed)
    loss = make_loss(trial.loss, len(plan.legend))
    fitter = Fitter(network, loss, (blocks, anchors, crops), settings, None)
    fitter.run(lambda *_: None, lambda _: None)
    check = fitter.checks[-1]
    best = fitter.best_network()
    elsewhere = temperate_iou(best, blocks, begins(names, trial.judged_on), crops, settings)
    return {
        "name": trial.name,
        "mean_iou": round(check.mean_iou, 3),
        "class_iou": [None if v is None else round(v, 3) for v in check.class_iou],
        "temperate_iou": elsewhere if trial.judged_on else None,
        "mib": round(sum(p.numel() for p in network.parameters()) * 4 / 2**20, 1),
        "ms_per_mpx": round(milliseconds_per_mpx(best, settings)),
        "minutes": round(fitter.elapsed_s / 60, 1),
    }


def begins(names: NDArray[Any], begins_with: tuple[str, ...]) -> NDArray[np.bool_]:
    """Tell which names begin with one of some texts."""
    return np.array([name.startswith(begins_with) for name in names])


def temperate_iou(
    network: nn.Module,
    blocks: PreparedBlocks,
    chosen: NDArray[np.bool_],
    crops: CropPlan,
    settings: FitSettings,
) -> list[float | None]:
    """Return the IoU of the classes of ``TOLD`` on some blocks; None where there is none."""
    total = np.zeros((len(NAMES), len(NAMES)), np.int64)
    for block, logits in predict_blocks(network, blocks, np.flatnonzero(chosen), crops, settings):
        found = logits.argmax(axis=0).astype(np.uint8)
        truth = resolved(blocks.labels[block], found)
        known = truth >= 0
        total += confusion_matrix(found[known].astype(np.intp), truth[known], len(NAMES))
    ious = [scores(total).classes[label].iou for label in TOLD]
    return [None if iou is None else round(iou, 3) for iou in ious]


def milliseconds_per_mpx(network: nn.Module, settings: FitSettings) -> float:
    """Return the median time of a forward pass, one thread."""
    torch.set_num_threads(1)
    image = torch.randn(1, 3, SIDE_PX, SIDE_PX).contiguous(memory_format=torch.channels_last)
    network = network.eval().to(memory_format=torch.channels_last)
    times = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=settings.half):
        for _ in range(TIMED):
            began = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - began)
    torch.set_num_threads(settings.threads)
    return float(np.median(times)) * 1e3 / (SIDE_PX**2 / 1e6)


def main(arguments: list[str]) -> None:
    """Prepare once, try all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--scenes", type=int, default=64)
    parser.add_argument("--only", default="", help="trials with this in their name")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    listing = write_pairs(given.data, given.out / "pairs", given.scenes)
    device, half = choose_training_device("auto", "auto")
    settings = FitSettings(
        steps=given.steps, batch_size=8, learning_rate=2e-3, weight_decay=0.02,
        warmup_steps=given.steps // 20, average=0.99, clip_norm=2.0, seed=7,
        check_steps=given.steps, patience=0, device=device, half=half, threads=usable_cores(),
    )  # fmt: skip
    stored = given.out / "trials.jsonl"
    done = {json.loads(line)["name"] for line in stored.read_text().splitlines()} if (
        stored.exists()
    ) else set()  # fmt: skip
    for trial in TRIALS:
        if given.only in trial.name and trial.name not in done:
            plan, ground = prepared(listing, given.out, trial.gsd_m)
            found = run_trial(trial, plan, ground, replace(settings, seed=trial.seed))
            with stored.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    logger.info(
        "| trial | mean IoU | by class | temperate | weights MiB | ms per Mpx |\n"
        "|---|---|---|---|---|---|"
    )
    for line in stored.read_text(encoding="utf-8").splitlines():
        found = json.loads(line)
        ious = " ".join("-" if v is None else f"{v:.2f}" for v in found["class_iou"])
        elsewhere = " ".join(str(v) for v in found.get("temperate_iou") or ())
        logger.info(
            "| %s | %.3f | %s | %s | %.1f | %d |",
            found["name"], found["mean_iou"], ious, elsewhere, found["mib"], found["ms_per_mpx"],
        )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
