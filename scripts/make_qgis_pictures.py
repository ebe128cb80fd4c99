"""Take the pictures of docs/qgis.md from those that the desktop test leaves behind.

Run `python scripts/check_qgis -k desktop` first: it starts QGIS, opens the panel, presses Run
and keeps pictures in build/qgis-pictures. Look at them, then:

    python scripts/make_qgis_pictures.py           into docs/images, small enough for a page
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "qgis-pictures"
TARGET = ROOT / "docs" / "images"
PICTURES = {
    "qgis_panel": "en_panel",
    "qgis_running": "en_running",
    "qgis_result": "en_result",
    "qgis_doctor": "en_doctor",
    "qgis_first_run": "en_first_run",
    "qgis_refused": "en_wrong_gsd",
    "qgis_toolbox": "en_toolbox_segment",
    "qgis_train": "en_toolbox_train",
    "qgis_korean": "ko_panel",
}
_WIDEST_PX = 1280
_COLOURS = 160


def main() -> int:
    """Write every picture that is there; tell which is missing."""
    missing = [name for name in PICTURES.values() if not (SOURCE / f"{name}.png").exists()]
    for target, source in PICTURES.items():
        if source in missing:
            continue
        picture = Image.open(SOURCE / f"{source}.png").convert("RGB")
        if picture.width > _WIDEST_PX:
            height = round(picture.height * _WIDEST_PX / picture.width)
            picture = picture.resize((_WIDEST_PX, height), Image.Resampling.LANCZOS)
        small = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
        small.save(TARGET / f"{target}.png", optimize=True)
    for name in missing:
        sys.stderr.write(f"{name}.png is missing in {SOURCE.name}\n")
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
