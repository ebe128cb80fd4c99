"""From a trained model folder to the one that is shipped: title, licence, scores of places."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundled_model.accuracy import score_all
from bundled_model.classes import DESCRIPTIONS
from bundled_model.data import read_dubai_tile
from geoseg.legend import Legend
from geoseg.model.card import CARD_NAME, read_card
from geoseg.model.device import Device
from geoseg.model.exporting import with_programs
from geoseg.model.halo import agreement, image_side_px, measure_halo
from geoseg.model.importing import tiles_of
from geoseg.model.torch_predictor import load_predictor
from geoseg.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard

logger = logging.getLogger(__name__)

TITLE = "Land cover of aerial and very-high-resolution satellite images, five classes"
DESCRIPTION = (
    "Maps building, land, road, vegetation and water in 8-bit RGB images of 0.3 to 2 m. A small "
    "residual U-Net, trained without weights from elsewhere on few places: Dubai, two drone "
    "surveys in Tanzania and Uganda, wooded patches in West Virginia, farmland in North Dakota, a "
    "suburb in Massachusetts, and synthetic scenes. Good for a first look and for trying geoseg, "
    "not for statistics: expect large errors in climates and cities unlike these, in winter "
    "woods, in shadow, and where bare ground looks like roofs or roads. 'Building' may cover a "
    "whole housing block, as it does in the Dubai labels."
)
GSD_RANGE_M = (0.3, 2.0)
TRAINING_DATA: tuple[dict[str, Any], ...] = (
    {
        "name": "Land cover of Dubai: tiles 4, 7, 8 (tiles 1, 3 chose the weights)",
        "share_of_ground": 0.50,
        "licence": "CC0-1.0",
        "attribution": "Humans in the Loop; Mohammed Bin Rashid Space Centre; Roia Foundation",
    },
    {
        "name": "Synthetic scenes of scripts/sample_scenes, seeds from 10000",
        "licence": "CC0-1.0",
        "attribution": "geoseg contributors",
    },
    {
        "name": "Drone images with building outlines: Zanzibar, Kampala (Banepa is a test)",
        "share_of_ground": 0.10,
        "licence": "Imagery CC-BY-4.0, outlines ODbL-1.0",
        "attribution": "(c) OpenAerialMap; (c) OpenStreetMap contributors; through HOT fAIr",
    },
    {
        "name": "Chesapeake land cover with NAIP images, six patches of two dates",
        "share_of_ground": 0.08,
        "licence": "Imagery public domain, labels CDLA-Permissive-1.0",
        "attribution": "USDA NAIP; Chesapeake Conservancy; Robinson et al., CVPR 2019",
    },
    {
        "name": "NAIP images of North Dakota, three years, labelled by their near infrared",
        "share_of_ground": 0.04,
        "licence": "Imagery public domain",
        "attribution": "USDA NAIP",
    },
    {
        "name": "Orthophoto of Massachusetts with building outlines",
        "share_of_ground": 0.03,
        "licence": "Imagery public domain, outlines ODbL-1.0",
        "attribution": "MassGIS; (c) OpenStreetMap contributors; V. Mnih 2013",
    },
)


def training_data(synthetic: float) -> list[dict[str, Any]]:
    """Return what was trained on, with a share of synthetic scenes beside 0.75 of real ground."""
    found = []
    for row in TRAINING_DATA:
        share = row.get("share_of_ground", synthetic)
        found.append({**row, "share_of_ground": round(share / (0.75 + synthetic), 3)})
    return [row for row in found if row["share_of_ground"]]


def publish(model: Path, out: Path, folder: Path, flags: str, synthetic: float) -> None:
    """Score a trained model on all places and write it as the bundled one.

    Args:
        model: Folder that ``geoseg train`` made.
        out: The model folder to make or replace.
        folder: The data sets.
        flags: How the script was called, without its folders.
        synthetic: Share of the synthetic scenes, beside 0.75 of real ground.
    """
    card = read_card(model)
    legend = Legend(
        classes=tuple(
            replace(c, description=text) for c, text in zip(card.legend, DESCRIPTIONS, strict=True)
        ),
        nodata_id=card.legend.nodata_id,
    )
    command = f"python scripts/train_bundled_model.py DATA OUT {flags}".strip()
    training = {"command": command, **card.facts["training"]}
    card = replace(
        card,
        name=DEFAULT_MODEL,
        title=TITLE,
        description=DESCRIPTION,
        gsd_range_m=GSD_RANGE_M,
        legend=legend,
        facts={
            **card.facts,
            "training_data": training_data(synthetic),
            "training": training,
        },
    )
    card = measured_on_dubai(card, model, folder)
    weights = model / card.weights_file
    with tempfile.TemporaryDirectory(prefix="score-") as name:
        as_shipped = Path(name) / DEFAULT_MODEL
        place_model(card, weights, as_shipped)
        card = replace(card, facts={**card.facts, "accuracy": score_all(as_shipped, folder)})
    place_model(card, weights, out)
    logger.info("%s: halo %d px, temperature %g", out, card.halo_px, card.temperature)


def place_model(card: ModelCard, weights: Path, out: Path) -> None:
    """Put weights, programs and card into a model folder, whose other files stay.

    Both are written before either takes its place. Two names cannot change at once: a stop
    between them leaves the new weights with the old card, whose digest refuses them, and the
    same command mends it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".part-", dir=out) as folder:
        staging = Path(folder)
        shutil.copyfile(weights, staging / card.weights_file)
        with_programs(card, staging).write(staging)
        for path in sorted(staging.iterdir(), key=lambda path: path.name == CARD_NAME):
            os.replace(path, out / path.name)


def measured_on_dubai(card: ModelCard, model: Path, folder: Path) -> ModelCard:
    """Return the card with halo and agreement of bf16 measured on a square of tiles 1 and 3."""
    dubai = folder / "dubai-landcover"
    squares = [
        square
        for number in (1, 3)
        for square in tiles_of(read_dubai_tile(dubai, number).rgb, image_side_px(card.stride_px), 1)
    ]
    plain = read_card(model)
    exact, half = (
        load_predictor(model, plain, Device(name="cpu", precision=precision))
        for precision in ("fp32", "bf16")
    )
    halo = measure_halo(exact, card.stride_px, squares)
    if halo.halo_px is None:
        return card
    curve = [{"halo_px": h, "differing_share": round(d, 7)} for h, d in halo.curve]
    return replace(
        card,
        halo_px=halo.halo_px,
        bf16_agreement=round(agreement(exact, half, squares), 6),
        facts={**card.facts, "halo_curve": curve, "halo_measured_on": "dubai tiles 1 and 3"},
    )
