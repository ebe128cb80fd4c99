"""What a device turned out to have room for."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from typing import Final

from geoseg.grid.window import Window

__all__ = ["DeviceLimits", "FoundLimits"]

_NO_LIMIT_PX: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLimits:
    """What was planned and what the devices held, as a run's record tells it."""

    batch_size_planned: int
    """Windows per forward pass that were asked for."""
    batch_size: int
    """Windows per forward pass that fitted."""
    largest_window_px: int | None
    """Pixels of the largest window that was tried to the end; None without a limit."""

    def lowest(self, other: FoundLimits | None) -> FoundLimits:
        """Return what both devices hold."""
        if other is None:
            return self
        windows = [x.largest_window_px for x in (self, other) if x.largest_window_px is not None]
        return FoundLimits(
            batch_size_planned=min(self.batch_size_planned, other.batch_size_planned),
            batch_size=min(self.batch_size, other.batch_size),
            largest_window_px=min(windows, default=None),
        )

    def as_json(self) -> dict[str, int | None]:
        """Return it for the run's record."""
        return asdict(self)


class DeviceLimits:
    """What the device turned out to hold, for one run in one process; it only shrinks.

    Shared by the threads that work on the run's blocks. A thread that ran out of memory says
    with which size it did, so that two of them that fail at once lower a limit once.
    """

    def __init__(self, batch_size: int) -> None:
        """Start from the plan's batch; a window may have any size until one does not fit."""
        self._guard = threading.Lock()
        self._planned = self._batch_size = batch_size
        self._window_px = _NO_LIMIT_PX
        self._untold: list[str] = []

    @property
    def batch_size(self) -> int:
        """Windows per forward pass."""
        return self._batch_size

    @property
    def window_px(self) -> int:
        """Pixels of the largest window that is still tried."""
        return self._window_px

    def halve_batch(self, failed: int) -> None:
        """Halve the batch, unless another thread has done so since ``failed`` was stacked."""
        with self._guard:
            if self._batch_size != failed or failed == 1:
                return
            self._batch_size //= 2
            self._untold.append(
                f"the device has no memory for {failed} windows at a time; "
                f"going on with {self._batch_size}"
            )

    def refuse_window(self, window: Window) -> None:
        """Try no window of that many pixels any more."""
        with self._guard:
            if window.size_px > self._window_px:
                return
            self._window_px = window.size_px - 1
            self._untold.append(
                f"the device has no memory for a window of {window.width} x {window.height} px; "
                "going on with smaller ones, which may change the map near their edges"
            )

    def news(self) -> tuple[str, ...]:
        """Return a sentence for each limit that was lowered since the last call."""
        with self._guard:
            told, self._untold = tuple(self._untold), []
            return told

    def found(self) -> FoundLimits:
        """Return what was planned and what the device held so far."""
        with self._guard:
            is_limited = self._window_px < _NO_LIMIT_PX
            return FoundLimits(
                batch_size_planned=self._planned,
                batch_size=self._batch_size,
                largest_window_px=self._window_px if is_limited else None,
            )
