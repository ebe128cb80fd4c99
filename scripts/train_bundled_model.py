"""Train the model that geoseg bundles, from scratch, and write it as an smp folder with its facts.

Example:
    python scripts/train_bundled_model.py DATA_FOLDER OUT_FOLDER --steps 4000 --minutes 50
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from bundled_model import data
from bundled_model.accuracy import score_all
from bundled_model.augment import Pool, make_pool
from bundled_model.fit import FitOptions, build_network, fit
from bundled_model.publish import bundle, write_facts

logger = logging.getLogger("train_bundled_model")

# Rounded from a few hundred training crops; constants, the same for every scene and window.
NORMALISATION = ((119.0, 122.0, 114.0), (58.0, 57.0, 60.0))
GSD_M = 1.0
SYNTHETIC_FIRST_SEED = 10_000
TILES = Path(__file__).resolve().parents[1] / "sample_tiles"


def read_pools(folder: Path, *, scenes: int, seed: int) -> list[Pool]:
    """Read the training places and make the synthetic scenes."""
    rng = np.random.default_rng([seed, 1])
    dubai = [
        data.read_dubai_tile(folder / "dubai-landcover", 4),
        data.read_dubai_mosaic(folder / "dubai-landcover"),
    ]
    drone = [data.read_hot_place(folder / "hot-oam-buildings", place) for place in (1, 2)]
    naip = data.read_chesapeake(folder / "chesapeake-naip-patches")
    synthetic = data.make_synthetic(scenes, 480, SYNTHETIC_FIRST_SEED)
    return [
        make_pool(rng, weight, places)
        for weight, places in ((0.52, dubai), (0.31, synthetic), (0.12, drone), (0.05, naip))
    ]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the data sets")
    parser.add_argument("out", type=Path, help="folder for checkpoints, log, model and facts")
    parser.add_argument(
        "--steps", type=int, default=4600, help="steps over which the learning rate falls"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=600.0,
        help="limit; the schedule is shortened to end with it",
    )
    parser.add_argument("--scenes", type=int, default=64, help="synthetic scenes to train on")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--start", type=Path, help="checkpoint to start from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--score-only", action="store_true", help="score and export the best checkpoint in OUT"
    )
    parser.add_argument("--bundle", type=Path, help="also make or replace this geoseg model folder")
    return parser.parse_args(arguments)


def train(options: argparse.Namespace) -> None:
    """Fit the network; checkpoints and log go to the output folder."""
    pools = read_pools(options.data, scenes=options.scenes, seed=options.seed)
    fit_options = FitOptions(
        steps=options.steps,
        minutes=options.minutes,
        seed=options.seed,
        rate=options.rate,
        start=str(options.start or ""),
    )
    fit(pools, read_checks(options.data), NORMALISATION, fit_options, options.out)


def read_checks(folder: Path) -> list[data.Source]:
    """Read the validation places, which choose the checkpoint."""
    return [data.read_dubai_tile(folder / "dubai-landcover", number) for number in (1, 3)]


def export(options: argparse.Namespace) -> None:
    """Score the best checkpoint and write the smp folder, the facts and the model folder."""
    stored = torch.load(options.out / "best.pt", weights_only=True)
    model = build_network().to(memory_format=torch.channels_last).eval()
    model.load_state_dict(stored["weights"])
    folder = options.out / "smp_model"
    model.save_pretrained(folder)
    last = json.loads((options.out / "log.jsonl").read_text().splitlines()[-1])
    run = {
        "stages": [*earlier_stages(stored), stage_of(stored, last)],
        "checkpoint_step": json.loads(stored["record"])["step"],
        "synthetic_scenes": options.scenes,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    accuracy = score_all(model, options.data, TILES, NORMALISATION, GSD_M)
    facts = write_facts(
        folder / "facts.json", run=run, accuracy=accuracy, normalisation=NORMALISATION, gsd_m=GSD_M
    )
    if options.bundle:
        bundle(
            folder,
            facts,
            options.bundle,
            normalisation=NORMALISATION,
            images=read_checks(options.data),
            gsd_m=GSD_M,
        )


def earlier_stages(stored: dict[str, str]) -> list[dict[str, object]]:
    """Tell how the checkpoint was trained that a checkpoint started from, first stage first."""
    start = json.loads(stored["options"]).get("start")
    if not start:
        return []
    before = torch.load(start, weights_only=True)
    return [*earlier_stages(before), stage_of(before, json.loads(before["record"]))]


def stage_of(stored: dict[str, str], last: dict[str, float]) -> dict[str, object]:
    """Tell how one stage was trained: options, steps taken, minutes on the clock."""
    fitted = json.loads(stored["options"])
    flags = " ".join(f"--{name} {fitted[name]}" for name in ("steps", "minutes", "seed", "rate"))
    # The path of the starting checkpoint is this machine's business.
    if fitted.pop("start", ""):
        flags += " --start CHECKPOINT"
    command = f"python scripts/train_bundled_model.py DATA OUT {flags}"
    return {
        "command": command,
        "options": fitted,
        "steps": last["step"],
        "minutes": last["minutes"],
    }


def main(arguments: list[str]) -> None:
    """Train, score, export."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.score_only:
        train(options)
    export(options)


if __name__ == "__main__":
    main(sys.argv[1:])
