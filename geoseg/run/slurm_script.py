"""The script of a job: dask-jobqueue's, with what geoseg's workers need to start and to end."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from geoseg.run.slurm_config import SlurmConfig

if TYPE_CHECKING:
    from distributed import Security

__all__ = ["job_name", "job_of", "job_script", "log_path"]

_DEATH_S: Final = 30
_STAGGER: Final = 0.1
_WARNING_S: Final = 60
_NAME_CHARACTERS: Final = 40
_WORKER: Final = "geoseg.run.slurm_worker"
_WORKER_NAME: Final = re.compile(r"geoseg-(?P<job>\d+)(?:-\d+)?")
# Blocks hold numpy's and a network's memory, of which Dask can spill nothing; a worker that
# pauses would wait for ever. Long calls into both hold the interpreter, and are no fault.
_ENVIRONMENT: Final = (
    "export DASK_DISTRIBUTED__WORKER__MEMORY__TARGET=False",
    "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False",
    "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False",
    "export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False",
    "export DASK_DISTRIBUTED__ADMIN__TICK__LIMIT=1h",
)
# dask-jobqueue fills in what it is not told from the user's own files, here with nothing.
_NO_DEFAULTS: Final = {
    "jobqueue.slurm": dict.fromkeys((
        "account", "env-extra", "extra", "header-skip", "interface", "job-cpu", "job-extra",
        "job-mem", "log-directory", "project", "queue",
    )) | {"job-directives-skip": ()},
}  # fmt: skip


def job_name(batch: str, token: str) -> str:
    """Return the name of a batch's jobs; the token tells it from that of any other batch."""
    plain = re.sub(r"[^A-Za-z0-9._]+", "-", batch).strip("-.")[:_NAME_CHARACTERS].strip("-.")
    return f"geoseg-{plain or 'batch'}-{token}"


def log_path(folder: Path, name: str, job_id: str) -> Path:
    """Return where a job writes what it has to say."""
    return folder / f"{name}-{job_id}.log"


def job_of(worker: str) -> str | None:
    """Return the number of the job that a worker's name tells."""
    found = _WORKER_NAME.fullmatch(worker)
    return None if found is None else found["job"]


def job_script(
    config: SlurmConfig, address: str, security: Security | None, name: str, logs: Path
) -> str:
    """Return the job script, which dask-jobqueue writes.

    Its last line becomes the worker: nothing of the shell stays behind that would have to be
    told of a signal. Names of its jobs and workers hold the job's number.
    """
    import dask  # noqa: PLC0415 - 0.4 s with what dask-jobqueue imports
    from dask_jobqueue.slurm import SLURMJob  # noqa: PLC0415 - optional

    log = log_path(Path(str(logs).replace("%", "%%")), name, "%j")
    own = [f'--output="{log}"', "--no-requeue", *_warning(config)]
    gpus = [f"--gres=gpu:{config.gpus}"] if config.gpus else []
    start = "exec srun --ntasks=1 --cpus-per-task=$SLURM_CPUS_PER_TASK --mpi=none --input=none"
    with dask.config.set(_NO_DEFAULTS):
        return str(
            SLURMJob(
                address,
                name="geoseg-$SLURM_JOB_ID",
                job_name=name,
                queue=config.queue,
                account=config.account,
                walltime=_clock(config.walltime_s),
                cores=config.cores,
                memory=f"{config.memory_bytes}B",
                processes=config.processes,
                interface=config.interface,
                death_timeout=_DEATH_S,
                local_directory=f'"{config.scratch or "${TMPDIR:-/tmp}"}"',
                python=f"{start} {shlex.quote(config.python)} -P",
                worker_command="distributed.cli.dask_worker",
                worker_extra_args=[*_worker_arguments(config), *_tls_arguments(security)],
                job_script_prologue=[*_ENVIRONMENT, *config.prologue],
                job_extra_directives=[*own, *gpus, *config.directives],
                shebang="#!/usr/bin/env bash",
            ).job_script()
        )


def _worker_arguments(config: SlurmConfig) -> list[str]:
    """Return what dask-jobqueue does not say to ``dask worker``.

    The shell subtracts what the prologue took, and up to a tenth at random, the same for all
    processes of a job: so that jobs which started together do not all end together.
    """
    lifetime_s = config.walltime_s - config.walltime_margin_s
    spread_s = max(1, int(lifetime_s * _STAGGER))
    lifetime = f"$(({lifetime_s} - SECONDS - RANDOM % {spread_s}))s"
    return [
        *("--lifetime", lifetime),
        *("--nthreads", str(config.threads)),
        *("--worker-class", f"{_WORKER}.JobWorker"),
        *("--preload-nanny", _WORKER),
        "--no-dashboard",
    ]


def _warning(config: SlurmConfig) -> list[str]:
    """Return what makes SLURM end workers that have missed their own time.

    It may come up to a minute sooner than asked for, which must not be before their time.
    """
    return [f"--signal=TERM@{_WARNING_S}"] if config.walltime_margin_s >= 2 * _WARNING_S else []


def _tls_arguments(security: Security | None) -> list[str]:
    """Return the files of TLS, and that there is no way without."""
    if security is None:
        return []
    files = security.get_tls_config_for_role("worker")
    return ["--protocol", "tls://"] + [
        word
        for key in ("ca_file", "cert", "key")
        if files[key]
        for word in (f"--tls-{key.replace('_', '-')}", shlex.quote(str(Path(files[key]).resolve())))
    ]


def _clock(seconds: int) -> str:
    """Return ``D-HH:MM:SS``."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    return f"{day}-{hour:02d}:{minute:02d}:{second:02d}"
