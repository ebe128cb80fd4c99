"""Scenes from a text list or a CSV table, with options of their own in the table's columns."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from geoseg.errors import GeosegError, OptionError
from geoseg.model.registry import bundled_models
from geoseg.options import RunOptions
from geoseg.redact import shown_address
from geoseg.run.addresses import joined, suffix_of
from geoseg.run.documents import Documents
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_names import portable_name

__all__ = ["DOCUMENT_SUFFIXES", "LIST_SUFFIXES", "listed_scenes"]

LIST_SUFFIXES: Final = (".txt", ".lst", ".csv")
"""Files that list scenes."""
DOCUMENT_SUFFIXES: Final = (*LIST_SUFFIXES, ".json", ".geojson")
"""Files that name scenes and are none."""

_ADDRESSES: Final = ("scene", "path", "address", "href")
_BATCH_ONLY: Final = (
    "out", "overwrite", "postgis", "table", "device", "precision", "backend", "workers",
    "batch_size", "block_px",
)  # fmt: skip
"""What concerns the place of results, the database or the machines: the whole batch's."""
_HEAD_BYTES: Final = 4096
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


def listed_scenes(address: str, documents: Documents, batch: RunOptions) -> Iterator[SceneJob]:
    """Yield the scenes of a list.

    A ``.csv`` file has a header: one of ``scene``, ``path``, ``address`` and ``href``, perhaps
    ``id``, and options as the flags of ``geoseg run``; an empty cell leaves the batch's value.
    Any other file holds one address per line, with blank lines and ``#`` comments. Relative
    paths are seen from the list's folder.

    Args:
        address: Absolute path or URL of the list.
        documents: Reads it, and says what it may name.
        batch: Options of all scenes.

    Raises:
        OptionError: The list cannot be read, or one of its lines is wrong; names the line.
    """
    text = documents.text(address)
    read = _table if suffix_of(address) == ".csv" else _lines
    yield from read(address, text, documents, batch)


def _lines(address: str, text: str, documents: Documents, batch: RunOptions) -> Iterator[SceneJob]:
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            scene = _scene_address(address, entry, documents)
            job = SceneJob(scene_id="", options=replace(batch, scene=scene, out=None))
        except GeosegError as error:
            raise _at_line(address, number, error) from error
        yield job


def _table(address: str, text: str, documents: Documents, batch: RunOptions) -> Iterator[SceneJob]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next(rows, []))
        number = rows.line_num
        for row in rows:
            # A quoted cell may span lines; the row begins after the one before.
            number, line = rows.line_num, number + 1
            if not any(cell.strip() for cell in row):
                continue
            try:
                yield _from_row(address, _cells(header, row), documents, batch)
            except GeosegError as error:
                raise _at_line(address, line, error) from error
    except csv.Error as error:
        wrong = OptionError(f"this is not CSV: {error}", hint="Check quotes and commas.")
        raise _at_line(address, rows.line_num, wrong) from error
    except _HeaderError as error:
        raise _at_line(address, 1, error) from error


class _HeaderError(OptionError):
    """The first line of a table is wrong."""


def _at_line(address: str, number: int, error: GeosegError) -> OptionError:
    return OptionError(f"{shown_address(address)}, line {number}: {error}", hint=error.hint)


def _header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(cell.strip().lower().removeprefix("--").replace("-", "_") for cell in cells)
    known = f"Known columns: scene, id, {', '.join(_COLUMNS)}."
    if len(names) == 1 and (sign := next((s for s in ";\t|" if s in names[0]), None)):
        msg = f"the columns are separated by {sign!r}, expected commas"
        raise _HeaderError(msg, hint="Save the table with commas between the columns.")
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        msg = f"column {doubled!r} is there twice"
        raise _HeaderError(msg)
    forbidden = next((name for name in names if name in _BATCH_ONLY), None)
    if forbidden is not None:
        msg = f"column {forbidden!r} cannot differ from scene to scene"
        raise _HeaderError(msg, hint=f"Give it to the batch as a flag. {known}")
    unknown = next((n for n in names if n not in {*_ADDRESSES, "id", *_COLUMNS}), None)
    if unknown is not None:
        msg = f"column {unknown!r} is unknown"
        raise _HeaderError(msg, hint=known)
    if len(set(names) & set(_ADDRESSES)) != 1:
        msg = f"there must be one column of {', '.join(_ADDRESSES)}; found {', '.join(names)}"
        raise _HeaderError(msg, hint=known)
    return names


