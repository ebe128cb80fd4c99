"""Which scenes go with which labels: named one by one, found in a folder, or listed."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from geoseg.errors import OptionError
from geoseg.options import TrainOptions
from geoseg.training.split import NAMES
from geoseg.vector.reference import VECTOR_SUFFIXES

__all__ = ["TrainPair", "find_pairs"]

_RASTERS: Final = (".tif", ".tiff", ".vrt", ".jp2", ".png", ".img")
_SCENES: Final = (*_RASTERS, ".jpg", ".jpeg")
"""Lossy compression spoils class numbers, so labels are no JPEG."""
_LISTS: Final = (".csv", ".json")
_COLUMNS: Final = ("image", "labels", "split", "weight", "match", "column", "gsd", "background")
_ENDINGS: Final = ("_labels", "_label", "_mask", "")
"""How labels are called after their scene; just as the scene only in a folder of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPair:
    """One labelled scene."""

    image: str
    """Path or URL of the scene."""
    labels: str
    """Class raster, or polygons."""
    part: int = -1
    """Training, validation or test; -1 for a split by blocks."""
    weight: float = 1.0
    """How often its ground is drawn, beside that of the others."""
    match: str | None = None
    """As ``--match``, for this pair."""
    column: str | None = None
    """As ``--column``, for this pair."""
    background: str | None = None
    """As ``--background``, for this pair."""
    gsd_m: float | None = None
    """Pixel size of the scene, where the file's is wrong or missing."""


def find_pairs(options: TrainOptions) -> tuple[TrainPair, ...]:
    """Return the pairs that the options name.

    Raises:
        OptionError: Labels are missing or spare, or the list or folder holds no pair.
    """
    return tuple(
        replace(
            pair,
            column=options.column if pair.column is None else pair.column,
            background=options.background if pair.background is None else pair.background,
        )
        for pair in _named(options)
    )


def _named(options: TrainOptions) -> tuple[TrainPair, ...]:
    if options.labels:
        if len(options.labels) != len(options.data):
            msg = f"{len(options.data)} scenes and {len(options.labels)} --labels"
            raise OptionError(msg, hint="Give --labels once for each scene, in their order.")
        return tuple(
            TrainPair(image=image, labels=labels)
            for image, labels in zip(options.data, options.labels, strict=True)
        )
    if len(options.data) > 1:
        msg = f"{len(options.data)} scenes without --labels"
        raise OptionError(msg, hint="Give --labels once for each scene, in their order.")
    source = Path(options.data[0])
    if source.is_dir():
        return _in_folder(source)
    if source.suffix.lower() in _LISTS:
        return _listed(source)
    msg = f"{source} comes without labels"
    raise OptionError(msg, hint="Add --labels FILE: a class raster, or polygons.")


def _in_folder(folder: Path) -> tuple[TrainPair, ...]:
    """Find ``images/x.tif`` with ``labels/x.*``, or ``x.tif`` beside ``x_labels.*``."""
    apart = (folder / "images").is_dir() and (folder / "labels").is_dir()
    images, beside = (folder / "images", folder / "labels") if apart else (folder, folder)
    pairs = []
    files = {path.name.lower(): path for path in sorted(beside.iterdir())}
    for image in sorted(images.iterdir()):
        is_labels = not apart and image.stem.lower().endswith(_ENDINGS[:-1])
        if image.suffix.lower() not in _SCENES or is_labels:
            continue
        labels = _labels_of(image, files, _ENDINGS if apart else _ENDINGS[:-1])
        if labels is not None:
            pairs.append(TrainPair(image=str(image), labels=str(labels)))
    if not pairs:
        msg = f"{folder} holds no scene with labels"
        raise OptionError(
            msg,
            hint="Name labels like their scene in images/ and labels/, or x.tif and x_labels.tif.",
        )
    return tuple(pairs)


def _labels_of(image: Path, files: Mapping[str, Path], endings: tuple[str, ...]) -> Path | None:
    """Return the labels of a scene among files by lower-case name."""
    for ending in endings:
        for suffix in (*_RASTERS, *VECTOR_SUFFIXES):
            found = files.get(f"{image.stem}{ending}{suffix}".lower())
            if found is not None:
                return found
    return None


def _listed(path: Path) -> tuple[TrainPair, ...]:
    """Read a list; relative paths in it are seen from its folder."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = (
            list(csv.DictReader(text.splitlines()))
            if path.suffix.lower() == ".csv"
            else json.loads(text)
        )
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        msg = f"cannot read the list {path}: {error}"
        raise OptionError(msg) from error
    if isinstance(rows, Mapping):
        rows = rows.get("pairs")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, Mapping) for r in rows):
        msg = f"{path} lists no pairs of scenes and labels"
        raise OptionError(msg, hint=f"A CSV file has a header: {','.join(_COLUMNS)}.")
    return tuple(_from_row(row, number, path) for number, row in enumerate(rows, 1))


def _from_row(row: Mapping[str, Any], number: int, path: Path) -> TrainPair:
    if None in row or any(isinstance(v, list | dict) for v in row.values()):
        msg = f"{path}, entry {number} has more fields than the list has columns"
        raise OptionError(msg, hint='Put a match of several values in quotes: "1=x,2=y".')
    told = {
        str(k).strip().lower(): str(v).strip()
        for k, v in row.items()
        if v is not None and str(v).strip()
    }
    unknown = sorted(set(told) - set(_COLUMNS))
    if unknown or not {"image", "labels"} <= set(told):
        what = f"has no column {unknown[0]!r}" if unknown else "needs image and labels"
        msg = f"{path}, entry {number}: a pair {what}"
        raise OptionError(msg, hint=f"Known columns: {', '.join(_COLUMNS)}.")
    part = told.get("split", "").lower()
    if part not in {"", *NAMES}:
        msg = f"{path}, entry {number}: split is {part!r}"
        raise OptionError(msg, hint=f"Use one of {', '.join(NAMES)}, or leave it empty.")
    return TrainPair(
        image=_seen_from(path, told["image"]),
        labels=_seen_from(path, told["labels"]),
        part=NAMES.index(part) if part else -1,
        weight=_positive(told.get("weight", "1"), "weight", number, path),
        match=told.get("match"),
        column=told.get("column"),
        background=told.get("background"),
        gsd_m=_positive(told["gsd"], "gsd", number, path) if "gsd" in told else None,
    )


def _positive(text: str, what: str, number: int, path: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        msg = f"{path}, entry {number}: {what} is {text!r}, expected a positive number"
        raise OptionError(msg)
    return value


def _seen_from(path: Path, address: str) -> str:
    if "://" in address or address.startswith("/vsi"):
        return address
    return str(path.parent / address)
