"""Where a batch stands: what is done, running, waiting and failed; how fast; who works on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from geoseg.errors import OptionError
from geoseg.run.batch_facts import count_states
from geoseg.run.batch_progress import Progress, read_progress
from geoseg.run.job_file import read_job
from geoseg.run.ledger import Ledger
from geoseg.run.moments import moment_of, utc_text
from geoseg.run.scene_job import SceneOutcome, SceneState
from geoseg.run.sessions import Session, read_sessions

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["SILENT_AFTER_S", "Activity", "BatchStatus", "batch_status", "one_line", "read_status"]

SILENT_AFTER_S: Final = 120
"""Without a sign of life for so long, a client is taken for dead; it gives one every few seconds,
but an object store that answers 503 may keep it from that for a minute."""

Activity = Literal["working", "silent", "idle"]
"""``silent``: a session did not end and gives no sign of life."""

_SHOWN_FAILURES: Final = 10
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """Everything that ``geoseg batch status`` tells."""

    address: str
    """Root of the batch."""
    at: str
    """When it was looked at, ISO 8601 in UTC."""
    activity: Activity
    """Whether a client holds the root."""
    silent_s: float | None
    """Seconds since the last sign of life of a session that did not end; else None."""
    session: Session | None
    """The newest session."""
    progress: Progress | None
    """Its last sign of life."""
    scenes: Mapping[SceneState, int]
    """Scenes by state; all states are there."""
    blocks_done: int
    """Blocks of the batch that are done."""
    blocks: int
    """Blocks of the scenes that are planned."""
    mpx_per_s: float | None
    """Speed of the session that works; None where nobody does."""
    left_s: float | None
    """Seconds that it will take; None where that cannot be told."""
    failed: tuple[SceneOutcome, ...]
    """Scenes that failed, by id."""
    damaged: int
    """Lines of the ledger that could not be read."""

    @property
    def is_finished(self) -> bool:
        """Whether every scene was brought to an end, in done or failed."""
        waits = self.scenes["waiting"] or self.scenes["running"]
        return not waits and (self.session is None or self.session.is_complete)

    @property
    def exit_code(self) -> int:
        """0 nothing to do; 4 unfinished, and nobody works on it; 3 some scenes failed.

        4 goes before 3: the same command continues the batch, and then tells of failures.
        """
        if not self.is_finished and self.activity != "working":
            return 4
        return 3 if self.failed else 0

    def as_json(self) -> dict[str, Any]:
        """Return the status as one ``batch_status`` event."""
        return {
            "event": "batch_status",
            "root": self.address,
            "at": self.at,
            "activity": self.activity,
            "silent_s": self.silent_s,
            "finished": self.is_finished,
            "exit_code": self.exit_code,
            "scenes": dict(self.scenes),
            "blocks_done": self.blocks_done,
            "blocks": self.blocks,
            "mpx_per_s": None if self.mpx_per_s is None else round(self.mpx_per_s, 3),
            "left_s": None if self.left_s is None else round(self.left_s),
            "session": None if self.session is None else asdict(self.session),
            "progress": None if self.progress is None else asdict(self.progress),
            "failed": [_failure(outcome) for outcome in self.failed],
            "damaged": self.damaged,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return (label, text) pairs for people."""
        found = [
            ("batch", self.address),
            ("client", self._client_text()),
            ("scenes", _scenes_text(self.scenes)),
            ("blocks", f"{self.blocks_done:,} of {self.blocks:,} of the planned scenes"),
        ]
        if self.activity == "working":
            found.append(("speed", self._speed_text()))
        if self.session is not None and self.session.exit_reason is not None:
            found.append(("last session", self._session_text(self.session)))
        if self.damaged:
            found.append(("ledger", f"{self.damaged:,} damaged lines are left out"))
        found += self._failure_lines()
        return [(label, one_line(text)) for label, text in found]

    def _client_text(self) -> str:
        if self.session is None or self.activity == "idle":
            return "nobody works on it"
        who = f"{self.session.host}, process {self.session.pid}, since {self.session.started}"
        if self.activity == "silent":
            ago = _span(self.silent_s or 0)
            return f"silent for {ago}, killed or cut off: {who}"
        if self.progress is None:
            return f"starting: {who}"
        heard = _span(self.silent_s or 0)
        return (
            f"working: {who}; {self.progress.workers:,} workers, "
            f"{self.progress.in_flight:,} blocks in flight, heard of {heard} ago"
        )

    def _speed_text(self) -> str:
        speed = "not known yet" if self.mpx_per_s is None else f"{self.mpx_per_s:,.1f} Mpx/s"
        return speed if self.left_s is None else f"{speed}, about {_span(self.left_s)} left"

    def _session_text(self, session: Session) -> str:
        when = f"at {session.ended}" if session.ended else f"begun {session.started}"
        why = _REASONS.get(str(session.exit_reason), str(session.exit_reason))
        return f"{why}, {when}" + (f": {session.message}" if session.message else "")

    def _failure_lines(self) -> list[tuple[str, str]]:
        found = []
        for outcome in self.failed[:_SHOWN_FAILURES]:
            found.append(("failed", f"{outcome.scene_id}: {outcome.reason or 'no reason known'}"))
            if outcome.hint:
                found.append(("", outcome.hint))
        if len(self.failed) > _SHOWN_FAILURES:
            more = len(self.failed) - _SHOWN_FAILURES
            found.append(("", f"and {more:,} more: --failed lists them all"))
        return found


