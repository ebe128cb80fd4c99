"""Sessions of a batch: when clients worked on it, and how each ended."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal, get_args

from geoseg.run.ledger import ledger_sessions
from geoseg.run.moments import moment_of, utc_text

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = [
    "ExitReason", "Session", "begin_session", "end_session", "last_start", "read_sessions",
]  # fmt: skip

ExitReason = Literal[
    "done", "scenes_failed", "failures", "interrupted", "time_limit", "cluster", "error", "killed"
]
"""How a session ended. ``done`` and ``scenes_failed`` went through all their scenes;
``failures`` stopped for ``--fail-fast`` or ``--max-failures``; ``killed`` left no word."""

_FILE: Final = ".batch/sessions.json"
_VERSION: Final = 1
_KEPT: Final = 500
_COMPLETE: Final = frozenset({"done", "scenes_failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One client process that worked on a batch."""

    session: str
    """Name; names sort in the order of the sessions, whatever the clients' clocks say."""
    started: str
    """When it began, before it looked for scenes; ISO 8601 in UTC."""
    host: str = ""
    """Machine of the client."""
    pid: int = 0
    """Its process there."""
    selection: str = ""
    """Digest of what scenes were asked for; ``last`` of ``--since`` looks at equal ones."""
    since: str | None = None
    """Only scenes changed since then were taken; None for all."""
    ended: str | None = None
    """When it ended; None while it works, and of one that was killed."""
    exit_reason: ExitReason | None = None
    """How it ended; None while it works."""
    message: str | None = None
    """What it said when it ended badly, in one line."""
    scenes_done: int = 0
    """Scenes that it finished."""
    scenes_failed: int = 0
    """Scenes that failed in it."""
    px_done: int = 0
    """Pixels of the blocks that it finished."""

    @property
    def is_complete(self) -> bool:
        """Whether it brought every scene that it was asked for to an end."""
        return self.exit_reason in _COMPLETE


def read_sessions(root: Root) -> tuple[Session, ...]:
    """Return the last sessions, oldest first; none where their file is damaged."""
    try:
        data = json.loads(root.read_text(_FILE) or "{}")
        rows = data["sessions"] if data.get("version") == _VERSION else []
        return tuple(_session_of(row) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError):
        # Then --since last takes all scenes, of which the finished ones cost a look.
        return ()


def begin_session(
    root: Root,
    *,
    at: datetime,
    host: str,
    pid: int,
    selection: str = "",
    since: str | None = None,
) -> Session:
    """Note that a client begins; it must hold the root.

    A session before it that did not end was killed, since it no longer holds the root.

    Args:
        root: Place of the batch.
        at: Now, before scenes are looked for.
        host: This machine.
        pid: This process.
        selection: Digest of what scenes are asked for,
            :func:`geoseg.run.job_file.selection_digest`.
        since: What ``--since`` came to, ISO 8601 in UTC.

    Raises:
        OutputError: The root cannot be written.
    """
    before = [s if s.exit_reason else replace(s, exit_reason="killed") for s in read_sessions(root)]
    names = [*(s.session for s in before), *ledger_sessions(root)]
    number = 1 + max((int(name[:6]) for name in names), default=0)
    session = Session(
        session=f"{number:06d}-{utc_text(at).replace('-', '').replace(':', '')}",
        started=utc_text(at),
        host=host,
        pid=pid,
        selection=selection,
        since=since,
    )
    _write(root, [*before, session])
    return session


def end_session(root: Root, session: Session) -> None:
    """Note how a session ended.

    Args:
        root: Place of the batch.
        session: The session with ``ended``, ``exit_reason`` and its counts.

    Raises:
        OutputError: The root cannot be written.
    """
    others = [s for s in read_sessions(root) if s.session != session.session]
    _write(root, [*others, session])


def last_start(sessions: Iterable[Session], selection: str) -> str | None:
    """Return since when scenes may be new: what ``--since last`` means.

    That is the start of the newest session that brought all its scenes to an end, for then
    everything that was there at its start is done or reported as failed. Not counted are
    sessions that were stopped; sessions that were asked for other scenes, as when an operator
    maps one file into the same root by hand; and sessions with a ``--since`` that left a gap
    behind the one before.

    Args:
        sessions: Sessions, oldest first.
        selection: Digest of what scenes are asked for.

    Returns:
        ISO 8601 in UTC; None where there was no such session, so that all scenes count.
    """
    covered: datetime | None = None
    for session in sessions:
        if session.is_complete and session.selection == selection:
            since = moment_of(session.since)
            if since is None or covered is None or since <= covered:
                covered = moment_of(session.started)
    return None if covered is None else utc_text(covered)


def _write(root: Root, sessions: Sequence[Session]) -> None:
    rows = ",\n".join(json.dumps(asdict(session)) for session in sessions[-_KEPT:])
    root.write_text(_FILE, f'{{"version": {_VERSION}, "sessions": [\n{rows}\n]}}\n')


def _session_of(row: dict[str, object]) -> Session:
    kinds = typing.get_type_hints(Session)
    for name, value in row.items():
        allowed = get_args(kinds[name]) or (kinds[name],)
        if name != "exit_reason" and not isinstance(value, allowed):
            msg = f"{name} is {value!r}"
            raise ValueError(msg)
    found = Session(**row)  # type: ignore[arg-type] # checked above
    if found.exit_reason not in {None, *get_args(ExitReason)}:
        msg = f"exit_reason is {found.exit_reason!r}"
        raise ValueError(msg)
    int(found.session[:6])
    return found
