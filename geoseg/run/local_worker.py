"""What a worker process of this machine does first; loaded there by its nanny."""

from __future__ import annotations

import signal

__all__ = ["dask_setup"]


def dask_setup(_worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to every process of a command, to the client."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
