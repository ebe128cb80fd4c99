"""A batch on paper: real scenes' plans and tasks, workers that only say what they brought.

What a worker answers is decided by the test, down to the order; nothing is computed, so that
hundreds of batches pass in a second.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geoseg.grid.tiling import BlockIndex
from geoseg.options import RunOptions
from geoseg.run.allowed import AllowedRoots
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.finish import PolygonResult
from geoseg.run.fleet import Arrival
from geoseg.run.plan import RunPlan
from geoseg.run.report import total
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_tasks import BlockMade, PartMade, Planned, SceneMade
from geoseg.run.scene_work import SceneWork, Task
from geoseg.run.store import Receipt, RunStore, StoreKey

CLASS_NAMES = ("a", "b", "c")


class PaperHome:
    """Place of a scene that remembers what was asked of it."""

    is_shared = True

    def __init__(self, scene_id: str) -> None:
        self.scene_id = self.address = scene_id
        self.published: list[tuple[str, ...]] = []
        self.holders = 0
        self.error_of_open: Exception | None = None
        self.error_of_publish: Exception | None = None

    def open(self, key: StoreKey, *, discard: bool) -> tuple[int, int]:
        if self.error_of_open is not None:
            raise self.error_of_open
        return key.layout

    def store(self, scratch: Path, attempt: str = "") -> RunStore:
        raise AssertionError

    def publish(self, attempt: str, names: tuple[str, ...]) -> None:
        assert self.holders == 1, "published by a client that does not hold the scene"
        if self.error_of_publish is not None:
            raise self.error_of_publish
        self.published.append(tuple(names))

    @contextmanager
    def locked(self) -> Iterator[None]:
        self.holders += 1
        try:
            yield
        finally:
            self.holders -= 1


def receipt(block: BlockIndex, *, px: int = 10) -> Receipt:
    """Return what is known of a block: half of it is valid, all of the first class."""
    return Receipt(
        row=block.row, col=block.col, empty=False, class_px=(px // 2, 0, 0), block_px=px,
        windows=1, forwarded_px=px,
    )  # fmt: skip


def planned(plan: RunPlan, *, done: frozenset[BlockIndex] = frozenset()) -> Planned:
    return Planned(
        plan=plan,
        key=StoreKey(plan.identity(), plan.digest, plan.layout),
        done=done,
        totals=total([receipt(block) for block in done], len(CLASS_NAMES)),
        is_finished=False,
        has_rest=False,
    )


def brought(plan: RunPlan, task: Task) -> object:
    """Return what a worker brings that did its task."""
    if task.step == "plan":
        return planned(plan)
    if task.step == "block":
        assert isinstance(task.item, BlockIndex)
        return BlockMade(receipt=receipt(task.item), warnings=(), limits=DeviceLimits(1).found())
    if task.step == "part":
        nothing = PolygonResult(files={}, summary=None, class_px=None)
        return PartMade(rasters=("classes",), polygons=nothing, seconds=0.5)
    return SceneMade(
        names=("classes.tif", "run.json"), valid_px=5, class_px=tuple((n, 1) for n in CLASS_NAMES),
        n_polygons=3, bbox=(1.0, 2.0, 3.0, 4.0), acquired=None,
    )  # fmt: skip


def scene_work(number: int, home: PaperHome, address: str | None = None) -> SceneWork:
    options = RunOptions(scene=address or f"{home.scene_id}.tif")
    job = SceneJob(scene_id=home.scene_id, options=options)
    return SceneWork(number, job, home, AllowedRoots(), use_measured=False, attempt="1")


Answer = Callable[[Task, int], Exception | None]
"""(task, how often it was answered before) -> the error that it ends with, or None."""


@dataclass
class PaperFleet:
    """Workers that end one task at a time, in a seeded order; the interface is ``Fleet``'s."""

    plan: RunPlan
    answer: Answer = lambda _task, _nth: None
    seed: int = 0
    threads: int = 3
    watch: Callable[[Task], None] = lambda _task: None
    """Called with each task that is submitted."""
    brings: Callable[[RunPlan, Task], object] = brought
    running: dict[Task, int] = field(default_factory=dict)
    submitted: Counter[Task] = field(default_factory=Counter)
    done: Counter[Task] = field(default_factory=Counter)
    most: int = 0
    workers: tuple[str, ...] = ("paper://1",)
    patience_s: float = 600.0
    news: list[bool] = field(default_factory=list)
    """What the next looks answer: whether workers have come."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @property
    def in_flight(self) -> int:
        return len(self.running)

    @property
    def keys(self) -> list[Task]:
        return list(self.running)

    def look(self, wanted: int) -> bool:
        return self.news.pop(0) if self.news else False

    def submit(self, key: Task, function: Any, args: tuple[Any, ...], *, priority: int = 0) -> None:
        assert key not in self.running, f"{key} is in flight already"
        assert not self.done[key], f"{key} is done already"
        assert priority == -key.number
        self.watch(key)
        self.running[key] = self.submitted[key]
        self.submitted[key] += 1
        self.most = max(self.most, self.in_flight)

    def arrivals(self, timeout_s: float) -> list[Arrival]:
        if not self.running:
            time.sleep(min(timeout_s, 0.001))
            return []
        key = self._random.choice(list(self.running))
        error = self.answer(key, self.running.pop(key))
        if error is not None:
            return [Arrival(key, None, error)]
        self.done[key] += 1
        return [Arrival(key, self.brings(self.plan, key), None)]

    def forget(self, keys: set[object]) -> None:
        for key in [k for k in self.running if k in keys]:
            del self.running[key]
