"""``--since``: which moment a user means."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from geoseg.errors import OptionError
from geoseg.run.moments import as_utc, span_s

__all__ = ["since_moment"]


def since_moment(text: str, *, now: datetime, last_start: datetime | None) -> datetime | None:
    """Return the moment from which on a scene is new, in UTC; None where all are.

    Args:
        text: A date or time of ISO 8601, in UTC where it names no zone: a job must not depend
            on the zone of the machine; a span such as ``90m``, ``36h`` or ``7d``; or ``last``.
        now: What a span counts from.
        last_start: When the batch was started before, which is what ``last`` means; None the
            first time, which takes all scenes.

    Raises:
        OptionError: It is none of these, or lies in the future.
    """
    told = text.strip()
    if told.lower() == "last":
        return last_start
    try:
        moment = _moment(told, now)
    except (ValueError, OverflowError) as error:
        msg = f"--since {text!r} is neither a date, a span nor 'last'"
        raise OptionError(
            msg, hint="For example 2026-05-01, 2026-05-01T18:00Z, 36h, 7d."
        ) from error
    if moment > now:
        msg = f"--since {text!r} lies in the future"
        raise OptionError(msg, hint="Times without a zone are UTC; add one, as in 18:00+09:00.")
    return moment


def _moment(text: str, now: datetime) -> datetime:
    with suppress(ValueError):
        return now - timedelta(seconds=span_s(text))
    return as_utc(datetime.fromisoformat(text))
