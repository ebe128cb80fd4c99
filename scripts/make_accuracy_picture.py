"""Make the picture of docs/bundled_model.md: image, map and labels of the tiles that chose it.

    python scripts/make_accuracy_picture.py DATA_FOLDER [PICTURE.png]

Maps Dubai tiles 1 and 3 with the bundled model and puts image, map and labels side by side, one
tile below the other. What nobody labelled is left white.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bundled_model.accuracy import mapped
from bundled_model.classes import COLOURS, COUNT, EXACT
from bundled_model.data import read_dubai_tile
from PIL import Image

from geoseg.model.registry import find_model
from geoseg.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from bundled_model.data import Source
    from numpy.typing import NDArray

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "dubai_map.png"
PANEL_PX = 400
GAP_PX = 8
WHITE = 255
TILES = (1, 3)


def coloured(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (row, col, 3) colours of class ids; white where there is none."""
    table = np.full((256, 3), WHITE, np.uint8)
    for label, colour in enumerate(COLOURS):
        table[label] = tuple(bytes.fromhex(colour.removeprefix("#")))
    return table[classes]


def labelled(source: Source) -> NDArray[np.uint8]:
    """Return class ids of the labels, 255 where they name no class."""
    ids = np.full(source.allowed.shape, 255, np.uint8)
    for label in range(COUNT):
        ids[source.allowed == EXACT[label]] = label
    return ids


def row_of(source: Source, model: Path) -> NDArray[np.uint8]:
    """Return image, map and labels of a tile side by side, all of one height."""
    classes, _ = mapped(model, source)
    panels = [
        np.asarray(Image.fromarray(panel).resize((PANEL_PX, PANEL_PX), how))
        for panel, how in (
            (np.moveaxis(source.rgb, 0, -1), Image.Resampling.BOX),
            (coloured(classes), Image.Resampling.NEAREST),
            (coloured(labelled(source)), Image.Resampling.NEAREST),
        )
    ]
    gap = np.full((PANEL_PX, GAP_PX, 3), WHITE, np.uint8)
    return np.hstack([panels[0], gap, panels[1], gap, panels[2]])


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("picture", type=Path, nargs="?", default=PICTURE)
    given = parser.parse_args()
    model, _ = find_model(DEFAULT_MODEL)
    rows = [row_of(read_dubai_tile(given.data / "dubai-landcover", n), model) for n in TILES]
    gap = np.full((GAP_PX, rows[0].shape[1], 3), WHITE, np.uint8)
    Image.fromarray(np.vstack([rows[0], gap, rows[1]])).save(given.picture, optimize=True)


if __name__ == "__main__":
    main()
