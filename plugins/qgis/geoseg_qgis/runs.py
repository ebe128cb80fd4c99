"""Jobs that run beside QGIS: started, followed, stopped, and found again."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProxyProgressTask
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from . import child
from .engine import EngineError, batch_command
from .jobs import Follower, Job, State
from .options import command_line, load_command
from .progress import Progress
from .settings import Settings, engine_environment, job_store, program
from .text import tr

__all__ = ["Run", "Runs"]

_POLL_MS = 200
_BATCH_POLL_MS = 3000


class Run:
    """One job that is followed."""

    def __init__(self, job: Job, started: child.Child | None) -> None:
        """Begin at the job's first event."""
        self.job = job
        self.follower = Follower(job, started)
        self.progress = Progress()
        self.finished: dict[str, Any] = {}
        """The event that ended it."""
        self.task: QgsProxyProgressTask | None = None
        """Its line in QGIS' task manager."""
        self.stopping = False


class Runs(QObject):
    """All jobs that this QGIS follows."""

    changed = pyqtSignal(object, dict)
    """A :class:`Run` and an event of it."""
    ended = pyqtSignal(object, object)
    """A :class:`Run` and its :class:`Failure`, or None where it is done."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Follow nothing yet."""
        super().__init__(parent)
        self.active: dict[str, Run] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._look)
        self._batch_timer = QTimer(self)
        self._batch_timer.setInterval(_BATCH_POLL_MS)
        self._batch_timer.timeout.connect(self._look_at_batches)
        self._submitted: dict[str, Job] = {}
        self._seen: dict[str, dict[str, Any]] = {}
        self._searching: threading.Thread | None = None

    # Starting ------------------------------------------------------------------------------

    def start(
        self,
        command: str,
        values: Mapping[str, Any],
        *,
        title: str,
        where: str = "here",
        facts: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start a job.

        Args:
            command: Command of the engine.
            values: Parameters by name.
            title: For the history.
            where: ``here``, ``scheduler`` or ``batch``.
            facts: What the panel wants to find again.

        Raises:
            EngineError: It cannot be started.
        """
        values = dict(values)
        if where == "scheduler":
            values["SCHEDULER"] = _scheduler(command)
        line = command_line(command, values)
        path = program()
        store = job_store()
        # Another QGIS of the same profile leaves the job alone while this one lives.
        facts = {**(facts or {}), "owner": asdict(child.mark_of(os.getpid()))}
        if where == "batch":
            facts["record_before"] = _record_time(Path(str(values.get("OUT", ""))))
        job = store.create(
            command, values, line, program=str(path), title=title, where=where, facts=facts
        )
        try:
            return self._launch(job, path)
        except EngineError:
            store.remove(job)
            raise

    def _launch(self, job: Job, path: Path) -> Run:
        tied = job.where != "batch" and Settings().get("on_close") == "stop"
        words = [str(path), *(["--stop-at-eof"] if tied else []), *job.arguments, "--json"]
        if job.where == "batch":
            settings = Settings()
            words = batch_command(
                settings.get("batch_template"),
                [settings.get("batch_program"), *job.arguments, "--json"],
                name=Path(job.out).name or "geoseg",
                out=job.out,
            )
        environ = engine_environment(path)
        folder = job.folder
        started = child.start(
            words, environ, out=job.events, errors=job.log, folder=folder, tied=tied
        )
        job = job_store().started(job, started.mark)
        return self._follow(Run(job, started))

    def _follow(self, run: Run) -> Run:
        self.active[run.job.folder.name] = run
        run.task = QgsProxyProgressTask(f"geoseg: {run.job.title}")
        QgsApplication.taskManager().addTask(run.task)
        self._timer.start()
        return run

    # Finding again -------------------------------------------------------------------------

    def find_again(self) -> list[Run]:
        """Follow the jobs of an earlier QGIS that still run; judge those that ended since."""
        found = []
        for job in job_store().all():
            if job.folder.name in self.active:
                continue
            if job.state == State.SUBMITTED:
                self._submitted[job.folder.name] = job
                self._batch_timer.start()
            elif job.state == State.RUNNING and job.where == "processing":
                _judge_quietly(job)
            elif job.state == State.RUNNING and not _is_owned(job):
                # One that ended meanwhile is told as well: its next look is its last.
                found.append(self._follow(Run(job, None)))
        return found

    # Stopping ------------------------------------------------------------------------------

    def stop(self, run: Run) -> None:
        """Ask a job to stop; asked a second time, end it."""
        child.stop(run.job.mark, run.follower.child, kill=run.stopping)
        run.stopping = True

    def leave(self) -> None:
        """QGIS ends: jobs end or go on, as the user chose."""
        self._timer.stop()
        self._batch_timer.stop()
        stops = Settings().get("on_close") == "stop"
        for run in self.active.values():
            if stops and run.job.where != "batch":
                child.stop(run.job.mark, run.follower.child)
            if run.task is not None:
                run.task.finalize(True)
        self.active.clear()

    # Following -----------------------------------------------------------------------------

    def _look(self) -> None:
        for key, run in list(self.active.items()):
            over = run.follower.is_over()
            for event in run.follower.poll():
                # An event of another engine may look otherwise; those after it still count.
                with suppress(KeyError, TypeError, ValueError, OSError):
                    self._take(run, event)
            if over:
                del self.active[key]
                self._end(run)
        if not self.active:
            self._timer.stop()

    def _take(self, run: Run, event: dict[str, Any]) -> None:
        run.progress.take(event)
        if event.get("event") in {"finished", "trained", "evaluation"}:
            run.finished = event
        if run.task is not None:
            run.task.setProxyProgress(100 * run.progress.share)
        self.changed.emit(run, event)

    def _end(self, run: Run) -> None:
        state, failure = run.follower.verdict()
        if run.job.where == "batch" and (state == State.DONE or _was_handed_over(run)):
            state, failure = State.SUBMITTED, None
        run.job = job_store().ended(run.job, state)
        if run.task is not None:
            run.task.finalize(state in {State.DONE, State.SUBMITTED})
            run.task = None
        if state == State.SUBMITTED:
            self._submitted[run.job.folder.name] = run.job
            self._batch_timer.start()
        self.ended.emit(run, None if state in {State.DONE, State.SUBMITTED} else failure)

    # Batch systems -------------------------------------------------------------------------

    def _look_at_batches(self) -> None:
        """See whether a result has come; folders may be slow, so another thread looks."""
        for key, found in list(self._seen.items()):
            job = self._submitted.pop(key, None)
            del self._seen[key]
            if job is None:
                continue
            run = Run(job_store().ended(job, State.DONE), None)
            run.finished = found
            self.ended.emit(run, None)
        if not self._submitted:
            self._batch_timer.stop()
            return
        if self._searching is not None and self._searching.is_alive():
            return  # a slow folder; one who looks is enough
        jobs = list(self._submitted.values())
        self._searching = threading.Thread(target=self._search, args=(jobs,), daemon=True)
        self._searching.start()

    def _search(self, jobs: list[Job]) -> None:
        for job in jobs:
            found = finished_elsewhere(job)
            if found is not None:
                self._seen[job.folder.name] = found


def _was_handed_over(run: Run) -> bool:
    """Tell whether a batch command ended while no QGIS looked: nobody knows its code."""
    return run.follower.child is None and not run.follower.last


def finished_elsewhere(job: Job) -> dict[str, Any] | None:
    """Return the last event of a run that another computer finished; None before that."""
    out = Path(job.out)
    try:
        # Compared with what was there before, and not with a time: clocks differ.
        if _record_time(out) in {None, job.facts.get("record_before")}:
            return None
        record = json.loads((out / "run.json").read_text(encoding="utf-8"))
        elapsed_s = float(record["seconds"]["elapsed"])
        classes = list(record["result"]["classes"])
    except (OSError, ValueError, TypeError, KeyError):
        return None  # none of geoseg's, or not whole yet
    names = {
        "classes": "classes.tif",
        "confidence": "confidence.tif",
        "polygons_gpkg": "polygons.gpkg",
        "run": "run.json",
    }
    files = {key: str(out / name) for key, name in names.items() if (out / name).exists()}
    return {
        "event": "finished",
        "out": str(out),
        "elapsed_s": elapsed_s,
        "files": files,
        "classes": classes,
    }


def _is_owned(job: Job) -> bool:
    """Tell whether another QGIS that still runs follows a job."""
    try:
        owner = child.ProcessMark(**job.facts["owner"])
    except (KeyError, TypeError):
        return False
    return owner.pid != os.getpid() and child.is_running(owner)


def _judge_quietly(job: Job) -> None:
    """Write down how a job of Processing ended whose QGIS did not live to do so."""
    follower = Follower(job)
    if follower.is_over():
        follower.poll()
        job_store().ended(job, follower.verdict()[0])


def _record_time(out: Path) -> float | None:
    """Return when a result folder's run was finished; None where there is none."""
    try:
        return (out / "run.json").stat().st_mtime
    except OSError:
        return None


def _scheduler(command: str) -> str:
    address = Settings().get("scheduler")
    if not any(option.name == "SCHEDULER" for option in load_command(command).options):
        raise EngineError(
            tr("This engine cannot use a scheduler address"),
            tr("Update it, or run through a batch command."),
        )
    if not address:
        raise EngineError(
            tr("There is no scheduler address"), tr("Write it down on the Engine page.")
        )
    return address
