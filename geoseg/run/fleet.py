"""The workers of a batch: processes of this machine, jobs of SLURM, or somebody's cluster.

With ``geoseg.run.cluster`` the only place that knows Dask. A task is a function of geoseg's,
by name, with addresses and frozen values; a few tasks per worker are known to the scheduler at
a time, so that its memory and the client's do not grow with the batch.
"""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import platform
import queue
import re
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from geoseg.cores import usable_cores
from geoseg.errors import ClusterError, GeosegError, TaskTimeoutError, WorkerDiedError
from geoseg.options import ClusterOptions
from geoseg.run.moments import span_text
from geoseg.run.overtime import OvertimeError, call_within, left_alone
from geoseg.run.place import WorkerContext
from geoseg.run.questions import Questions
from geoseg.version import __version__

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

    from geoseg.run.slurm_cluster import SlurmJobs

__all__ = ["Arrival", "Fleet", "LostWorkError", "connected"]

_log = logging.getLogger(__name__)
_CORES_PER_PROCESS: Final = 4
"""Beyond, threads of one process wait for the interpreter more than for each other."""
_GPU_SLOTS: Final = 3
_SPARE_THREADS: Final = 1
"""Blocks that read and write while the others are in the network."""
_REFRESH_S: Final = 2.0
_CONNECT_S: Final = 30
_GATHER_S: Final = 60
_PATIENCE_S: Final = 600.0
_OPEN_FILES: Final = 8192
"""At most four scenes a thread, and a few connections a worker, of a thousand threads."""
_FAREWELL_S: Final = 2.0
"""Between a worker's last word on a task and its end."""
_LOCAL: Final = "127.0.0.1"


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


class _Jobs(Protocol):
    """Processes that can be asked for."""

    def keep(self, threads_wanted: int) -> None:
        """See to it that there are workers for so many tasks, if there may be."""


class _Fixed:
    """Processes that are there, or that somebody else looks after."""

    def keep(self, threads_wanted: int) -> None:
        """Do nothing."""


