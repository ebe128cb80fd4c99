"""Tasks of a batch on workers: sent, awaited, taken back.

A task is a function of geoseg's, by name, with addresses and frozen values; a few tasks per
worker are known to the scheduler at a time, so that its memory and the client's do not grow
with the batch. Where the workers come from is ``geoseg.run.workers``' matter.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import platform
import queue
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from geoseg.errors import ClusterError, GeosegError, TaskTimeoutError, WorkerDiedError
from geoseg.run.moments import span_text
from geoseg.run.overtime import OvertimeError, call_within, left_alone
from geoseg.run.place import WorkerContext
from geoseg.run.questions import Questions
from geoseg.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

__all__ = ["PATIENCE_S", "Arrival", "Fleet", "Jobs", "LostWorkError", "one_line"]

_log = logging.getLogger(__name__)
_REFRESH_S: Final = 2.0
_GATHER_S: Final = 60
PATIENCE_S: Final = 600.0
"""How long it may take until there is a worker."""
_FAREWELL_S: Final = 2.0
"""Between a worker's last word on a task and its end."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A task that ended."""

    key: object
    """What it was submitted as."""
    result: Any
    """What it returned; None with an error."""
    error: BaseException | None


class LostWorkError(Exception):
    """A task whose worker or scheduler went away; nothing is known against the task."""


class _TookTooLongError(Exception):
    """A task took too long on the worker whose address this holds.

    Raised, as the scheduler keeps errors itself; a result could go with its worker.
    """


class Jobs(Protocol):
    """Processes that can be asked for."""

    def keep(self, threads_wanted: int) -> None:
        """See to it that there are workers for so many tasks, if there may be."""


class Fleet:
    """Workers that take tasks.

    Methods are called from one thread.
    """

    def __init__(
        self,
        client: Client,
        jobs: Jobs,
        *,
        spare_threads: int,
        scratch: Path | None,
        patience_s: float = PATIENCE_S,
        task_timeout_s: float | None = None,
    ) -> None:
        """Take a connected client.

        Args:
            client: The client.
            jobs: What can be asked for more workers.
            spare_threads: Threads of a worker that the network does not get.
            scratch: Folder on the workers; None for Dask's own.
            patience_s: How long it may take until there is a worker.
            task_timeout_s: How long a task may run.
        """
        self.patience_s = patience_s
        self._client, self._jobs = client, jobs
        self._spare, self._scratch = spare_threads, scratch
        self._task_timeout_s = task_timeout_s
        self._hung_at: dict[object, str] = {}
        self._running: dict[object, tuple[object, Future[Any]]] = {}
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        self._threads: dict[str, int] = {}
        self._looked_s = -math.inf
        self._questions = Questions(client)

    @property
    def in_flight(self) -> int:
        """Tasks that were submitted and have not arrived."""
        return len(self._running)

    @property
    def keys(self) -> list[object]:
        """What was submitted and has not arrived."""
        return [key for key, _ in self._running.values()]

    @property
    def workers(self) -> tuple[str, ...]:
        """Addresses of the workers, as of the last ``look``."""
        return tuple(self._threads)

    @property
    def threads(self) -> int:
        """Tasks that the workers run at a time, as of the last ``look``."""
        return sum(self._threads.values())

    def look(self, wanted: int) -> bool:
        """Count the workers anew, every few seconds, and ask for those that are missing.

        Args:
            wanted: Tasks that could run now.

        Returns:
            True where workers have come since, or one has answered late or not at all.

        Raises:
            ClusterError: The scheduler does not answer.
        """
        if time.monotonic() - self._looked_s < _REFRESH_S:
            return False
        before = set(self._threads)
        try:
            self._threads = dict(self._client.nthreads())
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            raise _silent(error) from error
        self._looked_s = time.monotonic()
        self._jobs.keep(wanted)
        has_come = not set(self._threads) <= before
        return has_come or self._questions.has_news

    def submit(
        self,
        key: object,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        priority: int = 0,
    ) -> None:
        """Send a task; the function gets a ``WorkerContext`` before ``args``.

        One that took too long goes to another worker than before, where one has room.
        """
        # In one piece: else the scheduler unpacks a plan of some hundred objects, and its logs
        # of the last thousand messages to each worker keep them all.
        work = zlib.compress(pickle.dumps((function, args)), 1)
        hung_at = self._hung_at.pop(key, None)
        others = sorted(set(self._threads) - {hung_at}) if hung_at else []
        future = self._client.submit(
            _call,
            work,
            self._spare,
            self._scratch,
            __version__,
            self._task_timeout_s,
            pure=False,
            priority=priority,
            workers=others or None,
            allow_other_workers=bool(others),
        )
        self._running[future.key] = key, future
        future.add_done_callback(self._ended.put)

    def arrivals(self, timeout_s: float) -> list[Arrival]:
        """Return what has ended, waiting so long for the first one."""
        found: list[Arrival] = []
        try:
            future = self._ended.get(timeout=timeout_s)
            while True:
                if future.key in self._running:
                    key, _ = self._running.pop(future.key)
                    found.append(self._in_time(_arrival(key, future)))
                future = self._ended.get_nowait()
        except queue.Empty:
            return found

    def _in_time(self, arrival: Arrival) -> Arrival:
        """Return an arrival; of a task that took too long, with what is told of it."""
        if not isinstance(arrival.error, _TookTooLongError):
            return arrival
        (self._hung_at[arrival.key],) = arrival.error.args
        error = TaskTimeoutError(
            f"took longer than {span_text(self._task_timeout_s or 0)}",
            hint="Is a file system or server out of reach, or --task-timeout too short?",
        )
        return Arrival(arrival.key, None, error)

    def forget(self, keys: set[object]) -> None:
        """Take tasks back that have not arrived; those that run end unheard."""
        taken = [name for name, (key, _) in self._running.items() if key in keys]
        futures = [self._running.pop(name)[1] for name in taken]
        if futures:
            self._client.cancel(futures)

    def ask(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        workers: set[str],
        *,
        patient: bool,
    ) -> dict[str, Any]:
        """Call a function once in each worker's process; errors come back as values.

        Arguments and answers are those of ``Questions.ask``.

        Raises:
            ClusterError: The scheduler does not answer.
        """
        try:
            return self._questions.ask(function, args, workers, patient=patient)
        except (OSError, TimeoutError, RuntimeError, ValueError) as error:
            raise _silent(error) from error

    def close(self) -> None:
        """Wait no longer for answers; the connection is closed by who opened it."""
        self._questions.close()


