"""A legend from what people write: a line of classes, a JSON file or a CSV file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from geoseg.errors import ModelError, OptionError
from geoseg.legend import Legend, LegendClass

__all__ = ["read_legend"]

_HINT: Final = 'Write "0:building:#c8452d,1:land:#d9c9a3", or name a JSON or CSV file.'
_ID_KEYS: Final = ("id", "class_id", "value")
_NAME_KEYS: Final = ("name", "class_name")
_COLOUR_KEYS: Final = ("colour", "color", "color_hint")


def read_legend(
    text: str, *, nodata_id: int = 255, wide: bool = False, flag: str = "--classes"
) -> Legend:
    """Read ``id:name:#rrggbb,...``, or the ``.json`` or ``.csv`` file of that name.

    A JSON file holds a list of objects, or an object with such a list under ``classes``;
    a CSV file has a header. Both name id, name, colour and, if wanted, description.

    Raises:
        OptionError: The text or file is not a legend.
    """
    path = Path(text)
    try:
        if path.suffix.lower() in {".json", ".csv"}:
            classes = [_from_record(record) for record in _records(path)]
        else:
            classes = [_from_part(part) for part in text.split(",")]
        return Legend(classes=tuple(classes), nodata_id=nodata_id, wide=wide)
    except (ModelError, OptionError) as error:
        msg = f"{flag}: {error}"
        raise OptionError(msg, hint=_HINT) from error


def _from_part(part: str) -> LegendClass:
    """Read one ``id:name:#rrggbb``; the name may hold colons."""
    number, _, rest = part.strip().partition(":")
    name, _, colour = rest.rpartition(":")
    if not number.strip().isdigit() or not name:
        msg = f"{part.strip()!r} is not id:name:#rrggbb"
        raise OptionError(msg, hint=_HINT)
    return LegendClass(class_id=int(number), name=name.strip(), colour=colour.strip())


def _records(path: Path) -> list[Mapping[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return list(csv.DictReader(text.splitlines()))
        found = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise OptionError(msg, hint=_HINT) from error
    records = found.get("classes", []) if isinstance(found, dict) else found
    if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        msg = f"{path} holds no list of classes"
        raise OptionError(msg, hint=_HINT)
    return records


def _from_record(record: Mapping[str, Any]) -> LegendClass:
    colour = str(_first(record, _COLOUR_KEYS)).strip()
    try:
        class_id = int(_first(record, _ID_KEYS))
    except (TypeError, ValueError) as error:
        msg = f"id {_first(record, _ID_KEYS)!r} is not a whole number"
        raise OptionError(msg, hint=_HINT) from error
    return LegendClass(
        class_id=class_id,
        name=str(_first(record, _NAME_KEYS)).strip(),
        colour=colour if colour.startswith("#") else f"#{colour}",
        description=str(record.get("description") or ""),
    )


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - JSON value
    for key in keys:
        if record.get(key) is not None:
            return record[key]
    msg = f"an entry has no {keys[0]}: {dict(record)}"
    raise OptionError(msg, hint=_HINT)