_REASONS: Final = {
    "done": "all scenes done",
    "scenes_failed": "all scenes done but those that failed",
    "failures": "stopped after failures",
    "interrupted": "interrupted",
    "time_limit": "reached its time limit",
    "cluster": "lost its cluster",
    "error": "ended with an error",
    "killed": "killed without a word",
}


def read_status(root: Root, now: datetime) -> BatchStatus:
    """Look at a batch; a client may be working on it.

    Raises:
        OptionError: There is no batch at the root.
    """
    progress = read_progress(root)
    sessions = read_sessions(root)
    ledger = Ledger.read(root)
    if not sessions and not len(ledger) and read_job(root) is None:
        msg = f"{root.address} holds no batch"
        raise OptionError(msg, hint="Name what was --out of a 'geoseg batch' command.")
    return batch_status(
        root.address, ledger, sessions, progress, at=utc_text(now), damaged=ledger.damaged
    )


def batch_status(
    address: str,
    outcomes: Iterable[SceneOutcome],
    sessions: tuple[Session, ...],
    progress: Progress | None,
    *,
    at: str,
    damaged: int = 0,
) -> BatchStatus:
    """Put together what ledger, sessions and sign of life say.

    Args:
        address: Root of the batch.
        outcomes: Scenes of the ledger.
        sessions: Sessions, oldest first.
        progress: Last sign of life.
        at: Now, ISO 8601 in UTC.
        damaged: Lines of the ledger that could not be read.
    """
    known = list(outcomes)
    session = sessions[-1] if sessions else None
    if session is None or progress is None or progress.session != session.session:
        progress = None  # of a session before: says nothing of this one
    silent_s = _silent_s(session, progress, at)
    activity: Activity = "idle"
    if silent_s is not None:
        activity = "working" if silent_s < SILENT_AFTER_S else "silent"
    scenes = _scenes(known, activity)
    is_fast = activity == "working" and progress is not None and progress.elapsed_s > 0
    return BatchStatus(
        address=address,
        at=at,
        activity=activity,
        silent_s=silent_s,
        session=session,
        progress=progress,
        scenes=scenes,
        blocks_done=_blocks_done(known, progress if activity == "working" else None),
        blocks=sum(o.blocks for o in known),
        mpx_per_s=progress.px_done / 1e6 / progress.elapsed_s if is_fast and progress else None,
        left_s=_left_s(known, scenes["waiting"], progress) if is_fast and progress else None,
        failed=tuple(o for o in known if o.state == "failed"),
        damaged=damaged,
    )


def _silent_s(session: Session | None, progress: Progress | None, at: str) -> float | None:
    """Return the seconds since the last sign of life of a session that did not end."""
    now = moment_of(at)
    if session is None or session.exit_reason is not None or now is None:
        return None
    heard = moment_of(session.started if progress is None else progress.at)
    # Clocks of two machines differ; a sign of life out of the future is a fresh one.
    return max((now - heard).total_seconds(), 0.0) if heard else float(SILENT_AFTER_S)


def _scenes(known: list[SceneOutcome], activity: Activity) -> dict[SceneState, int]:
    # The ledger holds every scene that was asked for. The sign of life, written at another
    # moment, would count some of them twice.
    found = count_states(known)
    if activity != "working":  # a dead client's scenes do not run, they wait
        found["waiting"] += found["running"]
        found["running"] = 0
    return found


def _blocks_done(known: list[SceneOutcome], progress: Progress | None) -> int:
    """Return the blocks that are done.

    The ledger learns of them when a scene ends; of those at work, the sign of life tells.
    """
    told = sum(o.blocks_done for o in known)
    if progress is None:
        return told
    idle = sum(o.blocks - o.blocks_done for o in known if o.state in {"waiting", "failed"})
    left = idle + max(progress.blocks_known - progress.blocks_done, 0)
    return max(sum(o.blocks for o in known) - left, told)


def _left_s(known: list[SceneOutcome], waiting: int, progress: Progress) -> float | None:
    """Return the seconds for the blocks that are left, at the pace of this session.

    A scene that is not planned yet is taken to have as many blocks as the others on average.
    """
    if progress.blocks_done <= 0:
        return None
    planned = [o.blocks for o in known if o.blocks > 0]
    unplanned = max(waiting - sum(o.state == "waiting" and o.blocks > 0 for o in known), 0)
    if unplanned and not planned:
        return None
    mean = sum(planned) / len(planned) if planned else 0.0
    left = max(progress.blocks_known - progress.blocks_done, 0) + unplanned * mean
    return left * progress.elapsed_s / progress.blocks_done


def _failure(outcome: SceneOutcome) -> dict[str, Any]:
    names = ("scene_id", "scene", "at", "reason", "hint", "retries")
    return {name: getattr(outcome, name) for name in names}


def _scenes_text(scenes: Mapping[SceneState, int]) -> str:
    order: tuple[SceneState, ...] = ("done", "running", "waiting", "failed")
    parts = ", ".join(f"{scenes[state]:,} {state}" for state in order)
    return f"{sum(scenes.values()):,}: {parts}"


def _span(seconds: float) -> str:
    """Return ``45 s``, ``12 min``, ``3 h 20 min`` or ``2 d 4 h``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} d {seconds % _DAY_S // _HOUR_S:.0f} h"


def one_line(text: str) -> str:
    """Return a text without what would move a terminal's cursor: names of files may hold it."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
