"""Where the workers of a batch come from: this machine, jobs of SLURM, or somebody's cluster."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geoseg.cores import usable_cores
from geoseg.errors import ClusterError
from geoseg.options import ClusterOptions
from geoseg.run.cluster import portless_scheduler, quiet_logs
from geoseg.run.fleet import PATIENCE_S, Fleet, Jobs, one_line

if TYPE_CHECKING:
    from distributed import Client

    from geoseg.run.slurm_cluster import SlurmJobs

__all__ = ["connected"]

_CORES_PER_PROCESS: Final = 4
"""Beyond, threads of one process wait for the interpreter more than for each other."""
_GPU_SLOTS: Final = 3
_SPARE_THREADS: Final = 1
"""Blocks that read and write while the others are in the network."""
_CONNECT_S: Final = 30
_OPEN_FILES: Final = 8192
"""At most four scenes a thread, and a few connections a worker, of a thousand threads."""
_LOCAL: Final = "127.0.0.1"


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
        jobs: Jobs = _Fixed()
        spare, patience_s = 0, PATIENCE_S
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

    stack.enter_context(quiet_logs())
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
        msg = f"cannot reach the scheduler {where}: {one_line(error)}"
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
    try:
        cluster = SpecCluster(scheduler=scheduler, workers=workers, silence_logs=logging.CRITICAL)
    except (OSError, RuntimeError, TimeoutError) as error:
        msg = f"cannot start {n} worker process(es) on this machine: {one_line(error)}"
        hint = (
            "Is memory short, or a limit of processes reached? Try --processes 1. In a script, "
            "call it under 'if __name__ == \"__main__\":', as workers import the script again."
        )
        raise ClusterError(msg, hint=hint) from error
    return stack.enter_context(cluster)


def _gpus() -> list[str]:
    """Return the CUDA devices that this process may use, without loading CUDA."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [part.strip() for part in named.split(",") if part.strip() not in {"", "-1"}]
    found = [p.name[6:] for p in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((n for n in found if re.fullmatch(r"\d+", n)), key=int)


class _Fixed:
    """Processes that are there, or that somebody else looks after."""

    def keep(self, threads_wanted: int) -> None:
        """Do nothing."""


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


def _slurm(options: ClusterOptions, stack: ExitStack) -> tuple[Any, Jobs, int]:
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
