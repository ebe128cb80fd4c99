"""Questions to the engine that take a moment: asked, and answered by a signal."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from . import child
from .engine import EngineError, Failure, checked_version
from .jobs import Follower, Job, State
from .settings import engine_environment, program
from .text import tr

__all__ = ["Ask", "VersionCheck", "describe", "later"]

_POLL_MS = 100


class _Question(QObject):
    """A child process that is looked after by a timer."""

    failed = pyqtSignal(object)
    """A :class:`Failure`."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Ask nothing yet."""
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._look)

    def _look(self) -> None:
        """See whether there is an answer."""
        raise NotImplementedError

    def _fail_later(self, failure: Failure) -> None:
        """Tell of a failure when whoever asks has had the time to listen."""
        later(self, 0, lambda: self.failed.emit(failure))


class Ask(_Question):
    """One question at a time; a new one takes the place of the one before."""

    answered = pyqtSignal(list)
    """The events that the command printed."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Ask nothing yet."""
        super().__init__(parent)
        self._follower: Follower | None = None
        self._folder: Path | None = None
        self._events: list[dict[str, Any]] = []
        self.verdict_needed = True

    @property
    def is_busy(self) -> bool:
        """True while an answer is waited for."""
        return self._follower is not None

    def ask(self, arguments: Sequence[str], *, verdict: bool = True) -> None:
        """Start the engine with some arguments.

        Args:
            arguments: The command line.
            verdict: Failing is a failure; otherwise any answer is an answer (the doctor's
                exit code tells of the patient, not of the doctor).
        """
        self.cancel()
        self.verdict_needed = verdict
        try:
            path = program()
            self._folder = Path(tempfile.mkdtemp(prefix="geoseg-ask-"))
            job = Job(
                folder=self._folder, command=arguments[0], values={}, arguments=list(arguments),
                program=str(path), title="", created=0,
            )  # fmt: skip
            started = child.start(
                [str(path), *arguments],
                engine_environment(path),
                out=job.events,
                errors=job.log,
                folder=self._folder,
            )
        except EngineError as error:
            self._clear()
            self._fail_later(error.failure)
            return
        self._events = []
        self._follower = Follower(job, started)
        self._timer.start()

    def cancel(self) -> None:
        """Forget the question."""
        self._timer.stop()
        if self._follower is not None and self._follower.child is not None:
            running = self._follower.child
            child.stop(running.mark, running, kill=True)
            running.code()
        self._follower = None
        self._clear()

    def _look(self) -> None:
        follower = self._follower
        if follower is None:
            return
        over = follower.is_over()
        self._events += follower.poll()
        if not over:
            return
        self._timer.stop()
        self._follower = None
        state, failure = follower.verdict()
        self._clear()
        if (state == State.DONE or failure is None) or (not self.verdict_needed and self._events):
            self.answered.emit(self._events)
        else:
            self.failed.emit(failure)

    def _clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


class VersionCheck(_Question):
    """Asks for the engine's version without waiting for it."""

    found = pyqtSignal(object)
    """An :class:`Engine`."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Ask nothing yet."""
        super().__init__(parent)
        self._running: child.Child | None = None
        self._out: Path | None = None
        self._program = Path()

    def start(self) -> None:
        """Look for the engine and ask it."""
        self._stop()
        try:
            self._program = program()
            handle, name = tempfile.mkstemp(prefix="geoseg-version-")
            os.close(handle)
            self._out = Path(name)
            self._running = child.start(
                [str(self._program), "--version"],
                engine_environment(self._program),
                out=self._out,
                errors=self._out,
                folder=self._out.parent,
            )
        except EngineError as error:
            self._stop()
            self._fail_later(error.failure)
            return
        self._timer.start()

    def _look(self) -> None:
        code = self._running.code() if self._running else None
        if code is None or self._out is None:
            return
        text = self._out.read_text("utf-8", "replace")
        self._stop()
        try:
            self.found.emit(checked_version(self._program, code, text))
        except EngineError as error:
            self.failed.emit(error.failure)

    def _stop(self) -> None:
        self._timer.stop()
        if self._running is not None:
            child.stop(self._running.mark, self._running, kill=True)
            self._running = None
        if self._out is not None:
            self._out.unlink(missing_ok=True)
            self._out = None


def later(owner: QObject, milliseconds: int, act: Callable[[], object]) -> None:
    """Do something a moment later, unless its owner is gone by then."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    timer.timeout.connect(timer.deleteLater)
    timer.start(milliseconds)


def describe(failure: Failure) -> str:
    """Return a failure as rich text: the sentence, and the advice below it."""
    hint = f"<br><span>{escape(failure.hint)}</span>" if failure.hint else ""
    return f"<b>{escape(failure.message or tr('Something went wrong'))}.</b>{hint}"
