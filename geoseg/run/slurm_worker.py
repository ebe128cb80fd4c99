"""What runs inside a job of SLURM: workers that do not listen for browsers, one GPU each.

Loaded on the nodes, by ``--worker-class`` and ``--preload-nanny`` of ``dask worker``.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from distributed import Nanny, Worker

from geoseg.errors import ClusterError

__all__ = ["JobWorker", "dask_setup", "own_device"]

_DEVICES = "CUDA_VISIBLE_DEVICES"


class JobWorker(Worker):
    """A worker without an HTTP server, that its nanny alone tells to end."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as Dask hands them over
        """Take what ``Worker`` takes; SIGTERM is for the nanny.

        SLURM sends it to every process of a job. The nanny takes the worker off the scheduler
        and closes it; the worker itself would just die.
        """
        super().__init__(*args, **options)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def start_http_server(self, *_: object, **__: object) -> None:
        """Start nothing: it would listen on all interfaces."""


def dask_setup(nanny: Nanny) -> None:
    """Give the process that a nanny is about to start a GPU of its own."""
    device = own_device(os.environ.get(_DEVICES), str(nanny.name))
    if device is not None:
        nanny.env[_DEVICES] = device


def own_device(visible: str | None, name: str) -> str | None:
    """Return the device of one process of a job; None where there is nothing to choose.

    Args:
        visible: The job's devices, as SLURM sets them in ``CUDA_VISIBLE_DEVICES``.
        name: ``geoseg-<job>-<process>``; without a process the job has just one.

    Raises:
        ClusterError: The job has fewer devices than processes.
    """
    _, _, process = name.removeprefix("geoseg-").partition("-")
    if not visible or not process:
        return None
    devices = visible.split(",")
    if int(process) >= len(devices):
        msg = f"process {process} of the job has no GPU: {_DEVICES} is {visible!r}"
        raise ClusterError(msg, hint="Ask for as many GPUs as processes.")
    return devices[int(process)]