def _silent(error: Exception) -> ClusterError:
    msg = f"the scheduler does not answer: {one_line(error)}"
    return ClusterError(msg, hint="Repeat the same command to continue.")


def _arrival(key: object, future: Future[Any]) -> Arrival:
    from distributed import KilledWorker  # noqa: PLC0415 - loaded by now

    if future.status in {"cancelled", "lost"}:
        return Arrival(key, None, LostWorkError())
    if future.status != "error":
        try:
            return Arrival(key, future.result(timeout=_GATHER_S), None)
        except Exception as error:  # noqa: BLE001 - the result went with its worker
            return Arrival(key, None, LostWorkError(one_line(error)))
    raised = future.exception(timeout=_GATHER_S)
    if isinstance(raised, KilledWorker):
        return Arrival(key, None, WorkerDiedError("a worker died over it"))
    return Arrival(key, None, raised)


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line of bearable length."""
    return " ".join((str(error) or type(error).__name__).split())[:200]


def _call(
    work: bytes,
    spare_threads: int,
    scratch: Path | None,
    version: str,
    limit_s: float | None,
) -> Any:  # noqa: ANN401 - whatever the function returns
    """Run one task in a worker."""
    from distributed import get_worker  # noqa: PLC0415 - loaded by now

    if version != __version__:
        msg = f"a worker has geoseg {__version__}, the client has {version}"
        raise ClusterError(msg, hint="Install the same version everywhere.")
    function, args = pickle.loads(zlib.decompress(work))  # noqa: S301 - as Dask's own messages
    worker = get_worker()
    slots = max(1, worker.state.nthreads - spare_threads)
    folder = Path(worker.local_directory) if scratch is None else scratch
    # Process numbers repeat from container to container, which may share a scratch folder.
    own = folder / f"geoseg-{platform.node()}-{os.getpid()}"
    call = partial(function, WorkerContext(slots, own), *args)
    try:
        return call() if limit_s is None else call_within(limit_s, call)
    except OvertimeError:
        # Here, and not at the client: the time counts from when the task runs, and its slot
        # is free for the next one. A process must not fill up with threads that hang, though.
        if worker.nanny and left_alone() >= worker.state.nthreads:
            _start_anew(worker)
        raise _TookTooLongError(worker.address) from None
    except GeosegError as error:
        # rasterio's errors cannot be unpickled (their args are read-only): with one as a
        # cause, distributed would hand back a plain Exception instead of ours.
        _log.debug("task failed", exc_info=error)
        error.__cause__ = error.__context__ = None
        raise


def _start_anew(worker: Worker) -> None:
    """Have a worker process end, with the threads that hang in it.

    Its other tasks go to others, unblamed, and its nanny starts another process. One without
    a nanny stays: a few scenes that hang would end a cluster that nobody starts anew.
    """
    leave = partial(worker.close_gracefully, restart=True, reason="geoseg-tasks-hang")
    worker.loop.add_callback(worker.loop.call_later, _FAREWELL_S, leave)
