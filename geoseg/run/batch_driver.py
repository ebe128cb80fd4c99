"""The client's loop over the scenes of a batch: oldest first, no worker idle, no end in sight.

A few tasks more than the workers have threads are out at a time. When the oldest scenes have
none left, the next one is planned, so that its blocks fill the devices while files are made.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from geoseg.errors import (
    BatchInterruptedError,
    ClusterError,
    GeosegError,
    OutputError,
    ScenesFailedError,
    StoreError,
    TaskTimeoutError,
    TimeUpError,
)
from geoseg.redact import without_secrets
from geoseg.run.batch_retries import Retries, is_full
from geoseg.run.fleet import Arrival, Fleet, LostWorkError
from geoseg.run.scene_job import SceneJob, SceneOutcome
from geoseg.run.scene_work import SceneWork, Task, utc_now

__all__ = ["Counts", "Driver", "Limits"]

_log = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_AHEAD_PER_THREAD: Final = 2
_LEAST_AHEAD: Final = 2
_PUBLISHERS: Final = 4
_GRACE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to give up on a task, on a scene, on the batch."""

    retries: int
    """How often a task is tried again."""
    max_failures: int | None
    """Stop when more scenes than this have failed."""
    until_s: float | None
    """Stop at this reading of the monotonic clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Where a batch stands."""

    done: int
    failed: int
    running: int
    waiting: int
    blocks: int
    """Blocks of the scenes that were planned in this session."""
    blocks_done: int
    px_done: int
    in_flight: int
    workers: int
    threads: int


