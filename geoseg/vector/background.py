"""Let stages of a stream overlap: one thread each, bounded queues between them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Full, Queue
from typing import Any, TypeVar

__all__ = ["ahead", "fan_out"]

_Item = TypeVar("_Item")
_END = object()


def ahead(items: Iterable[_Item], *, depth: int = 1) -> Iterator[_Item]:
    """Yield the items while a thread makes the next ``depth`` of them.

    An error of the iterable is raised where its item would have come. A consumer that
    stops early ends the thread at the next item.
    """
    queue: Queue[object] = Queue(depth)
    closed = threading.Event()
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                queue.put(item)
                if closed.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again by the consumer
            failure.append(error)
        finally:
            queue.put(_END)

    thread = threading.Thread(target=produce, name="geoseg-ahead", daemon=True)
    thread.start()
    try:
        yield from _until_end(queue)
    finally:
        closed.set()
        while thread.is_alive():
            _discard(queue)
            thread.join(timeout=0.01)
    if failure:
        raise failure[0]


def fan_out(
    items: Iterable[_Item],
    consumers: Sequence[Callable[[Iterator[_Item]], None]],
    *,
    depth: int = 2,
) -> None:
    """Hand every item to every consumer, each in a thread of its own.

    The first error, of the iterable or of a consumer, ends all and is raised; the other
    consumers then see their stream break off with a RuntimeError.
    """
    queues: list[Queue[object]] = [Queue(depth) for _ in consumers]
    failures: list[BaseException] = []
    threads = [
        threading.Thread(target=_consume, args=(*pair, failures), name="geoseg-write", daemon=True)
        for pair in zip(consumers, queues, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        _feed(items, queues, failures)
    except BaseException as error:  # noqa: BLE001 - raised again below
        failures.insert(0, error)
    if failures:
        for queue in queues:
            _discard(queue)
            queue.put(_END)
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _feed(
    items: Iterable[object], queues: Sequence[Queue[object]], failures: list[BaseException]
) -> None:
    for item in items:
        for queue in queues:
            _put(queue, item, failures)
        if failures:
            return
    for queue in queues:
        _put(queue, _END, failures)


def _consume(
    consumer: Callable[[Iterator[_Item]], None],
    queue: Queue[object],
    failures: list[BaseException],
) -> None:
    def stream() -> Iterator[_Item]:
        yield from _until_end(queue)
        if failures:
            msg = "the stream broke off"
            raise RuntimeError(msg)

    try:
        consumer(stream())
    except BaseException as error:  # noqa: BLE001 - raised again by the feeder
        failures.append(error)


def _put(queue: Queue[object], item: object, failures: list[BaseException]) -> None:
    """Wait for room in the queue, but not once something has failed."""
    while not failures:
        with contextlib.suppress(Full):
            queue.put(item, timeout=0.1)
            return


def _until_end(queue: Queue[Any]) -> Iterator[Any]:
    while (item := queue.get()) is not _END:
        yield item


def _discard(queue: Queue[object]) -> None:
    while not queue.empty():
        queue.get()
