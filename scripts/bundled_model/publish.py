"""From fitted weights to what is shipped: smp folder, facts, and geoseg's model folder."""

from __future__ import annotations

import json
import logging
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from bundled_model.classes import COLOURS, DESCRIPTIONS, NAMES
from geoseg.legend import Legend, LegendClass
from geoseg.model.card import BandScaling
from geoseg.model.halo import image_side_px
from geoseg.model.importing import ImportRequest, import_smp_folder, tiles_of
from geoseg.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundled_model.data import Source
    from bundled_model.score import Normalisation
    from geoseg.model.card import ModelCard

logger = logging.getLogger(__name__)

TITLE = "Land cover of aerial and very-high-resolution satellite images, five classes"
DESCRIPTION = (
    "Maps building, land, road, vegetation and water in 8-bit RGB images of 0.3 to 2 m. A small "
    "residual U-Net, trained from scratch on few places: Dubai, two drone surveys in Tanzania and "
    "Uganda, eight wooded patches in West Virginia, and synthetic scenes. Good for a first look "
    "and for trying geoseg, not for statistics: expect large errors in climates and cities unlike "
    "these, in winter woods, in shadow, and where bare ground looks like roofs or roads. "
    "'Building' may cover a whole housing block, as it does in the Dubai labels."
)
LICENCE = "CC-BY-4.0"
STRIDE_PX = 16
TRAINING_DATA = (
    {
        "name": "Land cover of Dubai: tiles 4, 7, 8 (tiles 1, 3 chose the checkpoint)",
        "share_of_crops": 0.52,
        "licence": "CC0-1.0",
        "attribution": "Humans in the Loop; Mohammed Bin Rashid Space Centre; Roia Foundation",
    },
    {
        "name": "Synthetic scenes of scripts/sample_scenes, seeds from 10000",
        "share_of_crops": 0.31,
        "licence": "CC0-1.0",
        "attribution": "geoseg contributors",
    },
    {
        "name": "Drone images with building outlines: Zanzibar, Kampala (Banepa is a test)",
        "share_of_crops": 0.12,
        "licence": "Imagery CC-BY-4.0, outlines ODbL-1.0",
        "attribution": "(c) OpenAerialMap; (c) OpenStreetMap contributors; through HOT fAIr",
    },
    {
        "name": "Chesapeake land cover with NAIP images, eight patches of two dates",
        "share_of_crops": 0.05,
        "licence": "Imagery public domain, labels CDLA-Permissive-1.0",
        "attribution": "USDA NAIP; Chesapeake Conservancy; Robinson et al., CVPR 2019",
    },
)


def write_facts(
    path: Path,
    *,
    run: dict[str, object],
    accuracy: dict[str, object],
    normalisation: Normalisation,
    gsd_m: float,
) -> dict[str, object]:
    """Write what smp's folder does not tell about the model, and return it.

    Args:
        path: Where to.
        run: How it was trained: command, seed, steps, minutes.
        accuracy: Scores by place.
        normalisation: Mean and standard deviation per band, in counts.
        gsd_m: Ground sample distance that it was made for.

    Returns:
        The facts, JSON values only.
    """
    facts = {
        "name": DEFAULT_MODEL,
        "title": TITLE,
        "description": DESCRIPTION,
        "licence": LICENCE,
        "bands": ["red", "green", "blue"],
        "value_range": [0, 255],
        "mean": list(normalisation[0]),
        "std": list(normalisation[1]),
        "gsd_m": gsd_m,
        "gsd_range_m": [0.3, 2.0],
        "stride_px": STRIDE_PX,
        "nodata_id": 255,
        "classes": [
            {"id": number, "name": name, "colour": colour, "description": text}
            for number, (name, colour, text) in enumerate(
                zip(NAMES, COLOURS, DESCRIPTIONS, strict=True)
            )
        ],
        "training_data": list(TRAINING_DATA),
        "training": {
            **run,
            "versions": {
                name: version(name)
                for name in ("torch", "segmentation-models-pytorch", "timm", "numpy")
            },
            "python": platform.python_version(),
        },
        "accuracy": accuracy,
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def bundle(
    smp_folder: Path,
    facts: dict[str, object],
    out: Path,
    *,
    normalisation: Normalisation,
    images: Sequence[Source],
    gsd_m: float,
) -> ModelCard:
    """Make the model folder of geoseg from the smp folder.

    Args:
        smp_folder: What `save_pretrained` wrote.
        facts: What `write_facts` gave.
        out: The model folder to make or replace.
        normalisation: Mean and standard deviation per band, in counts.
        images: Places to measure the halo on.
        gsd_m: Ground sample distance that it was made for.

    Returns:
        The card.
    """
    request = ImportRequest(
        name=DEFAULT_MODEL,
        title=TITLE,
        description=DESCRIPTION,
        bands=("red", "green", "blue"),
        scaling=tuple(
            BandScaling(offset=mean, divisor=std) for mean, std in zip(*normalisation, strict=True)
        ),
        value_range=(0.0, 255.0),
        gsd_m=gsd_m,
        gsd_range_m=(0.3, 2.0),
        legend=Legend(
            classes=tuple(
                LegendClass(class_id=number, name=name, colour=colour, description=text)
                for number, (name, colour, text) in enumerate(
                    zip(NAMES, COLOURS, DESCRIPTIONS, strict=True)
                )
            )
        ),
        license=LICENCE,
        facts={key: facts[key] for key in ("training_data", "training", "accuracy")},
    )
    squares = [
        square for place in images for square in tiles_of(place.rgb, image_side_px(STRIDE_PX), 1)
    ]
    card = import_smp_folder(smp_folder, out, request, images=squares, overwrite=True)
    logger.info(
        "halo %d px, %s; bf16 agrees on %.4f", card.halo_px, card.stitch, card.bf16_agreement or 0
    )
    return card
