"""Stages in threads: order, errors, early ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from geoseg.vector.background import ahead, fan_out

if TYPE_CHECKING:
    from collections.abc import Iterator


def no_new_threads(before: set[threading.Thread]) -> bool:
    """Tell whether all threads of geoseg that a test started have ended.

    Tests before it in this process may have left one that waits for its error to be forgotten.
    """
    now = {thread for thread in threading.enumerate() if thread.name.startswith("geoseg")}
    return not now - before


def failing_after(count: int) -> Iterator[int]:
    yield from range(count)
    msg = "no more"
    raise OSError(msg)


def test_ahead_keeps_order() -> None:
    assert list(ahead(range(100), depth=3)) == list(range(100))


def test_ahead_raises_after_the_good_items() -> None:
    before = set(threading.enumerate())
    seen = []
    with pytest.raises(OSError, match="no more"):
        seen.extend(ahead(failing_after(3)))
    for item in (items := ahead(iter(range(10**9)))):
        if item == 5:
            break
    items.close()
    assert no_new_threads(before)


def test_fan_out_gives_every_item_to_all() -> None:
    first: list[int] = []
    second: list[int] = []
    fan_out(range(50), [first.extend, second.extend])
    assert first == second == list(range(50))


def test_fan_out_raises_the_error_of_the_source() -> None:
    with pytest.raises(OSError, match="no more"):
        fan_out(failing_after(3), [list, list])


def test_fan_out_raises_the_error_of_a_consumer() -> None:
    before = set(threading.enumerate())

    def consumer(items: Iterator[int]) -> None:
        next(items)
        msg = "full"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="full"):
        fan_out(iter(range(1000)), [list, consumer])
    assert no_new_threads(before)
