"""Jobs of SLURM as workers of a Dask cluster: asked for, watched, replaced, handed back.

The scheduler lives in this process, on one address. dask-jobqueue writes the job script; each
job starts its worker processes with one ``srun``, because pre-emption and ``scancel --signal``
send SIGTERM to the steps of a job and not to its script. All words with SLURM are exchanged in
one thread beside the caller's, so a controller that is busy for a minute holds nobody up.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geoseg.errors import ClusterError
from geoseg.redact import without_secrets
from geoseg.run import slurm_control as control
from geoseg.run.cluster import portless_scheduler
from geoseg.run.slurm_config import SlurmConfig
from geoseg.run.slurm_control import BusyError
from geoseg.run.slurm_script import job_name, job_of, job_script, log_path
from geoseg.run.slurm_watch import Watch, hopeless, looked_at, pause_s, silent
from geoseg.user_cache import user_cache_dir

if TYPE_CHECKING:
    from distributed import Security, SpecCluster

__all__ = ["SlurmJobs", "slurm_cluster"]

_log = logging.getLogger(__name__)
_LOOK_S: Final = 10.0
_BUSY_S: Final = 900.0
_CLOSE_S: Final = 30.0
_GRACE_S: Final = 8.0
_POLL_S: Final = 0.2
# A worker that pre-emption or a walltime ends has died, to Dask, and its task with it; three
# times would be little on a queue where that is daily work. A task that kills is found later.
_DEATHS: Final = 10
_LOG_LINES: Final = 3
_LOG_BYTES: Final = 16_384
_LOG_CHARACTERS: Final = 400


class _Roll:
    """Which jobs have a worker, and which ever had; the scheduler's thread writes it."""

    name = "geoseg-roll"

    def __init__(self) -> None:
        self.joined: frozenset[str] = frozenset()
        self._addresses: dict[str, str] = {}

    @property
    def connected(self) -> frozenset[str]:
        """Jobs that have a worker now."""
        return frozenset(self._addresses.copy().values())

    def note(self, address: str, worker: str) -> None:
        """Take down a worker that has come up."""
        job_id = job_of(worker)
        if job_id is not None:
            self.joined |= {job_id}
            self._addresses[address] = job_id

    def strike(self, address: str) -> None:
        """Strike out a worker that is gone."""
        self._addresses.pop(address, None)


