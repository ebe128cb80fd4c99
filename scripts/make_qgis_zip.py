"""Build the zip that QGIS installs: Plugins, Manage and Install Plugins, Install from ZIP.

The same sources give the same bytes. Needs nothing but Python.

Examples:
    python scripts/make_qgis_zip.py                dist/geoseg_qgis-0.1.0.zip
    python scripts/make_qgis_zip.py --out DIR      somewhere else
"""

from __future__ import annotations

import argparse
import configparser
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "plugins" / "qgis" / "geoseg_qgis"
SUFFIXES = {".py", ".json", ".txt", ".svg", ".png", ".qml", ".qm", ".html"}
_EARLIEST = (1980, 1, 1, 0, 0, 0)


def files() -> list[Path]:
    """Return what belongs into the zip, sorted."""
    found = (p for p in PLUGIN.rglob("*") if p.suffix in SUFFIXES or p.name == "LICENSE")
    return sorted(p for p in found if p.is_file() and "__pycache__" not in p.parts)


def version() -> str:
    """Return the plugin's version."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(PLUGIN / "metadata.txt", encoding="utf-8")
    return metadata["general"]["version"]


def build(folder: Path) -> Path:
    """Write the zip into a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"geoseg_qgis-{version()}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            # A fixed time and mode: who builds it, and when, changes no byte.
            entry = zipfile.ZipInfo(path.relative_to(PLUGIN.parent).as_posix(), _EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    return target


def main() -> int:
    """Build it and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    sys.stdout.write(f"{build(parser.parse_args().out)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