class Driver:
    """Scenes, workers, and what went wrong so far."""

    def __init__(  # noqa: PLR0913 - one for each thing that is told or asked
        self,
        fleet: Fleet,
        scenes: Iterable[SceneWork],
        limits: Limits,
        *,
        n_scenes: int,
        tell: Callable[[SceneOutcome], None],
        warn: Callable[[str], None],
        tick: Callable[[Counts], None],
        welcome: Callable[[], None],
        recall: Callable[[SceneJob], SceneOutcome],
    ) -> None:
        """Take what is needed; nothing runs yet.

        Args:
            fleet: The workers.
            scenes: The work, oldest first; taken one by one.
            limits: When to give up.
            n_scenes: How many ``scenes`` will be.
            tell: Called when a scene's state changes.
            warn: Called with what the user should know.
            tick: Called about once a second.
            welcome: Called when workers have come; raises where they are unfit.
            recall: Returns what the files of a scene tell that is found finished.
        """
        self._fleet, self._limits = fleet, limits
        self._pending: Iterator[SceneWork] = iter(scenes)
        self._tell, self._warn, self._tick, self._welcome = tell, warn, tick, welcome
        self._recall = recall
        self._active: dict[int, SceneWork] = {}
        self._waiting = n_scenes
        self._retries = Retries(limits.retries)
        self._publishing: dict[Future[None], SceneWork] = {}
        self._done = self._failed = self._blocks = self._blocks_done = self._px_done = 0
        self._ticked_s = 0.0
        self._alone_since_s = time.monotonic()

    @property
    def failed(self) -> int:
        """Scenes that failed in this session."""
        return self._failed

    @property
    def has_begun(self) -> bool:
        """Whether a worker was found fit and given work."""
        return bool(self._active or self._done or self._failed)

    def run(self) -> None:
        """Work until every scene is done or has failed.

        Raises:
            BatchInterruptedError: Time is up, the disk is full, the cluster is gone.
            ScenesFailedError: More scenes failed than may fail.
            ClusterError: A worker has another geoseg, model or file system.
        """
        try:
            with ThreadPoolExecutor(_PUBLISHERS, thread_name_prefix="geoseg-publish") as pool:
                while self._step(pool):
                    pass
        finally:
            for work in self._active.values():
                work.close()

    def _step(self, pool: ThreadPoolExecutor) -> bool:
        """Hand out tasks, wait for one, take what has come; False when all is over."""
        if self._is_over():
            return False
        if self._limits.until_s is not None and time.monotonic() > self._limits.until_s:
            self._wind_up(pool)
            return False
        if self._fleet.look(self._wanted()):
            self._welcome()
        if self._has_workers():
            self._fill()
        for arrival in self._fleet.arrivals(self._patience_s()):
            self._take(arrival)
        self._take_published(pool)
        self._tick_sometimes()
        return True

    def _is_over(self) -> bool:
        return not (self._active or self._waiting)

    def _has_workers(self) -> bool:
        """Tell whether there is anybody to give work to.

        Raises:
            ClusterError: There was nobody for too long.
        """
        now_s = time.monotonic()
        if self._fleet.threads:
            self._alone_since_s = now_s
        elif now_s - self._alone_since_s > self._fleet.patience_s:
            msg = f"no worker came within {self._fleet.patience_s / 60:.0f} minutes"
            raise ClusterError(msg, hint="Look at the cluster's own queue and logs.")
        return self._fleet.threads > 0

    def _wanted(self) -> int:
        """Return how many tasks could run, were there workers for them."""
        known = sum(work.waiting + work.running for work in self._active.values())
        return known + self._waiting

    def _patience_s(self) -> float:
        due_s = self._retries.due_in_s() if self._fleet.threads else None
        wait_s = _TICK_S if due_s is None else min(max(due_s, 0.01), _TICK_S)
        return min(wait_s, 0.05) if self._publishing else wait_s

    def _fill(self) -> None:
        """Hand out tasks until the workers have enough."""
        for task in self._retries.due():
            if task.number in self._active:
                self._active[task.number].again(task)
        suspect = self._retries.next_suspect(lambda task: task.number in self._active)
        if suspect is not None:
            self._submit(self._active[suspect.number], suspect)
        most = max(self._fleet.threads * _AHEAD_PER_THREAD, _LEAST_AHEAD)
        while self._fleet.in_flight < most:
            work = next((w for w in self._active.values() if w.waiting), None) or self._opened(most)
            if work is None:
                return
            self._submit(work, work.next())

    def _submit(self, work: SceneWork, task: Task) -> None:
        function, arguments = work.call(task)
        self._fleet.submit(task, function, arguments, priority=-task.number)

    def _opened(self, most: int) -> SceneWork | None:
        """Return the next scene, unless very many are open already."""
        if len(self._active) > 2 * most:
            return None
        work = next(self._pending, None)
        if work is not None:
            self._waiting -= 1
            self._active[work.number] = work
            self._tell(work.outcome("running"))
        return work

    def _take(self, arrival: Arrival) -> None:
        task = arrival.key
        assert isinstance(task, Task)  # noqa: S101 - what was submitted
        self._retries.ended(task)
        work = self._active.get(task.number)
        if work is None:
            return
        if arrival.error is not None:
            self._take_error(work, task, arrival.error)
            return
        before = work.blocks, work.blocks_done, work.px_done
        try:
            news = work.took(task, arrival.result)
        except GeosegError as error:
            if isinstance(error, StoreError) or is_full(error):
                raise BatchInterruptedError(str(error), hint=error.hint) from error
            self._fail(work, error)
            return
        self._retries.succeeded(task)
        self._blocks += work.blocks - before[0]
        self._blocks_done += work.blocks_done - before[1]
        self._px_done += work.px_done - before[2]
        for message in news:
            self._warn(f"{work.job.scene_id}: {message}")
        if task.step == "plan":
            self._tell(work.outcome("running"))
        if work.is_kept:
            self._over(work)

    def _take_error(self, work: SceneWork, task: Task, error: BaseException) -> None:
        """Try again, later; or give the scene up."""
        reason = self._retries.failed(task, work.job, error)
        if reason is not None:
            self._fail(work, reason, task)
        elif not isinstance(error, LostWorkError):
            work.retries += 1

    def _fail(self, work: SceneWork, error: BaseException, task: Task | None = None) -> None:
        """Give a scene up; its finished blocks stay for another try."""
        if not isinstance(error, GeosegError):
            _log.error("%s failed unexpectedly", work.job.scene_id, exc_info=error)
        place = f"{task}: " if task is not None and task.step == "block" else ""
        if isinstance(error, TaskTimeoutError):
            place = f"{task} "
        kind = "" if isinstance(error, GeosegError) else f"internal error: {type(error).__name__}: "
        reason = without_secrets(" ".join(f"{place}{kind}{error}".split()))
        self._failed += 1
        number = work.number
        self._retries.forget_scene(number)
        self._drop(work)
        self._tell(work.outcome("failed").failed(utc_now(), reason, getattr(error, "hint", None)))
        self._fleet.forget({key for key in self._fleet.keys if _number(key) == number})
        most = self._limits.max_failures
        if most is not None and self._failed > most:
            msg = f"stopped after {self._failed} failed scene(s); {work.job.scene_id}: {reason}"
            raise ScenesFailedError(msg, hint="Mend the cause, then 'geoseg batch retry' goes on.")

    def _drop(self, work: SceneWork) -> None:
        """Forget a scene."""
        work.close()
        del self._active[work.number]

    def _over(self, work: SceneWork) -> None:
        self._drop(work)
        self._done += 1
        self._tell(self._recall(work.job) if work.is_kept else work.outcome("done"))

    def _take_published(self, pool: ThreadPoolExecutor) -> None:
        """Have made scenes published, and take those that are."""
        busy = {id(work) for work in self._publishing.values()}
        for work in self._active.values():
            if work.is_made and id(work) not in busy:
                self._publishing[pool.submit(work.publish)] = work
        for future in [f for f in self._publishing if f.done()]:
            work = self._publishing.pop(future)
            error = future.exception()
            if error is None:
                self._over(work)
            elif isinstance(error, OutputError):
                raise BatchInterruptedError(str(error), hint=error.hint) from error
            else:
                self._fail(work, error)

    def _tick_sometimes(self) -> None:
        if time.monotonic() - self._ticked_s >= _TICK_S:
            self._ticked_s = time.monotonic()
            self._tick(self.counts)

    @property
    def counts(self) -> Counts:
        """Where the batch stands."""
        return Counts(
            done=self._done,
            failed=self._failed,
            running=len(self._active),
            waiting=self._waiting,
            blocks=self._blocks,
            blocks_done=self._blocks_done,
            px_done=self._px_done,
            in_flight=self._fleet.in_flight,
            workers=len(self._fleet.workers),
            threads=self._fleet.threads,
        )

    def _wind_up(self, pool: ThreadPoolExecutor) -> None:
        """Take what comes in the next moments, hand out nothing, and stop.

        Raises:
            TimeUpError: Scenes are left.
        """
        until_s = time.monotonic() + _GRACE_S
        while (self._fleet.in_flight or self._publishing) and time.monotonic() < until_s:
            for arrival in self._fleet.arrivals(_TICK_S):
                if arrival.error is None:
                    self._take(arrival)
            self._take_published(pool)
        if self._is_over():
            return
        msg = f"the time is up after {self._done} scene(s)"
        raise TimeUpError(msg, hint="Repeat the same command to continue.")


def _number(key: object) -> int | None:
    return key.number if isinstance(key, Task) else None
