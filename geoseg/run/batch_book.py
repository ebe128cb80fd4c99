"""What one session of a batch writes down: ledger, sign of life, counters, reports."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from geoseg.errors import OutputError
from geoseg.options import BatchOptions
from geoseg.run.batch_driver import Counts
from geoseg.run.batch_facts import BatchFacts
from geoseg.run.batch_metrics import metrics_text, write_metrics
from geoseg.run.batch_progress import Progress, write_progress
from geoseg.run.batch_report import write_reports
from geoseg.run.ledger import Ledger
from geoseg.run.moments import utc_text
from geoseg.run.place import Root
from geoseg.run.report import versions
from geoseg.run.scene_job import SceneJob, SceneOutcome
from geoseg.run.scene_work import utc_now, waiting_outcome
from geoseg.run.sessions import ExitReason, Session, end_session, read_sessions

__all__ = ["Book"]

_log = logging.getLogger(__name__)
_LIFE_EVERY_S: Final = 5.0
_METRICS_EVERY_S: Final = 15.0


class Book:
    """The writing side of one session; the client that holds the root has it."""

    def __init__(self, root: Root, options: BatchOptions, session: Session) -> None:
        """Read what earlier sessions left.

        Args:
            root: Place of the batch.
            options: What this session was asked for.
            session: This session, which has begun.
        """
        self._root, self._options, self._session = root, options, session
        self.ledger = Ledger(root, session.session)
        self._start_s = time.monotonic()
        self._life_s = self._metrics_s = -1e9
        self._versions = versions()
        self._sessions = read_sessions(root)
        self._counts: Counts | None = None
        self.has_failures = False
        """Whether scenes that were asked for have failed, now or before."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._start_s

    @property
    def px_done(self) -> int:
        """Pixels of the blocks of this session."""
        return 0 if self._counts is None else self._counts.px_done

    def expect(self, jobs: Iterable[SceneJob]) -> None:
        """Enter scenes that wait; one that failed before is to be tried again."""
        for job in jobs:
            known = self.ledger.get(job.scene_id)
            if known is None or known.state != "waiting":
                self.ledger.put(waiting_outcome(job))
        # The names are known from now on, whenever this is killed.
        self.ledger.flush(force=True)

    def tell(self, outcome: SceneOutcome) -> None:
        """Enter what became of a scene."""
        self.ledger.put(outcome)

    def tick(self, counts: Counts) -> None:
        """Give a sign of life now and then."""
        self._counts = counts
        self.ledger.flush()
        now_s = time.monotonic()
        if now_s - self._life_s >= _LIFE_EVERY_S:
            self._life_s = now_s
            with _logged("the sign of life"):
                write_progress(self._root, self._progress(counts))
        if self._options.metrics is not None and now_s - self._metrics_s >= _METRICS_EVERY_S:
            self._metrics_s = now_s
            with _logged("the counters"):
                self._write_metrics(running=True)

    def close(self, reason: ExitReason, message: str | None) -> None:
        """End the session: ledger, reports, counters, and how it ended.

        Raises:
            OutputError: They cannot be written.
        """
        counts = self._counts
        self._session = replace(
            self._session,
            ended=utc_now(),
            exit_reason=reason,
            message=message,
            scenes_done=0 if counts is None else counts.done,
            scenes_failed=0 if counts is None else counts.failed,
            px_done=0 if counts is None else counts.px_done,
        )
        self._rest()
        self.ledger.compact()
        end_session(self._root, self._session)
        self._sessions = read_sessions(self._root)
        write_reports(self._root, self._facts())
        if self._options.metrics is not None:
            self._write_metrics(running=False)

    def _rest(self) -> None:
        """Let scenes that were begun wait for the next session."""
        for outcome in [o for o in self.ledger if o.state == "running"]:
            self.ledger.put(replace(outcome, state="waiting", at=utc_now()))

    def _write_metrics(self, *, running: bool) -> None:
        path = self._options.metrics
        if path is not None:
            progress = None if self._counts is None else self._progress(self._counts)
            write_metrics(path, metrics_text(self._facts(), progress, running=running))

    def _facts(self) -> BatchFacts:
        return BatchFacts(
            address=self._root.address,
            at=utc_text(datetime.now(UTC)),
            outcomes=tuple(self.ledger),
            sessions=self._sessions,
            options=self._options,
            versions=self._versions,
        )

    def _progress(self, counts: Counts) -> Progress:
        return Progress(
            at=utc_text(datetime.now(UTC)),
            session=self._session.session,
            host=platform.node(),
            pid=os.getpid(),
            scenes={
                "waiting": counts.waiting,
                "running": counts.running,
                "done": counts.done,
                "failed": counts.failed,
            },
            blocks_done=counts.blocks_done,
            blocks_known=counts.blocks,
            in_flight=counts.in_flight,
            workers=counts.workers,
            px_done=counts.px_done,
            elapsed_s=round(self.elapsed_s, 1),
        )


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Go on without a file that only tells; say so in the log."""
    try:
        yield
    except OutputError as error:
        _log.warning("%s could not be written: %s", what, error)
