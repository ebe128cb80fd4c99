"""One scene of a batch as its client sees it: which tasks come next, what they brought.

A scene is planned by a worker, its blocks are mapped, its files are made in parts, described
by a last task, and then given their names by the client. Nothing here knows of workers.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from geoseg.grid.tiling import BlockIndex
from geoseg.redact import shown_address
from geoseg.run.allowed import AllowedRoots
from geoseg.run.device_limits import DeviceLimits, FoundLimits
from geoseg.run.place import SceneHome
from geoseg.run.plan import RunPlan
from geoseg.run.report import RunTotals, added, total
from geoseg.run.scene_job import SceneJob, SceneOutcome, SceneState
from geoseg.run.scene_tasks import (
    BlockMade,
    Part,
    PartMade,
    Planned,
    SceneMade,
    make_part,
    make_scene,
    make_whole,
    map_block,
    parts_of,
    plan_scene,
)

__all__ = ["SceneWork", "Task", "utc_now", "waiting_outcome"]

Step = Literal["plan", "block", "part", "describe"]


@dataclass(frozen=True, slots=True)
class Task:
    """Something for a worker to do."""

    number: int
    """Of the scene, in the order of the batch."""
    step: Step
    """What kind of thing."""
    item: BlockIndex | Part | None = None
    """Which block or part."""

    def __str__(self) -> str:
        """Return it as messages name it."""
        return self.step if self.item is None else f"{self.step} {self.item}"


def utc_now() -> str:
    """Return the time as the ledger keeps it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def waiting_outcome(job: SceneJob) -> SceneOutcome:
    """Return what is known of a scene that nobody has begun."""
    return SceneOutcome(
        scene_id=job.scene_id, scene=shown_address(job.address), state="waiting", at=utc_now()
    )


