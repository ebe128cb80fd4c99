"""Points in time as a batch's files tell them (ISO 8601, UTC), and spans as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["as_utc", "moment_of", "seconds_between", "span_s", "span_text", "utc_text"]

_SPAN: Final = re.compile(
    r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?) ?(?P<unit>[smhdw])", re.IGNORECASE
)
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def utc_text(moment: datetime) -> str:
    """Return ``2026-11-21T19:08:26Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without a zone is UTC, whatever the zone of the machine.

    Raises:
        OverflowError: UTC cannot tell it, as a year 1 with a zone east of Greenwich.
    """
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def moment_of(text: str | None) -> datetime | None:
    """Return the time that a text tells, UTC where it names no zone; None for anything else."""
    try:
        return as_utc(datetime.fromisoformat(text or ""))
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
    """Return a span in the largest unit that needs no fraction, as ``span_s`` reads it."""
    for unit in "dhm":
        if seconds >= _UNITS_S[unit] and seconds % _UNITS_S[unit] == 0:
            return f"{seconds / _UNITS_S[unit]:.0f} {unit}"
    return f"{round(seconds, 9):.9f}".rstrip("0").rstrip(".") + " s"