class SlurmJobs:
    """The jobs of one batch; made by ``slurm_cluster``."""

    def __init__(
        self, cluster: SpecCluster, config: SlurmConfig, script: str, name: str, logs: Path
    ) -> None:
        """Take over a cluster without workers.

        Args:
            cluster: Scheduler of the workers to come.
            config: What to ask for.
            script: Job script.
            name: Of the jobs; nobody else's have it.
            logs: Folder of their logs.
        """
        self.cluster = cluster
        """What a ``distributed.Client`` may be made of."""
        self.name = name
        """Name of the jobs in the queue."""
        self.roll = _Roll()
        """Which of them have workers."""
        self._config, self._script, self._logs = config, script, logs
        self._watch = Watch()
        self._hand = ThreadPoolExecutor(1, thread_name_prefix="geoseg-slurm")
        self._look: Future[None] | None = None
        self._wanted = 0
        now = time.monotonic()
        self._next_look = self._next_job = self._busy_since = self._next_return = now
        self._return: Future[None] | None = None

    @property
    def jobs(self) -> int:
        """Jobs that ran or waited at the last look."""
        return len(self._watch.alive)

    def keep(self, jobs_wanted: int) -> None:
        """See to it that there are as many jobs as wanted, within the limits asked for.

        Returns at once: the queue is looked at in a thread beside, every ten seconds or when
        more jobs are wanted. Jobs beyond ``jobs_wanted`` stay until ``hand_back``.

        Args:
            jobs_wanted: How many have something to do.

        Raises:
            ClusterError: An earlier look found that no job can start or stay: SLURM refuses
                them, they wait for what will not come, or they fail before a worker is up.
        """
        wanted = min(max(jobs_wanted, self._config.min_jobs), self._config.jobs)
        if self._look is not None:
            if not self._look.done():
                return
            look, self._look = self._look, None
            look.result()
        if wanted > self._wanted or time.monotonic() >= self._next_look:
            self._wanted = wanted
            self._next_look = time.monotonic() + _LOOK_S
            self._look = self._hand.submit(self._look_after, wanted)

    def hand_back(self) -> None:
        """End jobs that wait or whose workers have nothing to do, down to ``min_jobs``.

        Returns at once: it is done in the thread beside, every ten seconds at most.
        """
        if self._return is not None:
            if not self._return.done():
                return
            done, self._return = self._return, None
            done.result()
        if self.jobs > self._config.min_jobs and time.monotonic() >= self._next_return:
            self._next_return = time.monotonic() + _LOOK_S
            self._return = self._hand.submit(self._hand_back)

    def close(self) -> None:
        """End all jobs and the scheduler; return when the queue is empty of them.

        Workers that lose their scheduler end cleanly by themselves; ``scancel`` is for those
        that do not, as srun makes SIGKILL of it.
        """
        self._hand.shutdown(cancel_futures=True)
        self._cancel(waiting_only=True)
        self.cluster.close(timeout=_CLOSE_S)
        if self._has_ended(_GRACE_S):
            return
        self._cancel()
        if not self._has_ended(_CLOSE_S):
            _log.warning("jobs may be left in the queue: scancel --name=%s ends them", self.name)

    def _cancel(self, *, waiting_only: bool = False) -> None:
        """Cancel jobs, with patience for a busy controller."""
        end = time.monotonic() + _CLOSE_S
        while time.monotonic() < end:
            try:
                control.cancel(self.name, waiting_only=waiting_only)
            except BusyError:
                time.sleep(_POLL_S)
            except ClusterError as error:
                _log.warning("%s", error)
                return
            else:
                return

    def _has_ended(self, seconds: float) -> bool:
        """Wait until all jobs are over; tell whether they are."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(ClusterError):
                if all(job.is_over for job in control.listed(self.name).values()):
                    return True
            time.sleep(_POLL_S)
        return False

    def _look_after(self, wanted: int) -> None:
        """Look at the queue; give up, clear away, ask for what is missing."""
        try:
            jobs = control.listed(self.name)
            self._busy_since = time.monotonic()
            self._take_note(jobs)
            control.cancel(self.name, silent(jobs, self.roll.joined))
            self._ask_for(wanted - len(self._watch.alive))
        except BusyError as error:
            _log.info("%s; asking again later", error)
            busy_s = time.monotonic() - self._busy_since
            if busy_s > _BUSY_S and not self.roll.connected:
                msg = f"SLURM has not answered for {busy_s:.0f} s, and there is no worker: {error}"
                raise ClusterError(msg, hint="Repeat the command when it is back.") from error

    def _take_note(self, jobs: dict[str, control.Job]) -> None:
        """Remember what a listing says; raise ClusterError where it leaves no hope."""
        before = self._watch
        self._watch = looked_at(before, jobs, self.roll.joined)
        fresh = [j for j in self._watch.stillborn if j not in before.stillborn]
        if fresh:
            self._next_job = time.monotonic() + pause_s(self._watch)
            _log.warning("job %s ended before a worker came up: %s", fresh[-1], self._told(fresh))
        reason = hopeless(self._watch, jobs, self.roll.connected)
        if reason is not None:
            told = f"; {self._told(list(self._watch.stillborn))}" if self._watch.stillborn else ""
            raise ClusterError(
                reason + told,
                hint="Mend the SLURM configuration: queue, walltime, prologue, python, interface.",
            )

    def _ask_for(self, missing: int) -> None:
        """Submit jobs; what SLURM refuses is an error only where there are none."""
        for _ in range(missing):
            if time.monotonic() < self._next_job:
                return
            try:
                job_id = control.submit(self._script)
            except BusyError:
                raise
            except ClusterError as error:
                if not self._watch.alive:
                    raise
                _log.warning("%s; going on with %d jobs", error, len(self._watch.alive))
                return
            _log.info("asked SLURM for job %s", job_id)
            self._watch = replace(self._watch, alive=self._watch.alive | {job_id})

    def _told(self, job_ids: list[str]) -> str:
        """Return the last lines of the newest log among these jobs."""
        for job_id in reversed(job_ids):
            path = log_path(self._logs, self.name, job_id)
            lines = _last_lines(path)
            if lines:
                return f"the log {path} ends with: {lines}"
        return f"no log is in {self._logs}, which all nodes must see"

    def _hand_back(self) -> None:
        try:
            jobs = control.listed(self.name)
            alive = [job for job in jobs.values() if job.is_alive]
            waiting = [job.job_id for job in alive if job.is_waiting]
            addresses, busy = self.cluster.sync(self._workers)
            rest = [j.job_id for j in alive if not (j.is_waiting or j.job_id in busy)]
            given = [*waiting, *rest][: max(0, len(alive) - self._config.min_jobs)]
            self.cluster.sync(self._retire, [a for j in given for a in addresses.get(j, ())])
            control.cancel(self.name, given)
        except ClusterError as error:
            _log.info("%s; jobs are handed back later", error)

    async def _workers(self) -> tuple[dict[str, list[str]], set[str]]:
        """Return the addresses of each job's workers, and the jobs that have something to do."""
        addresses: dict[str, list[str]] = {}
        busy = set()
        for address, worker in self._scheduler.workers.items():
            job_id = job_of(str(worker.name))
            if job_id is not None:
                addresses.setdefault(job_id, []).append(address)
                if worker.processing:
                    busy.add(job_id)
        return addresses, busy

    async def _retire(self, addresses: list[str]) -> None:
        if addresses:
            await self._scheduler.retire_workers(workers=addresses, close_workers=True)

    @property
    def _scheduler(self) -> Any:  # noqa: ANN401 - partly typed upstream
        return self.cluster.scheduler


