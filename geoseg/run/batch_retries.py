"""Which tasks of a batch are tried again, and when; which ones their scenes are given up for."""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Final

from geoseg.errors import (
    BatchInterruptedError,
    ClusterError,
    GeosegError,
    MismatchError,
    ModelError,
    OutputError,
    SceneError,
    StoreError,
    WorkerDiedError,
)
from geoseg.run.addresses import is_path
from geoseg.run.fleet import LostWorkError
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_work import Task

__all__ = ["Retries", "is_full"]

_log = logging.getLogger(__name__)
_BACKOFF_S: Final = 1.0
_LONGEST_BACKOFF_S: Final = 60.0
_MOST_LOSSES: Final = 50
"""Times that one task may be lost with its worker before something else must be wrong."""
_MOST_DEATHS: Final = 4
_DEATH_HINT: Final = "Did they run out of memory? Try --threads 1, or a smaller --block-px."
_FULL_ERRNOS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
)


class Retries:
    """What went wrong with tasks so far, and those that wait for another try."""

    def __init__(self, most: int) -> None:
        """Begin with nothing.

        Args:
            most: How often a task is tried again.
        """
        self._most = most
        self._attempts: Counter[Task] = Counter()
        self._losses: Counter[Task] = Counter()
        self._deaths: Counter[Task] = Counter()
        self._suspects: deque[Task] = deque()
        self._suspect: Task | None = None
        self._later: list[tuple[float, int, Task]] = []
        self._order = itertools.count()

    def due(self) -> Iterator[Task]:
        """Take out the tasks that have waited long enough."""
        while self._later and self._later[0][0] <= time.monotonic():
            yield heapq.heappop(self._later)[2]

    def due_in_s(self) -> float | None:
        """Return the seconds until the next task has waited long enough; None without one."""
        return self._later[0][0] - time.monotonic() if self._later else None

    def next_suspect(self, is_open: Callable[[Task], bool]) -> Task | None:
        """Return a task over which workers have died, to be tried alone among its kind.

        So what merely ran beside the culprit ends well, and is not taken for another one.

        Args:
            is_open: Tells whether a task's scene is still worked on.
        """
        while self._suspect is None and self._suspects:
            task = self._suspects.popleft()
            if is_open(task):
                self._suspect = task
                return task
        return None

    def ended(self, task: Task) -> None:
        """Note that a task has come back, whatever became of it."""
        if task == self._suspect:
            self._suspect = None

    def succeeded(self, task: Task) -> None:
        """Forget that a task had to be tried again."""
        self._attempts.pop(task, None)

    def forget_scene(self, number: int) -> None:
        """Wait no longer for the suspect of a scene that was given up."""
        if self._suspect is not None and self._suspect.number == number:
            self._suspect = None

    def failed(self, task: Task, job: SceneJob, error: BaseException) -> BaseException | None:
        """Decide what an error of a task means.

        Returns:
            What its scene is given up for; None where the task is tried again.

        Raises:
            BatchInterruptedError: It is no fault of the scene, and the next one would meet it.
            ClusterError: A worker is unfit.
        """
        if isinstance(error, LostWorkError):
            self._lost(task, job)
            return None
        if isinstance(error, ClusterError):
            raise error
        if isinstance(error, WorkerDiedError):
            return self._died(task)
        self._attempts[task] += 1
        tried = self._attempts[task]
        if tried <= self._most and _may_mend(error, job.address):
            _log.info("%s of %s failed (%s); trying again", task, job.scene_id, error)
            self._put_off(task, tried)
            return None
        if isinstance(error, StoreError) or (
            isinstance(error, OutputError) and task.step != "plan"
        ):
            # A full disk, or a bucket that takes nothing, is no fault of the scene. What a plan
            # finds in the place of its scene is: others' files, or no leave to write.
            raise BatchInterruptedError(str(error), hint=error.hint) from error
        return error

    def _lost(self, task: Task, job: SceneJob) -> None:
        self._losses[task] += 1
        if self._losses[task] > _MOST_LOSSES:
            msg = f"{task} of {job.scene_id} was lost with its worker {_MOST_LOSSES} times"
            raise BatchInterruptedError(msg, hint="Look at the workers' logs.")
        self._put_off(task, 0)

    def _died(self, task: Task) -> WorkerDiedError | None:
        """Try a task again that a worker died over; give its scene up where they all do."""
        self._deaths[task] += 1
        deaths = self._deaths[task]
        if deaths >= _MOST_DEATHS:
            msg = f"{deaths} workers died over it, one after the other"
            return WorkerDiedError(msg, hint=_DEATH_HINT)
        if deaths > 1:
            self._suspects.append(task)
        else:
            self._put_off(task, 0)
        return None

    def _put_off(self, task: Task, tried: int) -> None:
        """Keep a task until a growing while has passed."""
        wait_s = min(_BACKOFF_S * 2 ** (tried - 1), _LONGEST_BACKOFF_S) if tried else 0.0
        heapq.heappush(self._later, (time.monotonic() + wait_s, next(self._order), task))


def is_full(error: GeosegError) -> bool:
    """Tell whether a disk or quota is full, or no file may be opened: no fault of the scene."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL_ERRNOS


def _may_mend(error: BaseException, address: str) -> bool:
    """Tell whether it can help to try again.

    A scene that does not fit, or a damaged model, stays so; a read, a write, or a worker that
    died may go better, and so may a server that has not shown the scene's header.
    """
    is_of_header = type(error) is SceneError and is_path(address)
    return not (is_of_header or isinstance(error, ModelError | MismatchError))
