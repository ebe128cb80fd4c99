"""Let stages of a stream overlap: one thread each, bounded queues between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Queue
from typing import TypeVar

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

    The first error, of the iterable or of a consumer, ends all and is raised; consumers
    then see their stream break off with a RuntimeError.
    """
    queues: list[Queue[object]] = [Queue(depth) for _ in consumers]
    failures: list[BaseException] = []

    def stream(queue: Queue[object]) -> Iterator[_Item]:
        yield from _until_end(queue)
        if failures:
            msg = "the stream broke off"
            raise RuntimeError(msg)

    def consume(consumer: Callable[[Iterator[_Item]], None], queue: Queue[object]) -> None:
        items = stream(queue)
        try:
            consumer(items)
        except BaseException as error:  # noqa: BLE001 - raised again by the feeder
            failures.append(error)
            for _ in _until_end(queue):  # so that the feeder never waits for it
                pass

    threads = [
        threading.Thread(target=consume, args=pair, name="geoseg-write", daemon=True)
        for pair in zip(consumers, queues, strict=True)
    ]
    for thread in threads:
        thread.start()
    try:
        _feed(items, queues, failures)
    finally:
        for queue in queues:
            queue.put(_END)
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _feed(
    items: Iterable[_Item], queues: Sequence[Queue[object]], failures: list[BaseException]
) -> None:
    try:
        for item in items:
            if failures:
                return
            for queue in queues:
                queue.put(item)
    except BaseException as error:
        failures.insert(0, error)
        raise


def _until_end(queue: Queue[object]) -> Iterator[_Item]:
    while (item := queue.get()) is not _END:
        yield item  # type: ignore[misc] - the queue also holds the end mark


def _discard(queue: Queue[object]) -> None:
    while not queue.empty():
        queue.get()
