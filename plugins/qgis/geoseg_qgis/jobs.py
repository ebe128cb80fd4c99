"""Jobs: one folder each, with the command, the events that came and the messages.

The engine writes its events into a file of the folder and not into a pipe. So a job is
followed in the same way by the QGIS that started it and by one that was started later,
and a QGIS that dies takes no event with it. Nothing here knows QGIS.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import child
from .engine import EngineError, Failure, parse_event
from .text import tr

__all__ = ["Follower", "Job", "JobStore", "State"]

INTERRUPTED_CODE = 130
_RECORD = "job.json"
_KEPT_JOBS = 200


class State:
    """What may be the matter with a job."""

    WAITING = "waiting"
    RUNNING = "running"
    SUBMITTED = "submitted"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Job:
    """One call of the engine, with all that is needed to repeat it."""

    folder: Path
    """Where its files are."""
    command: str
    """``run``, ``vectorise``, ``train``, ..."""
    values: dict[str, Any]
    """Parameters by name, as Processing has them."""
    arguments: list[str]
    """What follows the program on the command line."""
    program: str
    """The engine that was called."""
    title: str
    """For the history."""
    created: float
    """Seconds since 1970."""
    where: str = "here"
    """``here``, ``scheduler``, ``batch``, or ``processing`` for one of the toolbox."""
    state: str = State.WAITING
    """As last seen."""
    pid: int = 0
    """Number of the process."""
    started: str = ""
    """When the process started, see :class:`child.ProcessMark`."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else the panel wants to find again (layer, place in the layer tree)."""

    @property
    def events(self) -> Path:
        """File of JSON lines."""
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        """File of messages."""
        return self.folder / "log.txt"

    @property
    def mark(self) -> child.ProcessMark:
        """The process, as a later QGIS finds it."""
        return child.ProcessMark(self.pid, self.started)

    @property
    def out(self) -> str:
        """Result folder or file; empty where the command makes none."""
        value = self.values.get("OUT")
        return str(value[0] if isinstance(value, list) and value else value or "")

    def is_running(self) -> bool:
        """Tell whether its process is there."""
        return bool(self.pid) and child.is_running(self.mark)


