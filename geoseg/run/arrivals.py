"""Finished blocks, for a thread that needs them in its own order."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from geoseg.errors import RunInterruptedError
from geoseg.grid.tiling import BlockIndex

__all__ = ["Arrivals"]


class Arrivals:
    """Which blocks are in the run store; others wait for them."""

    def __init__(self, blocks: Iterable[BlockIndex]) -> None:
        """Start with the blocks that were there before."""
        self._there = set(blocks)
        self._ended = False
        self._changed = threading.Condition()

    def add(self, block: BlockIndex) -> None:
        """Tell that a block was committed."""
        with self._changed:
            self._there.add(block)
            self._changed.notify_all()

    def end(self) -> None:
        """Tell that the run is over: who asks for a block from now on gives up."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait(self, block: BlockIndex) -> None:
        """Return when a block is there.

        Raises:
            RunInterruptedError: The run is over.
        """
        with self._changed:
            self._changed.wait_for(lambda: block in self._there or self._ended)
            if self._ended:
                msg = "stopped between two blocks"
                raise RunInterruptedError(msg)
