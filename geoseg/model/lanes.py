"""How many batches are on their way through a device at once.

On the CPU every calling thread computes on its own core. On CUDA two batches are under way,
each on a stream of its own: while one is computed, the pixels of the next cross the bus and
the labels of the last come back. On other devices one batch runs at a time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

__all__ = ["Lanes", "lanes_of"]

_ON_CUDA = 2


class Lanes:
    """Ways through a device; a thread takes a free one for the time of a batch."""

    def __init__(self, streams: Sequence[torch.cuda.Stream | None]) -> None:
        """Open a lane for each stream, None being the default one; no stream, no limit."""
        self._guard = threading.Lock()
        self._free: queue.SimpleQueue[torch.cuda.Stream | None] = queue.SimpleQueue()
        for stream in streams:
            self._free.put(stream)
        self._count = len(streams)

    @property
    def count(self) -> int:
        """Lanes that are open; 0 for no limit."""
        return self._count

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for a lane, and send along it what torch does in the ``with`` block."""
        if not self._count:
            yield
            return
        stream = self._free.get()
        try:
            # Without a stream torch.cuda is not asked: there may be none, as beside MPS.
            with nullcontext() if stream is None else torch.cuda.stream(stream):
                yield
        finally:
            self._free.put(stream)

    def narrow(self) -> None:
        """Close all lanes but one, each when its batch is through.

        For a device without memory for two batches. The caller must not be in a lane.
        """
        with self._guard:
            while self._count > 1:
                self._free.get()
                self._count -= 1


def lanes_of(device: torch.device) -> Lanes:
    """Open the lanes of a device, to which the weights were moved before."""
    if device.type == "cpu":
        return Lanes(())
    if device.type != "cuda":
        return Lanes((None,))
    # Copies on the default stream, those of the weights, are not waited for by others.
    torch.cuda.synchronize(device)
    make_stream: Any = torch.cuda.Stream  # which torch leaves untyped
    return Lanes([make_stream(device) for _ in range(_ON_CUDA)])