class JobStore:
    """All jobs of a profile."""

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made with the first job."""
        self.root = root

    def create(
        self,
        command: str,
        values: Mapping[str, Any],
        arguments: list[str],
        *,
        program: str,
        title: str,
        where: str = "here",
        facts: Mapping[str, Any] | None = None,
    ) -> Job:
        """Make the folder of a new job.

        Raises:
            EngineError: The folder cannot be written.
        """
        name = time.strftime("%Y%m%d-%H%M%S-") + uuid.uuid4().hex[:6]
        job = Job(
            folder=self.root / name,
            command=command,
            values=dict(values),
            arguments=arguments,
            program=program,
            title=title,
            created=time.time(),
            where=where,
            facts=dict(facts or {}),
        )
        self._prune()
        try:
            job.folder.mkdir(parents=True)
        except OSError as error:
            raise _unwritable(job.folder, error) from error
        self.save(job)
        return job

    def save(self, job: Job) -> Job:
        """Write a job's record, completely or not at all.

        Raises:
            EngineError: The folder cannot be written.
        """
        record = {k: v for k, v in asdict(job).items() if k != "folder"}
        temporary = job.folder / f".{_RECORD}.tmp"
        try:
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False), "utf-8")
            os.replace(temporary, job.folder / _RECORD)
        except OSError as error:
            raise _unwritable(job.folder, error) from error
        return job

    def started(self, job: Job, mark: child.ProcessMark) -> Job:
        """Return and save the job with its process."""
        return self.save(replace(job, pid=mark.pid, started=mark.started, state=State.RUNNING))

    def ended(self, job: Job, state: str) -> Job:
        """Return the job in its last state, and save it if that can be done.

        A profile folder on a full disk does not take from the user what the job has made.
        """
        job = replace(job, state=state)
        with suppress(EngineError):
            self.save(job)
        return job

    def all(self) -> list[Job]:
        """Return all jobs, the newest first; damaged records are passed over."""
        return sorted(self._read(), key=lambda job: job.created, reverse=True)

    def _read(self) -> Iterator[Job]:
        for path in self.root.glob(f"*/{_RECORD}"):
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                yield Job(folder=path.parent, **record)
            except (OSError, ValueError, TypeError):  # noqa: PERF203 - one bad file is no end
                continue

    def remove(self, job: Job) -> None:
        """Forget a job; its results stay where they are."""
        shutil.rmtree(job.folder, ignore_errors=True)

    def _prune(self) -> None:
        """Forget the oldest jobs beyond a few hundred."""
        for job in self.all()[_KEPT_JOBS - 1 :]:
            if not job.is_running():
                self.remove(job)


class Follower:
    """Reads what a job tells, a little at a time; :meth:`poll` never waits."""

    def __init__(self, job: Job, started: child.Child | None = None) -> None:
        """Start at the first event.

        Args:
            job: The job.
            started: Its process, where this QGIS started it; the exit code is known then.
        """
        self.job = job
        self.child = started
        self.last: dict[str, Any] = {}
        """The last event that tells how things are."""
        self.code: int | None = None
        """Exit code, once it is known."""
        self._at = 0
        self._rest = b""

    def poll(self) -> list[dict[str, Any]]:
        """Return the events that came since the last call."""
        try:
            with self.job.events.open("rb") as file:
                file.seek(self._at)
                fresh = file.read()
        except OSError:
            return []
        self._at += len(fresh)
        *lines, self._rest = (self._rest + fresh).split(b"\n")
        events = [parse_event(line.decode("utf-8", "replace")) for line in lines]
        found = [event for event in events if event is not None]
        if found:
            self.last = found[-1]
        return found

    def is_over(self) -> bool:
        """Tell whether the process has ended; call :meth:`poll` once more afterwards."""
        if self.child is None:
            return not self.job.is_running()
        self.code = self.child.code()
        return self.code is not None

    def verdict(self) -> tuple[str, Failure | None]:
        """Return how an ended job ended: its state, and what to tell."""
        kind = self.last.get("event")
        if kind == "error":
            stopped = self.last.get("exit_code") == INTERRUPTED_CODE
            failure = Failure(str(self.last.get("message", "")), str(self.last.get("hint") or ""))
            return (State.STOPPED if stopped else State.FAILED), failure
        if self.code == 0 or (self.code is None and kind in _LAST_EVENTS):
            return State.DONE, None
        return self._without_word()

    def _without_word(self) -> tuple[str, Failure]:
        """Judge a process that ended without saying why."""
        said = self.messages().splitlines()
        code = self.code
        if code is not None and code > 0:
            line = next((x for x in said if x.startswith(("geoseg: ", "Error: "))), "")
            text = line.partition(": ")[2] or (said[-1] if said else "")
            after = said[said.index(line) + 1 :] if line in said else []
            hint = after[0].strip() if after and after[0].startswith("  ") else ""
            if text:
                return State.FAILED, Failure(text, hint)
        how = tr("signal {number}").format(number=-code) if code is not None and code < 0 else ""
        message = tr("The engine was killed") + (f" ({how})" if how else "")
        hint = tr("What is finished is kept: run again to continue. If it happens again, "
                  "memory may be short.")  # fmt: skip
        return State.STOPPED, Failure(message, hint)

    def messages(self, longest: int = 1 << 18) -> str:
        """Return the end of the log."""
        try:
            with self.job.log.open("rb") as file:
                file.seek(max(0, self.job.log.stat().st_size - longest))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


_LAST_EVENTS = {"finished", "trained", "evaluation", "estimate", "scene", "models", "doctor"}


def _unwritable(folder: Path, error: OSError) -> EngineError:
    return EngineError(
        tr("Cannot write to {folder}: {text}").format(folder=folder, text=error.strerror or error),
        tr("Free space on that disk, or check who may write there."),
    )