class SceneWork:
    """The tasks of one scene."""

    def __init__(
        self,
        number: int,
        job: SceneJob,
        home: SceneHome,
        roots: AllowedRoots,
        *,
        use_measured: bool,
        attempt: str,
    ) -> None:
        """Begin with the plan.

        Args:
            number: Place in the batch; older scenes go first.
            job: What to do.
            home: Where the results go.
            roots: Where the files behind the scene may lie.
            use_measured: Follow what ``geoseg tune`` has found on this machine.
            attempt: Names the folder that this session's files are made in.
        """
        self.number, self.job, self.home = number, job, home
        self._roots, self._use_measured, self._attempt = roots, use_measured, attempt
        self._todo: deque[Task] = deque([Task(number, "plan")])
        self._running = 0
        self._plan: RunPlan | None = None
        self._totals: RunTotals | None = None
        self._limits: FoundLimits | None = None
        self._parts: dict[Part, PartMade | None] = {}
        self._made: SceneMade | None = None
        self._start_s: float | None = None
        self._warnings: list[str] = []
        self._held = ExitStack()
        self.is_kept = False
        self.retries = 0
        self.blocks = self.blocks_done = 0

    @property
    def running(self) -> int:
        """Tasks that were handed out."""
        return self._running

    @property
    def waiting(self) -> int:
        """Tasks that could be handed out now."""
        return len(self._todo)

    @property
    def is_made(self) -> bool:
        """True where all files wait for their names."""
        return self._made is not None

    @property
    def px_done(self) -> int:
        """Pixels of the result so far."""
        return 0 if self._totals is None else self._totals.output_px

    def next(self) -> Task:
        """Hand out a task."""
        self._running += 1
        return self._todo.popleft()

    def again(self, task: Task) -> None:
        """Take a task back, to be handed out first."""
        self._running -= 1
        self._todo.appendleft(task)

    def call(self, task: Task) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Return the function of a task and its arguments behind the ``WorkerContext``."""
        plan, home = self._plan, self.home
        if task.step == "plan" or plan is None:
            return partial(plan_scene, use_measured=self._use_measured), (
                self.job,
                home,
                self._roots,
            )
        if task.step == "block":
            return map_block, (plan, home, task.item)
        if task.step == "part":
            return make_part, (plan, home, self._attempt, task.item)
        parts = tuple(part for part in self._parts.values() if part is not None)
        limits = self._limits or DeviceLimits(plan.batch_size).found()
        known = plan, home, self._attempt, self._totals, limits
        if not parts:
            return make_whole, (*known, self.elapsed_s)
        return make_scene, (*known, parts, self.elapsed_s)

    def took(self, task: Task, result: Any) -> tuple[str, ...]:  # noqa: ANN401 - by step
        """Take what a task brought; return what the user should know.

        Raises:
            OutputError: The scene's place cannot be written, or is somebody else's.
        """
        self._running -= 1
        news: tuple[str, ...] = ()
        if task.step == "plan":
            news = self._planned(result)
        elif task.step == "block":
            news = self._mapped(result)
        elif task.step == "part":
            self._parts[str(task.item)] = result
        else:
            self._made = result
        self._warnings += news
        self._advance()
        return news

    def _planned(self, found: Planned) -> tuple[str, ...]:
        self._start_s = time.monotonic()
        self._totals = found.totals
        if found.is_finished:
            if found.has_rest:
                with self.home.locked():
                    self.home.clear()
            self.is_kept = True
            return ()
        self._held.enter_context(self.home.locked())
        # The root's settings are the same from night to night. Pieces of others are those of an
        # input that was replaced, or of another geoseg: nobody will continue them.
        plan = found.plan.with_layout(self.home.open(found.key, discard=True))
        blocks = plan.blocks()
        self._plan = replace(plan, warnings=())
        self._todo.extend(
            Task(self.number, "block", block) for block in blocks if block not in found.done
        )
        self.blocks, self.blocks_done = len(blocks), len(found.done)
        return plan.warnings

    def _mapped(self, found: BlockMade) -> tuple[str, ...]:
        n_classes = len(found.receipt.class_px)
        here = total([found.receipt], n_classes)
        self._totals = here if self._totals is None else added(self._totals, here)
        self._limits = found.limits.lowest(self._limits)
        self.blocks_done += 1
        return found.warnings

    def _advance(self) -> None:
        """Hand out the next step when the one before is over."""
        if self._todo or self._running or self._plan is None or self._made is not None:
            return
        if not self._parts:
            self._parts = dict.fromkeys(parts_of(self._plan, self.home))
            self._todo.extend(Task(self.number, "part", part) for part in self._parts)
        if not self._todo and None not in self._parts.values():
            self._todo.append(Task(self.number, "describe"))

    def publish(self) -> None:
        """Give the files their names; may be called from another thread.

        Raises:
            OutputError: They cannot be moved.
        """
        if self._made is not None:
            self.home.publish(self._attempt, self._made.names)

    def close(self) -> None:
        """Let go of the scene's folder."""
        self._held.close()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the plan was there."""
        return 0.0 if self._start_s is None else time.monotonic() - self._start_s

    def outcome(self, state: SceneState) -> SceneOutcome:
        """Return what is known of the scene."""
        made, totals = self._made, self._totals
        return SceneOutcome(
            scene_id=self.job.scene_id,
            scene=shown_address(self.job.address),
            state=state,
            at=utc_now(),
            blocks=self.blocks,
            blocks_done=self.blocks_done,
            output_px=self.px_done,
            valid_px=0 if made is None else made.valid_px,
            elapsed_s=round(self.elapsed_s, 3),
            worker_s=0.0 if totals is None else round(sum(totals.stage_s.values()), 3),
            retries=self.retries,
            bbox=None if made is None else made.bbox,
            acquired=None if made is None else made.acquired,
            class_px=() if made is None else made.class_px,
            n_polygons=None if made is None else made.n_polygons,
            warnings=tuple(dict.fromkeys(self._warnings)),
        )
