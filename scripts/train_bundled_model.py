"""Train the model that geoseg bundles with ``geoseg train``, score it, and write its folder.

Example:
    python scripts/train_bundled_model.py DATA_FOLDER WORK_FOLDER --minutes 60

Every place becomes a GeoTIFF and a raster of sets of classes in WORK_FOLDER/pairs, listed in
pairs_N.csv; the training is then one ``geoseg train`` on that list. Stopped, it goes on from
where it was.
"""

from __future__ import annotations

import argparse
import csv
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from bundled_model import data
from bundled_model.accuracy import nominal_transform, write_place
from bundled_model.classes import DESERT_SETS, LEGEND, REAL_SETS, match_of
from bundled_model.publish import publish

from geoseg.cli.progress import listener
from geoseg.options import TrainOptions
from geoseg.run.train import train

if TYPE_CHECKING:
    from bundled_model.data import Source

logger = logging.getLogger("train_bundled_model")

GSD_M = 1.0
SYNTHETIC_FIRST_SEED = 10_000
SYNTHETIC_SIDE_PX = 480
SYNTHETIC_SHARE = 0.25


def places(folder: Path, scenes: int, share: float) -> list[tuple[float, str, list[Source]]]:
    """Return (share of the crops, part, places) of everything that is trained and chosen on.

    Shares are relative; the real places make up 0.75, ``share`` is that of the synthetic ones.
    """
    dubai = folder / "dubai-landcover"
    hot = folder / "hot-oam-buildings"
    drawn = scenes if share > 0 else 0
    return [
        (0.50, "train", [data.read_dubai_tile(dubai, 4), data.read_dubai_mosaic(dubai)]),
        (share, "train", data.make_synthetic(drawn, SYNTHETIC_SIDE_PX, SYNTHETIC_FIRST_SEED)),
        (0.10, "train", [data.read_hot_place(hot, place) for place in (1, 2)]),
        (0.08, "train", data.read_chesapeake(folder / "chesapeake-naip-patches", "train")),
        (0.04, "train", data.read_north_dakota(folder / "naip-north-dakota", "train")),
        (0.03, "train", [data.read_massachusetts(folder / "nrcan-aerial-labelled")]),
        (0.0, "validation", [data.read_dubai_tile(dubai, number) for number in (1, 3)]),
    ]


def write_pairs(folder: Path, out: Path, scenes: int, share: float = SYNTHETIC_SHARE) -> Path:
    """Write all places as GeoTIFFs and their list; nothing where the list is there."""
    listing = out / f"pairs_{scenes}_{share:g}.csv"
    if listing.exists():
        return listing
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for weight, part, sources in places(folder, scenes, share):
        # A pair's ground is drawn by its area, times its weight.
        area_m2 = sum(np.count_nonzero(s.allowed) * s.gsd_m**2 for s in sources)
        per_area = max(weight, 1e-9) / max(area_m2, 1.0) * 1e8
        for source in sources:
            image, labels = out / f"{source.name}.tif", out / f"{source.name}_labels.tif"
            write_place(image, source)
            write_labels(labels, source)
            rows.append((image.name, labels.name, part, f"{per_area:.6g}"))
    part = listing.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "labels", "split", "weight"))
        writer.writerows(rows)
    part.replace(listing)
    return listing


def write_labels(path: Path, source: Source) -> None:
    """Write the sets of classes of a place as numbers; 0 where nothing is known."""
    height, width = source.allowed.shape
    with rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=1, height=height, width=width,
        crs="EPSG:32640", transform=nominal_transform(source), nodata=0, tiled=True,
        compress="deflate",
    ) as target:  # fmt: skip
        target.write(source.allowed, 1)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder with the data sets")
    parser.add_argument("out", type=Path, help="folder for pairs, checkpoint and model")
    parser.add_argument("--minutes", type=float, help="choose the number of batches by time")
    parser.add_argument("--steps", type=int, help="number of batches")
    parser.add_argument("--scenes", type=int, default=64, help="synthetic scenes to train on")
    parser.add_argument(
        "--synthetic", type=float, default=SYNTHETIC_SHARE, help="their share, real ground is 0.75"
    )
    parser.add_argument("--strength", type=float, default=1.0, help="of light, air and camera")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--chip-px", type=int, default=192)
    parser.add_argument("--encoder", default="tu-resnet10t")
    parser.add_argument("--arch", default="unet")
    parser.add_argument("--depth", type=int, help="how often the encoder halves")
    parser.add_argument("--decoder", help="channels of the decoder, A,B,...")
    parser.add_argument("--start", help="model folder to go on from, with its network")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--bundle", type=Path, help="also make or replace this model folder")
    return parser.parse_args(arguments)


def shown_flags(given: argparse.Namespace) -> str:
    """Return the flags that differ from the defaults; folders are this machine's business."""
    usual = parse(["data", "out"])
    own = {"data", "out", "bundle", "threads"}
    told = {name: value for name, value in vars(given).items() if name not in own}
    shown = {name: value for name, value in told.items() if value != getattr(usual, name)}
    shown |= {"start": "FIRST"} if given.start else {}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in shown.items())


def main(arguments: list[str]) -> None:
    """Prepare, train, score, publish."""
    given = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    listing = write_pairs(given.data, given.out / "pairs", given.scenes, given.synthetic)
    model = given.out / "model"
    channels = tuple(int(n) for n in given.decoder.split(",")) if given.decoder else None
    has_deserts = given.synthetic > 0 and given.scenes > 1  # every second scene is one
    sets = REAL_SETS + (DESERT_SETS if has_deserts else ())
    if not model.exists():
        options = TrainOptions(
            data=(str(listing),), out=model, classes=LEGEND, match=match_of(sets), gsd_m=GSD_M,
            bands=("red", "green", "blue"), arch=given.arch, encoder=given.encoder,
            encoder_depth=given.depth, decoder_channels=channels,
            steps=given.steps, minutes=given.minutes, chip_px=given.chip_px, scale=1.6,
            strength=given.strength, decide="iou", patience=0, seed=given.seed, start=given.start,
            learning_rate=given.rate, threads=given.threads, block_px=512,
            name="aerial-landcover", license="CC-BY-4.0",
        )  # fmt: skip
        with listener(as_json=False, quiet=False) as progress:
            train(options, progress)
    if given.bundle:
        publish(model, given.bundle, given.data, shown_flags(given), given.synthetic)


if __name__ == "__main__":
    main(sys.argv[1:])