def _cells(header: tuple[str, ...], row: list[str]) -> dict[str, str]:
    if len(row) != len(header):
        msg = f"{len(row)} cells, and the header has {len(header)} columns"
        raise OptionError(msg, hint='A value with commas stands in quotes: "3,2,1".')
    return {name: cell.strip() for name, cell in zip(header, row, strict=True) if cell.strip()}


def _from_row(
    address: str, cells: Mapping[str, str], documents: Documents, batch: RunOptions
) -> SceneJob:
    told = next((cells[name] for name in _ADDRESSES if name in cells), None)
    if told is None:
        msg = "the scene has no address"
        raise OptionError(msg)
    fields: dict[str, Any] = {"scene": _scene_address(address, told, documents), "out": None}
    for name, cell in cells.items():
        if name not in _COLUMNS:
            continue
        field, convert = _COLUMNS[name]
        try:
            fields[field] = convert(cell)
        except ValueError as error:
            msg = f"{name} is {cell!r}, expected {error}"
            raise OptionError(msg) from error
    for field, find in (("model", _model), ("aoi", _aoi)):
        if field in fields:
            fields[field] = find(address, fields[field], documents)
    return SceneJob(scene_id=_given_id(cells.get("id", "")), options=replace(batch, **fields))


def _scene_address(address: str, told: str, documents: Documents) -> str:
    scene = joined(address, told)
    if suffix_of(scene) in DOCUMENT_SUFFIXES:
        msg = f"{shown_address(scene)} is a list or STAC document, expected a raster"
        raise OptionError(msg, hint="Give it to the batch itself, beside this list.")
    documents.roots.check(scene)
    return scene


def _given_id(name: str) -> str:
    if name and portable_name(name) != name:
        msg = f"id {name!r} cannot be the name of a folder everywhere"
        raise OptionError(
            msg, hint=f"Use letters, digits, '.', '_' and '-', as {portable_name(name)}."
        )
    return name


def _model(address: str, told: str, documents: Documents) -> str:
    if told in bundled_models():
        return told
    folder = joined(address, told)
    documents.roots.check(folder)
    return folder


def _aoi(address: str, told: str, documents: Documents) -> str:
    if re.fullmatch(r"[^,]+(,[^,]+){3}", told) and all(map(_is_number, told.split(","))):
        return told
    file = joined(address, told)
    documents.roots.check(file)
    if documents.roots and _names_others(file):
        msg = f"the area of interest {shown_address(file)} names other files"
        raise OptionError(msg, hint="With --allow-root, give polygons: GeoPackage or GeoJSON.")
    return file


def _names_others(file: str) -> bool:
    """Tell whether a file is one of the documents by which GDAL reads vectors from elsewhere."""
    try:
        with Path(file).open("rb") as opened:
            return b"<OGR" in opened.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return False  # reading the area says what is wrong


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str) -> float:
    if not _is_number(text):
        msg = "a number"
        raise ValueError(msg)
    return float(text)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
        msg = "a whole number"
        raise ValueError(msg)
    return int(text)


def _pair(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if [_is_number(part) for part in parts] != [True, True]:
        msg = "MIN,MAX"
        raise ValueError(msg)
    return float(parts[0]), float(parts[1])


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names):
        msg = "names with commas between them"
        raise ValueError(msg)
    return names


def _formats(text: str) -> tuple[str, ...]:
    """Return the formats as ``--format`` adds them to GeoPackage; ``none`` writes no polygons."""
    return () if text.lower() == "none" else tuple(dict.fromkeys(("gpkg", *_names(text))))


def _switch(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        msg = "yes or no"
        raise ValueError(msg)
    return text.lower() in _TRUE


def _as_it_is(text: str) -> str:
    return text


_COLUMNS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "model": ("model", _as_it_is),
    "bands": ("bands", _names),
    "aoi": ("aoi", _as_it_is),
    "gsd": ("gsd_m", _number),
    "value_range": ("value_range", _pair),
    "nodata": ("nodata", _number),
    "nodata_rule": ("nodata_rule", _as_it_is),
    "stitch": ("stitch", _as_it_is),
    "window_px": ("window_px", _whole),
    "halo_px": ("halo_px", _whole),
    "confidence": ("confidence", _switch),
    "scores": ("scores", _switch),
    "seams": ("seams", _switch),
    "format": ("formats", _formats),
    "min_area": ("min_area", _as_it_is),
    "keep_raw": ("keep_raw", _switch),
    "simplify": ("simplify", _as_it_is),
    "simplify_method": ("simplify_method", _as_it_is),
    "smooth": ("smooth", _switch),
    "dissolve": ("dissolve", _switch),
    "connectivity": ("connectivity", _whole),
    "crs": ("crs", _as_it_is),
}
"""Columns with the field of RunOptions that they set: what decides a scene's own result."""
