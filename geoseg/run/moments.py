"""Points in time as a batch's files tell them: ISO 8601, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["moment_of", "seconds_between", "utc_text"]


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
