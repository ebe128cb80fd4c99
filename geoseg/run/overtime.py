"""Calls that are waited for no longer than a limit.

No thread can be ended from outside. One that has taken too long is left to itself: it may hang
in a read that never returns, or end some day, and then nobody hears of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, Final

__all__ = ["OvertimeError", "call_within", "left_alone"]

_own: Final = threading.local()
_left: Final[list[_Hand]] = []
_guard: Final = threading.Lock()


class OvertimeError(Exception):
    """A call took longer than it may."""


class _Hand:
    """A thread that does one call after the other for the thread that it belongs to.

    It is kept from call to call, as readers keep a file open for each thread. It is a daemon
    and in no pool, so that a call that hangs does not keep its process from ending.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="geoseg-task", daemon=True)
        self._thread.start()

    @property
    def is_at_work(self) -> bool:
        """Whether the thread has not ended."""
        return self._thread.is_alive()

    def begin(self, function: Callable[[], Any]) -> Future[Any]:
        """Have a function called."""
        outcome: Future[Any] = Future()
        self._calls.put((function, outcome))
        return outcome

    def end(self) -> None:
        """End after the present call."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, outcome = call
            try:
                outcome.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                outcome.set_exception(error)
            del call, function, outcome  # nothing of a task is kept until the next one


def call_within(limit_s: float, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - as it returns
    """Return what a function returns, called in a thread beside this one.

    Args:
        limit_s: How long it may take.
        function: Without arguments.

    Raises:
        OvertimeError: It took longer; it is still at work.
        BaseException: What it raised.
    """
    hand = getattr(_own, "hand", None)
    if hand is None:
        hand = _own.hand = _Hand()
    outcome = hand.begin(function)
    wait([outcome], timeout=limit_s)
    if outcome.done():
        return outcome.result()
    del _own.hand
    hand.end()
    with _guard:
        _left.append(hand)
    raise OvertimeError


def left_alone() -> int:
    """Return how many threads of this process are still at a call that nobody waits for."""
    with _guard:
        _left[:] = [hand for hand in _left if hand.is_at_work]
        return len(_left)