class Fleet:
    """Workers that take tasks.

    Methods are called from one thread.
    """

    def __init__(
        self,
        client: Client,
        jobs: _Jobs,
        *,
        spare_threads: int,
        scratch: Path | None,
        patience_s: float = _PATIENCE_S,
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
    msg = f"the scheduler does not answer: {_told(error)}"
    return ClusterError(msg, hint="Repeat the same command to continue.")


def _arrival(key: object, future: Future[Any]) -> Arrival:
    from distributed import KilledWorker  # noqa: PLC0415 - loaded by now

    if future.status in {"cancelled", "lost"}:
        return Arrival(key, None, LostWorkError())
    if future.status != "error":
        try:
            return Arrival(key, future.result(timeout=_GATHER_S), None)
        except Exception as error:  # noqa: BLE001 - the result went with its worker
            return Arrival(key, None, LostWorkError(_told(error)))
    raised = future.exception(timeout=_GATHER_S)
    if isinstance(raised, KilledWorker):
        return Arrival(key, None, WorkerDiedError("a worker died over it"))
    return Arrival(key, None, raised)


def _told(error: BaseException) -> str:
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


@contextmanager
def connected(options: ClusterOptions, *, task_timeout_s: float | None = None) -> Iterator[Fleet]:
    """Start or find the workers, and let go of them afterwards.

    Args:
        options: Where to compute.
        task_timeout_s: How long a task may run; None for as long as it takes.

    Raises:
        ClusterError: There is no such scheduler, or jobs cannot be submitted.
        OptionError: The file that describes the jobs is wrong.
    """
    with ExitStack() as stack:
        _be_quiet(stack)
        _allow_open_files()
        jobs: _Jobs = _Fixed()
        spare, patience_s = 0, _PATIENCE_S
        if options.scheduler == "local":
            where, spare = _local(options, stack), _SPARE_THREADS
        elif options.scheduler == "slurm":
            where, jobs, spare = _slurm(options, stack)
            patience_s = math.inf  # a queue may be long; jobs that cannot start are noticed
        else:
            where = _address(options)
        client = stack.enter_context(_client(where, options))
        fleet = Fleet(
            client,
            jobs,
            spare_threads=spare,
            scratch=options.scratch,
            patience_s=patience_s,
            task_timeout_s=task_timeout_s,
        )
        stack.callback(fleet.close)
        yield fleet


def _be_quiet(stack: ExitStack) -> None:
    """Set what Dask does and says for as long as the stack is open."""
    import dask  # noqa: PLC0415 - 0.4 s with distributed
    import distributed  # noqa: F401, PLC0415 - its defaults, or the stack would take them along

    # What goes wrong comes back as an error; Dask's own lines are not for a terminal.
    for name in ("distributed", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    settings = {
        # The last messages to every worker stay in memory for who debugs Dask: by default a
        # thousand for each, which at 64 workers is more than all the rest together.
        "distributed.admin.low-level-log-length": 10,
        # What died with its worker is tried again by the driver, which knows its scene.
        "distributed.scheduler.allowed-failures": 0,
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.limit": "1h",
        "distributed.comm.timeouts.connect": f"{_CONNECT_S}s",
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.pause": False,
        "distributed.diagnostics.nvml": False,
    }
    stack.enter_context(dask.config.set(settings))


def _allow_open_files() -> None:
    """Take the open files that this process may have, as Dask's own commands do.

    Each scene in work holds its lock, and each worker some connections: of some hundred
    threads, that is more than the usual 1024.
    """
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:  # pragma: no cover - Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _client(where: Any, options: ClusterOptions) -> Client:  # noqa: ANN401 - cluster or address
    from distributed import Client  # noqa: PLC0415 - 0.4 s

    security = _security(options) if isinstance(where, str) else None
    try:
        return Client(where, security=security, timeout=_CONNECT_S)
    except (OSError, TimeoutError, ValueError, RuntimeError, TypeError, AssertionError) as error:
        # TypeError is what Dask says of tls:// without certificates, AssertionError where this
        # machine is so busy that its thread has not begun within ten seconds.
        msg = f"cannot reach the scheduler {where}: {_told(error)}"
        raise ClusterError(
            msg, hint="Is it running, is the address right, and does it want TLS (--tls-ca ...)?"
        ) from error


def _security(options: ClusterOptions) -> Any:  # noqa: ANN401 - a Security, or what dask.config has
    if options.tls_ca is None:
        return None
    from distributed import Security  # noqa: PLC0415 - the same

    for flag, path in (
        ("--tls-ca", options.tls_ca),
        ("--tls-cert", options.tls_cert),
        ("--tls-key", options.tls_key),
    ):
        if path is not None and not Path(path).is_file():  # OpenSSL does not tell which
            msg = f"there is no file {path}, named by {flag}"
            raise ClusterError(msg, hint="Give the three files of make-certificates.sh.")
    ca, cert, key = str(options.tls_ca), str(options.tls_cert), str(options.tls_key)
    return Security(
        require_encryption=True,
        tls_ca_file=ca,
        tls_client_cert=cert,
        tls_client_key=key,
        tls_scheduler_cert=cert,
        tls_scheduler_key=key,
        tls_worker_cert=cert,
        tls_worker_key=key,
    )


def _address(options: ClusterOptions) -> str:
    """Return the address that the user named, or that stands in the named scheduler file."""
    text = options.scheduler
    if "://" in text:
        return text
    if Path(text).is_file():
        return _address_in(Path(text))
    msg = f"--scheduler {text!r} is no address and no file"
    raise ClusterError(
        msg, hint="Give local, slurm, tcp://HOST:PORT, tls://HOST:PORT or a scheduler file."
    )


def _address_in(path: Path) -> str:
    """Return what ``dask scheduler --scheduler-file`` has written."""
    try:
        address = json.loads(path.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        address = error
    if isinstance(address, str) and "://" in address:
        return address
    msg = f"{path} is no scheduler file: it holds no JSON object with an address"
    raise ClusterError(msg, hint="Name what 'dask scheduler --scheduler-file FILE' has written.")


def _local(options: ClusterOptions, stack: ExitStack) -> Any:  # noqa: ANN401 - untyped upstream
    """Start worker processes on this machine; all of them listen on the loopback address."""
    import dask  # noqa: PLC0415 - the same
    from distributed import Nanny, SpecCluster  # noqa: PLC0415 - 0.4 s

    from geoseg.run.cluster import portless_scheduler  # noqa: PLC0415 - the same

    gpus = _gpus()
    n = options.processes or len(gpus) or math.ceil(usable_cores() / _CORES_PER_PROCESS)
    slots = options.threads or (_GPU_SLOTS if gpus else max(1, usable_cores() // n))
    scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="geoseg-dask-"))
    stack.enter_context(dask.config.set({"temporary-directory": scratch}))
    workers = {}
    for i in range(n):
        env = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        if gpus:
            env["CUDA_VISIBLE_DEVICES"] = gpus[i % len(gpus)]
        workers[i] = {
            "cls": Nanny,
            "options": {
                "nthreads": slots + _SPARE_THREADS,
                "memory_limit": 0,
                "preload": ["geoseg.run.local_worker"],
                "host": _LOCAL,
                "dashboard": False,
                "dashboard_address": f"{_LOCAL}:0",
                "env": env,
                "silence_logs": logging.CRITICAL,
            },
        }
    scheduler = {"cls": portless_scheduler(), "options": {"host": _LOCAL, "port": 0}}
    return stack.enter_context(
        SpecCluster(scheduler=scheduler, workers=workers, silence_logs=logging.CRITICAL)
    )


def _gpus() -> list[str]:
    """Return the CUDA devices that this process may use, without loading CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [part.strip() for part in named.split(",") if part.strip() not in {"", "-1"}]
    found = [p.name[6:] for p in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((n for n in found if re.fullmatch(r"\d+", n)), key=int)


class _SlurmJobs:
    """Jobs for as many tasks as there are; those without work are handed back."""

    def __init__(self, jobs: SlurmJobs, threads_per_job: int) -> None:
        self._jobs, self._threads = jobs, threads_per_job

    def keep(self, threads_wanted: int) -> None:
        """Ask for jobs, or hand some back when there is little left."""
        wanted = math.ceil(threads_wanted / self._threads)
        if wanted < self._jobs.jobs:
            self._jobs.hand_back()
        self._jobs.keep(wanted)


def _slurm(options: ClusterOptions, stack: ExitStack) -> tuple[Any, _Jobs, int]:
    """Start a scheduler here whose workers are jobs; none is asked for yet."""
    from geoseg.run.slurm_cluster import slurm_cluster  # noqa: PLC0415 - for this one alone
    from geoseg.run.slurm_config import SPARE_THREADS, read_slurm_config  # noqa: PLC0415

    if options.slurm_config is None:
        msg = "--scheduler slurm needs --slurm-config FILE"
        raise ClusterError(msg, hint="deploy/slurm/geoseg-slurm.toml is an example.")
    config = read_slurm_config(options.slurm_config)
    # What died with its worker is tried again by the driver, which knows its scene.
    jobs = stack.enter_context(
        slurm_cluster(config, _security(options), batch=options.name, deaths=0)
    )
    threads = config.threads * config.processes
    return jobs.cluster, _SlurmJobs(jobs, threads), SPARE_THREADS
