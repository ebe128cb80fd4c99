"""Points in time as a batch's files tell them (ISO 8601, UTC), and spans as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["moment_of", "seconds_between", "span_s", "span_text", "utc_text"]

_SPAN: Final = re.compile(
    r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?P<unit>[smhdw])", re.IGNORECASE
)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def utc_text(moment: datetime) -> str:
    """Return ``2026-11-21T19:08:26Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment_of(text: str | None) -> datetime | None:
    """Return the time that a text tells, UTC where it names no zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text or "")
        # A year 1 with a zone east of Greenwich is a time that UTC cannot tell.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def seconds_between(earlier: str | None, later: str | None) -> float | None:
    """Return the seconds from one to the other; None where either is not known."""
    first, last = moment_of(earlier), moment_of(later)
    return None if first is None or last is None else (last - first).total_seconds()


def span_s(text: str) -> float:
    """Return the seconds of a span such as ``90s``, ``90m``, ``1.5h``, ``7d`` or ``2w``.

    Raises:
        ValueError: It is none; a number without a unit is none either.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        msg = f"{text!r} is no span of time"
        raise ValueError(msg)
    return float(found["number"]) * _UNITS_S[found["unit"].lower()]


def span_text(seconds: float) -> str:
    """Return a span as ``span_s`` reads it, in the largest unit that needs no fraction."""
    for unit in "dhm":
        if seconds >= _UNITS_S[unit] and seconds % _UNITS_S[unit] == 0:
            return f"{seconds / _UNITS_S[unit]:.0f} {unit}"
    return f"{seconds:g} s"