@contextmanager
def slurm_cluster(
    config: SlurmConfig,
    security: Security | None = None,
    *,
    batch: str = "batch",
    deaths: int = _DEATHS,
) -> Iterator[SlurmJobs]:
    """Run a Dask scheduler here whose workers are jobs of SLURM; no job is asked for yet.

    Args:
        config: What jobs to ask for.
        security: TLS of scheduler and workers; its files must be seen by the nodes.
        batch: Name of the batch, which is part of the jobs' names.
        deaths: Workers that may die over a task before the scheduler gives it up.

    Raises:
        ClusterError: dask-jobqueue or SLURM's commands are missing, or the scheduler cannot
            listen.
    """
    _require_jobqueue()
    control.require_slurm()
    name = job_name(batch, secrets.token_hex(3))
    with (
        _log_folder(config) as logs,
        # Else the scheduler leaves a dask-scratch-space in the temporary folder.
        tempfile.TemporaryDirectory(prefix="geoseg-dask-") as scratch,
    ):
        cluster = _scheduler(config, security, name, scratch, deaths)
        try:
            script = job_script(config, cluster.scheduler_address, security, name, logs)
            jobs = SlurmJobs(cluster, config, script, name, logs)
            cluster.sync(_add_roll, cluster.scheduler, jobs.roll)
        except BaseException:
            cluster.close()
            raise
        try:
            yield jobs
        finally:
            jobs.close()


def _require_jobqueue() -> None:
    try:
        import dask_jobqueue  # noqa: F401, PLC0415 - optional
    except ImportError as error:
        msg = "--scheduler slurm needs dask-jobqueue, which is not installed"
        raise ClusterError(msg, hint="pip install 'geoseg[slurm]'") from error


@contextmanager
def _log_folder(config: SlurmConfig) -> Iterator[Path]:
    """Yield the folder of the logs; one of our own goes away again when all went well."""
    folder = config.log_folder or user_cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if config.log_folder is None:
            folder = Path(tempfile.mkdtemp(prefix="slurm-", dir=folder))
    except OSError as error:
        msg = f"cannot make a folder for the logs of jobs at {folder}: {error.strerror or error}"
        raise ClusterError(msg, hint="Name another one as log_folder.") from error
    yield folder.absolute()
    if config.log_folder is None:
        shutil.rmtree(folder, ignore_errors=True)


def _scheduler(
    config: SlurmConfig, security: Security | None, name: str, scratch: str, deaths: int
) -> SpecCluster:
    """Return a running scheduler without workers, bound to one address."""
    import dask  # noqa: PLC0415 - 0.4 s with distributed
    from distributed import SpecCluster  # noqa: PLC0415

    # Even without a dashboard the scheduler would serve HTTP on all interfaces.
    quiet = portless_scheduler()
    options: dict[str, Any] = {
        "protocol": "tcp://" if security is None else "tls://",
        "port": config.scheduler_port,
        "security": security,
        "allowed_failures": deaths,
    }
    if config.scheduler_host is None and config.interface is not None:
        options["interface"] = config.interface
    else:
        options["host"] = config.scheduler_host or _own_address()
    try:
        own = {"distributed.admin.tick.limit": "1h", "temporary-directory": scratch}
        with dask.config.set(own):
            return SpecCluster(
                scheduler={"cls": quiet, "options": options},
                security=security,
                silence_logs=logging.CRITICAL,
                name=name,
            )
    except (OSError, RuntimeError, ValueError) as error:
        root: BaseException = error
        while root.__cause__ is not None:  # Dask says at each level that the one below failed
            root = root.__cause__
        cause = without_secrets(str(root).splitlines()[0])
        msg = f"the Dask scheduler cannot listen for the jobs: {cause}"
        hint = "Choose another interface, scheduler_host or scheduler_port."
        raise ClusterError(msg, hint=hint) from error


def _own_address() -> str:
    """Return the address of this machine on its default route."""
    import warnings  # noqa: PLC0415 - for this call

    from distributed.utils import get_ip  # noqa: PLC0415 - see above

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no route: the answer is checked below
        address = str(get_ip())
    if address.startswith("127.") or address == "::1":
        msg = "this machine has no address that other nodes could reach, as far as can be seen"
        raise ClusterError(msg, hint="Name its network as interface, or an address as "
                           "scheduler_host, in the SLURM configuration.")  # fmt: skip
    return address


async def _add_roll(scheduler: Any, roll: _Roll) -> None:  # noqa: ANN401 - partly typed upstream
    """Let the scheduler tell of workers that come and go."""
    from distributed.diagnostics.plugin import SchedulerPlugin  # noqa: PLC0415 - see above

    class Caller(SchedulerPlugin):
        name = roll.name

        def add_worker(self, scheduler: Any, worker: str) -> None:  # noqa: ANN401
            roll.note(worker, str(scheduler.workers[worker].name))

        def remove_worker(self, scheduler: Any, worker: str, **_: object) -> None:  # noqa: ANN401, ARG002
            roll.strike(worker)

    scheduler.add_plugin(Caller())


def _last_lines(path: Path) -> str:
    """Return the last lines of a log in one; empty where there is none.

    What srun and SLURM's daemon add says that it ended, not why.
    """
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith(("srun:", "slurmstepd"))] or lines
    return without_secrets(" | ".join(own[-_LOG_LINES:]))[-_LOG_CHARACTERS:]
