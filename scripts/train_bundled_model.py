"""Train the model that geoseg bundles, from scratch, and write it as an smp folder with its facts.

Example:
    python scripts/train_bundled_model.py DATA_FOLDER OUT_FOLDER --steps 4000 --minutes 50
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from bundled_model import data
from bundled_model.augment import Pool, make_pool
from bundled_model.fit import FitOptions, fit

logger = logging.getLogger("train_bundled_model")

# Rounded from the training places, weighted like the crops; one constant pair for every scene and window.
NORMALISATION = ((119.0, 122.0, 114.0), (58.0, 57.0, 60.0))
SYNTHETIC_FIRST_SEED = 10_000


def read_pools(folder: Path, *, scenes: int, seed: int) -> list[Pool]:
    """Read the training places and make the synthetic scenes."""
    rng = np.random.default_rng([seed, 1])
    dubai = [data.read_dubai_tile(folder / "dubai-landcover", 4), data.read_dubai_mosaic(folder / "dubai-landcover")]
    drone = [data.read_hot_place(folder / "hot-oam-buildings", place) for place in (1, 2)]
    naip = data.read_chesapeake(folder / "chesapeake-naip-patches")
    synthetic = data.make_synthetic(scenes, 480, SYNTHETIC_FIRST_SEED)
    return [make_pool(rng, weight, places) for weight, places in ((0.56, dubai), (0.27, synthetic), (0.12, drone), (0.05, naip))]


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the data sets")
    parser.add_argument("out", type=Path, help="folder for checkpoints, log, model and facts")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=50.0)
    parser.add_argument("--scenes", type=int, default=64, help="synthetic scenes to train on")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Run the training."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    pools = read_pools(options.data, scenes=options.scenes, seed=options.seed)
    checks = [data.read_dubai_tile(options.data / "dubai-landcover", number) for number in (1, 3)]
    model = fit(pools, checks, NORMALISATION, FitOptions(steps=options.steps, minutes=options.minutes, seed=options.seed), options.out)
    model.save_pretrained(options.out / "smp_model")


if __name__ == "__main__":
    main(sys.argv[1:])
