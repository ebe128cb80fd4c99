"""The only place that knows Dask: blocks become tasks, receipts come back.

A task is a plain function of a plan and a block index. Nothing but receipts crosses
between processes, and only a few tasks per worker are ever known to the scheduler, so
its memory does not grow with the scene.
"""

from __future__ import annotations

import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from geoseg.errors import (
    BlocksFailedError,
    GeosegError,
    ModelError,
    OutputError,
    RunInterruptedError,
)

if TYPE_CHECKING:
    from distributed import Client

__all__ = [
    "Failure",
    "failures_error",
    "local_client",
    "map_bounded",
    "portless_scheduler",
    "quiet_logs",
]

_log = logging.getLogger(__name__)
_LOGS: Final = ("distributed", "asyncio", "tornado")
_AHEAD_PER_WORKER: Final = 2
_RETRIES: Final = 2
_BACKOFF_S: Final = 0.5
_LISTED_FAILURES: Final = 5
# Trying again cannot help: the same file is damaged, the same disk full, the user said stop.
_FINAL_ERRORS: Final = (ModelError, OutputError, RunInterruptedError)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """An item that failed at every try."""

    item: object
    error: Exception


@contextmanager
def local_client(workers: int) -> Iterator[Client]:
    """Yield a client of an in-process cluster with ``workers`` threads; no port is opened."""
    import dask  # noqa: PLC0415 - 0.4 s with distributed
    from distributed import Client, Scheduler, SpecCluster, Worker  # noqa: PLC0415

    quiet = {
        "distributed.scheduler.work-stealing": False,
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.limit": "1h",
    }
    worker = {
        "cls": _portless(Worker),
        "options": {"nthreads": workers, "memory_limit": 0, "protocol": "inproc://"},
    }
    with (
        # Long numpy and torch calls hold the interpreter for a moment; that is no fault.
        quiet_logs(),
        # Else an empty dask-scratch-space stays behind in the temporary folder.
        tempfile.TemporaryDirectory(prefix="geoseg-dask-") as scratch,
        dask.config.set({**quiet, "temporary-directory": scratch}),
        SpecCluster(
            scheduler={"cls": _portless(Scheduler), "options": {"protocol": "inproc://"}},
            workers={0: worker},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Keep what Dask and its event loop log away from the terminal.

    What goes wrong in a task comes back as an error, and what the loop finds of a cluster that
    closes while a block still runs is no fault.
    """
    # Of a machine without a way to other networks; all that is meant is its own name.
    warnings.filterwarnings("ignore", "Couldn't detect a suitable IP address", RuntimeWarning)
    before = {name: logging.getLogger(name).level for name in _LOGS}
    for name in before:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def portless_scheduler() -> type[Any]:
    """Return Dask's scheduler without its HTTP server."""
    from distributed import Scheduler  # noqa: PLC0415 - 0.4 s

    return _portless(Scheduler)


def _portless(kind: type[Any]) -> type[Any]:
    """Return a scheduler or worker class without its HTTP server.

    ``dashboard_address=None`` still listens: the scheduler on port 8787, where a second
    run warns about the first, and the worker on all interfaces.
    """
    return type(kind.__name__, (kind,), {"start_http_server": lambda *_, **__: None})


def map_bounded(
    client: Client,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int,
) -> Iterator[tuple[Item, Result | Failure]]:
    """Yield (item, result) as they finish, with a bounded number of tasks submitted.

    An item that raises is tried again twice, with a growing pause; then it is yielded
    with a ``Failure``. An error that trying again cannot mend is raised at once.
    """
    from distributed import as_completed  # noqa: PLC0415

    running: dict[object, tuple[Item, int]] = {}
    done = as_completed()

    def submit(item: Item, attempt: int) -> None:
        future = client.submit(_attempt, function, item, attempt, pure=False)
        running[future.key] = (item, attempt)
        done.add(future)

    queue = iter(items)
    for item in islice(queue, workers * _AHEAD_PER_WORKER):
        submit(item, 0)
    for future in done:
        item, attempt = running.pop(future.key)
        error = future.exception() if future.status == "error" else None
        if error is not None and _worth_another_try(error, attempt):
            _log.info("block %s failed (%s); trying again", item, error)
            submit(item, attempt + 1)
            continue
        yield item, future.result() if error is None else Failure(item, error)
        for fresh in islice(queue, 1):
            submit(fresh, 0)


def _worth_another_try(error: Exception, attempt: int) -> bool:
    """Tell whether to try again; raise what ends the whole run."""
    if isinstance(error, _FINAL_ERRORS):
        raise error
    if attempt < _RETRIES:
        return True
    if not isinstance(error, GeosegError):
        _log.error("a block failed unexpectedly", exc_info=error)
    return False


def _attempt(function: Callable[[Item], Result], item: Item, attempt: int) -> Result:
    if attempt:
        time.sleep(_BACKOFF_S * 2 ** (attempt - 1))
    try:
        return function(item)
    except GeosegError as error:
        # rasterio's errors cannot be unpickled (their args are read-only): with one as a
        # cause, distributed would hand back a plain Exception instead of ours.
        _log.debug("block %s", item, exc_info=error)
        error.__cause__ = error.__context__ = None
        raise


def failures_error(failures: Sequence[Failure], n_blocks: int) -> BlocksFailedError:
    """Return the error that lists the blocks that failed at every try."""
    listed = "; ".join(f"block {f.item} ({f.error})" for f in failures[:_LISTED_FAILURES])
    more = len(failures) - _LISTED_FAILURES
    msg = f"{len(failures)} of {n_blocks} blocks failed: {listed}"
    return BlocksFailedError(
        msg + (f"; and {more} more" if more > 0 else ""),
        hint="Finished blocks are kept: mend the cause and repeat the same command.",
    )
