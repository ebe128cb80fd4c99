"""The client's loop: workers on paper that fail, vanish and answer in any order."""

from __future__ import annotations

import errno
import random
import time
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import (
    BatchInterruptedError,
    ClusterError,
    GeosegError,
    ModelError,
    OutputError,
    SceneError,
    SceneReadError,
    ScenesFailedError,
    StoreError,
    TaskTimeoutError,
    WorkerDiedError,
)
from geoseg.grid.tiling import BlockIndex
from geoseg.options import RunOptions
from geoseg.run import batch_driver, batch_retries, scene_tasks
from geoseg.run.batch_driver import Counts, Driver, Limits
from geoseg.run.fleet import Arrival, LostWorkError
from geoseg.run.plan import RunPlan, make_plan
from geoseg.run.scene_job import SceneOutcome
from geoseg.run.scene_work import SceneWork, Task
from tests.fakes import card_of
from tests.run.paper import PaperFleet, PaperHome, scene_work
from tests.scenes import texture, write_scene

STEPS = ("plan", "block", "part", "describe")
AHEAD = 2
N_BLOCKS = 6


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_retries, "_BACKOFF_S", 0.0005)
    monkeypatch.setattr(scene_tasks, "_SHARED_FROM_PX", 0)  # so that there are parts


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> RunPlan:
    """A real plan of six blocks."""
    folder = tmp_path_factory.mktemp("plan")
    scene = write_scene(folder / "scene.tif", texture((128, 192))[:1])
    model = folder / "model"
    model.mkdir()
    (model / "weights.bin").write_bytes(b"fake")
    card_of(3).write(model)
    made = make_plan(
        RunOptions(scene=str(scene), model=str(model), window_px=64, block_px=64, workers=2)
    )
    assert len(made.blocks()) == N_BLOCKS
    return made


class Told:
    """A driver over scenes on paper, and all that it told."""

    def __init__(
        self, fleet: PaperFleet, n_scenes: int, *, welcome: Callable[[], None] = lambda: None,
        address: str | None = None, **limits: Any,
    ) -> None:  # fmt: skip
        self.homes = [PaperHome(f"s{i}") for i in range(n_scenes)]
        self.address = address
        self.works: list[SceneWork] = []
        self.outcomes: list[SceneOutcome] = []
        self.warnings: list[str] = []
        self.ticks: list[Counts] = []
        self.fleet = fleet
        self.driver = Driver(
            fleet,  # type: ignore[arg-type]
            (self._opened(i) for i in range(n_scenes)),
            Limits(**{"retries": 2, "max_failures": None, "until_s": None, **limits}),
            n_scenes=n_scenes,
            tell=self.outcomes.append,
            warn=self.warnings.append,
            tick=self.ticks.append,
            welcome=welcome,
            recall=lambda job: SceneOutcome(
                scene_id=job.scene_id, scene=job.address, state="done", at="", n_polygons=7
            ),
        )

    def _opened(self, number: int) -> SceneWork:
        self.works.append(scene_work(number, self.homes[number], self.address))
        return self.works[-1]

    def run(self) -> Told:
        self.driver.run()
        return self

    @property
    def ends(self) -> dict[str, list[str]]:
        """States that a scene ended in; there must be one each."""
        found: dict[str, list[str]] = {home.scene_id: [] for home in self.homes}
        for outcome in self.outcomes:
            if outcome.state != "running":
                found[outcome.scene_id].append(outcome.state)
        return found

    def last(self, scene_id: str) -> SceneOutcome:
        return next(o for o in reversed(self.outcomes) if o.scene_id == scene_id)


def failing(task: Task, *, number: int, step: str) -> bool:
    """Whether a task is the one of a scene that does not work: of its blocks, the second."""
    item = {"block": BlockIndex(0, 1), "part": "classes"}.get(step)
    return task == Task(number, step, item)  # type: ignore[arg-type]


@given(data=st.data())
def test_every_scene_ends_once_whatever_happens(plan: RunPlan, data: st.DataObject) -> None:
    n_scenes = data.draw(st.integers(1, 6), "scenes")
    threads = data.draw(st.integers(1, 5), "threads")
    retries = data.draw(st.integers(0, 3), "retries")
    poison = data.draw(
        st.dictionaries(st.integers(0, n_scenes - 1), st.sampled_from(STEPS)), label="poison"
    )
    # Not Hypothesis' own dice: how often they are thrown depends on threads and clocks.
    dice = random.Random(data.draw(st.integers(0, 2**32 - 1), "seed"))
    loss, failure = data.draw(st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)), "rates")
    losses, failures = Counter[Task](), Counter[Task]()

    def answer(task: Task, _nth: int) -> Exception | None:
        if dice.random() < loss:
            losses[task] += 1
            return LostWorkError()
        is_poison = failing(task, number=task.number, step=poison.get(task.number, ""))
        if is_poison or (failures[task] < retries and dice.random() < failure):
            failures[task] += 1
            return dice.choice(
                [SceneReadError("cannot read"), TaskTimeoutError("took long"), ZeroDivisionError()]
            )
        return None

    fleet = PaperFleet(plan, answer, seed=dice.randrange(10**6), threads=threads)
    told = Told(fleet, n_scenes, retries=retries).run()
    assert told.ends == {f"s{i}": ["failed" if i in poison else "done"] for i in range(n_scenes)}
    assert fleet.most <= max(threads * AHEAD, 2)
    assert max(failures.values(), default=0) <= retries + 1
    assert all(count == 1 for count in fleet.done.values()), "done twice"
    assert all(fleet.submitted[t] <= 1 + losses[t] + failures[t] for t in fleet.submitted)
    for number, home in enumerate(told.homes):
        assert home.holders == 0
        assert len(home.published) == (number not in poison)
        if number not in poison:
            of_scene = [t for t in fleet.done if t.number == number]
            assert sum(t.step == "block" for t in of_scene) == N_BLOCKS
            assert told.last(home.scene_id).blocks_done == N_BLOCKS
            assert told.last(home.scene_id).retries == sum(failures[t] for t in of_scene)
    counts = told.driver.counts
    assert (counts.done, counts.failed) == (n_scenes - len(poison), len(poison))
    assert (counts.running, counts.waiting, counts.in_flight) == (0, 0, 0)
    assert counts.blocks_done == sum(t.step == "block" for t in fleet.done)


@given(seed=st.integers(0, 10**6), threads=st.integers(1, 4))
def test_the_oldest_scene_that_has_work_goes_first(plan: RunPlan, seed: int, threads: int) -> None:
    told: Told | None = None

    def watch(task: Task) -> None:
        assert told is not None
        older = [work for work in told.works if work.number < task.number]
        assert not any(work.waiting for work in older), f"{task} before its elders' work"

    fleet = PaperFleet(plan, seed=seed, threads=threads, watch=watch)
    told = Told(fleet, 5)
    told.run()
    assert set(map(tuple, told.ends.values())) == {("done",)}


def test_the_next_scene_is_begun_when_the_blocks_of_the_one_before_are_out(plan: RunPlan) -> None:
    """Else devices would idle while its last blocks are mapped and its files are made."""
    fleet = PaperFleet(plan, threads=2)
    planned_while_busy = []

    def watch(task: Task) -> None:
        if task.step == "plan" and task.number:
            planned_while_busy.append(any(k.number < task.number for k in fleet.running))

    fleet.watch = watch
    Told(fleet, 4).run()
    assert planned_while_busy == [True, True, True]


def test_of_very_many_scenes_few_are_open_at_a_time(plan: RunPlan) -> None:
    fleet = PaperFleet(plan, threads=1)
    told = Told(fleet, 40)
    most = [0]
    fleet.watch = lambda _: most.__setitem__(0, max(most[0], told.driver.counts.running))
    told.run()
    assert told.driver.counts.done == 40
    assert most[0] <= 2 * AHEAD + 1


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "error", [SceneReadError("no pixels"), ZeroDivisionError("a bug"), OSError("of the task")]
)
def test_a_poison_scene_fails_alone_with_its_reason(
    plan: RunPlan, step: str, error: Exception
) -> None:
    tries = Counter[Task]()

    def answer(task: Task, _nth: int) -> Exception | None:
        if not failing(task, number=1, step=step):
            return None
        tries[task] += 1
        return error

    told = Told(PaperFleet(plan, answer), 3).run()
    assert told.ends == {"s0": ["done"], "s1": ["failed"], "s2": ["done"]}
    assert list(tries.values()) == [3]
    failed = told.last("s1")
    assert failed.reason is not None
    assert str(error) in failed.reason
    assert failed.retries == 2
    assert ("internal error" in failed.reason) == (not isinstance(error, GeosegError))
    assert failed.reason.startswith("block ") == (step == "block")


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ("plan", "plan"),
        ("block", "block row 0, column 1"),
        ("part", "part classes"),
        ("describe",) * 2,
    ],
)
def test_a_task_that_hangs_again_and_again_fails_its_scene_alone(
    plan: RunPlan, step: str, name: str
) -> None:
    error = TaskTimeoutError("took longer than 30 m", hint="a file system?")
    fleet = PaperFleet(plan, lambda task, _: error if failing(task, number=1, step=step) else None)
    told = Told(fleet, 3).run()
    assert told.ends == {"s0": ["done"], "s1": ["failed"], "s2": ["done"]}
    failed = told.last("s1")
    assert (failed.reason, failed.hint) == (f"{name} took longer than 30 m", "a file system?")
    assert failed.retries == 2
    assert max(fleet.submitted.values()) == 3


@pytest.mark.parametrize("error", [SceneError("no raster", hint="look"), ModelError("no model")])
def test_what_stays_wrong_is_not_tried_again(plan: RunPlan, error: GeosegError) -> None:
    fleet = PaperFleet(plan, lambda task, _: error if task.number == 0 else None)
    told = Told(fleet, 2).run()
    assert told.ends == {"s0": ["failed"], "s1": ["done"]}
    assert fleet.submitted[Task(0, "plan")] == 1
    assert (told.last("s0").reason, told.last("s0").hint) == (str(error), error.hint)


def test_blocks_of_a_scene_that_failed_are_not_computed_any_more(plan: RunPlan) -> None:
    fleet = PaperFleet(plan, threads=8, seed=3)
    fleet.answer = lambda task, _: SceneError("bad") if task.step == "block" else None
    told = Told(fleet, 1).run()
    assert told.ends == {"s0": ["failed"]}
    assert not fleet.running
    assert sum(fleet.done.values()) == 1  # the plan


@pytest.mark.parametrize("step", STEPS)
def test_lost_work_is_never_held_against_a_scene(plan: RunPlan, step: str) -> None:
    """Not even without retries: a machine that goes away says nothing about the scene."""
    fleet = PaperFleet(
        plan, lambda task, n: LostWorkError() if task.step == step and n < 30 else None
    )
    told = Told(fleet, 2, retries=0).run()
    assert told.ends == {"s0": ["done"], "s1": ["done"]}
    assert told.last("s0").retries == 0


def test_work_that_is_lost_again_and_again_ends_the_batch_resumably(plan: RunPlan) -> None:
    fleet = PaperFleet(plan, lambda *_: LostWorkError())
    with pytest.raises(BatchInterruptedError, match=r"was lost with its worker 50 times") as caught:
        Told(fleet, 2).run()
    assert caught.value.hint


@pytest.mark.parametrize("step", STEPS)
def test_a_scene_that_kills_its_workers_fails_alone(plan: RunPlan, step: str) -> None:
    fleet = PaperFleet(
        plan,
        lambda task, _: WorkerDiedError("it died") if failing(task, number=0, step=step) else None,
    )
    told = Told(fleet, 2, retries=1).run()
    assert told.ends == {"s0": ["failed"], "s1": ["done"]}
    assert "4 workers died over it" in str(told.last("s0").reason)
    assert max(fleet.submitted.values()) == 4


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_of_another_version_ends_the_batch_at_once(plan: RunPlan, step: str) -> None:
    error = ClusterError("a worker has geoseg 0")
    fleet = PaperFleet(plan, lambda task, _: error if task.step == step else None)
    told = Told(fleet, 2)
    with pytest.raises(ClusterError, match="a worker has geoseg 0"):
        told.run()
    assert all(home.holders == 0 for home in told.homes)
    assert "failed" not in {o.state for o in told.outcomes}


def test_workers_are_looked_at_before_the_first_task_and_when_new_ones_come(plan: RunPlan) -> None:
    fleet = PaperFleet(plan, news=[True, False, False, True])
    seen: list[int] = []
    Told(fleet, 2, welcome=lambda: seen.append(sum(fleet.submitted.values()))).run()
    assert seen[0] == 0
    assert len(seen) == 2
    assert seen[1] > 0


def test_unfit_workers_get_no_task(plan: RunPlan) -> None:
    error = ClusterError("worker x has another model")

    def welcome() -> None:
        raise error

    fleet = PaperFleet(plan, news=[True])
    told = Told(fleet, 2, welcome=welcome)
    with pytest.raises(ClusterError, match="another model"):
        told.run()
    assert not fleet.submitted
    assert not told.driver.has_begun


@pytest.mark.parametrize(
    ("address", "tries"), [("https://host/s0.tif", 3), ("/vsis3/b/s0.tif", 3), ("s0.tif", 1)]
)
def test_a_header_is_asked_for_again_where_a_server_has_it(
    plan: RunPlan, address: str, tries: int
) -> None:
    fleet = PaperFleet(plan, lambda *_: SceneError("cannot open: HTTP response code: 503"))
    told = Told(fleet, 1, address=address).run()
    assert told.ends == {"s0": ["failed"]}
    assert fleet.submitted == {Task(0, "plan"): tries}


@pytest.mark.parametrize("where", ["worker", "client"])
def test_a_store_out_of_reach_fails_no_scene(plan: RunPlan, where: str) -> None:
    """An outage, or a hold that is lost, would fail one scene after the other."""
    error = StoreError("cannot read s3://maps/s0/run.json: SlowDown (HTTP 503)")
    fleet = PaperFleet(plan, lambda *_: error if where == "worker" else None)
    told = Told(fleet, 3)
    told.homes[0].error_of_open = error if where == "client" else None
    with pytest.raises(BatchInterruptedError, match="HTTP 503"):
        told.run()
    assert "failed" not in {outcome.state for outcome in told.outcomes}
    assert not any(home.holders for home in told.homes)


@pytest.mark.parametrize(("most", "failed"), [(0, 1), (1, 2), (3, 4)])
def test_it_stops_when_more_scenes_failed_than_may(plan: RunPlan, most: int, failed: int) -> None:
    fleet = PaperFleet(plan, lambda *_: SceneError("bad"), threads=1)
    told = Told(fleet, 9, max_failures=most)
    with pytest.raises(ScenesFailedError, match=f"stopped after {failed} failed") as caught:
        told.run()
    assert caught.value.exit_code == 3
    assert told.driver.failed == failed


def test_as_many_failures_as_may_be_stop_nothing(plan: RunPlan) -> None:
    fleet = PaperFleet(plan, lambda task, _: SceneError("bad") if task.number < 2 else None)
    told = Told(fleet, 4, max_failures=2).run()
    assert [ends[0] for ends in told.ends.values()] == ["failed", "failed", "done", "done"]


def test_when_the_time_is_up_what_runs_is_taken_and_nothing_new_begun(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 0.01
        return now_s[0]

    monkeypatch.setattr(batch_driver, "time", SimpleNamespace(monotonic=clock))
    fleet = PaperFleet(plan, threads=2)
    late: list[Task] = []
    fleet.watch = lambda task: late.append(task) if now_s[0] > 1.6 else None
    told = Told(fleet, 50, until_s=1.5)
    with pytest.raises(BatchInterruptedError, match="the time is up") as caught:
        told.run()
    assert caught.value.exit_code == 4
    assert not fleet.running, "what was out was not waited for"
    assert not late
    assert sum(fleet.done.values()) > 5
    assert told.driver.counts.blocks_done == sum(t.step == "block" for t in fleet.done)
    assert all(home.holders == 0 for home in told.homes)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_batch_that_is_done_when_the_time_is_up_is_done(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    """Its last scene is published in the time of grace, or just before the clock is read."""
    fleet = PaperFleet(plan)
    told = Told(fleet, 2, until_s=5.0)

    def clock() -> float:
        made = sum(task.step == "describe" for task in fleet.done) == 2
        over = all(told.ends.values())
        return 10.0 if (made if is_late else over) else 0.0

    monkeypatch.setattr(batch_driver, "time", SimpleNamespace(monotonic=clock))
    told.run()
    assert list(told.ends.values()) == [["done"], ["done"]]


def test_while_there_is_no_worker_the_loop_sleeps(plan: RunPlan) -> None:
    """A task that is due, as its worker was pre-empted, does not make it spin for hours."""
    fleet = PaperFleet(plan, answer=lambda task, nth: None if nth else LostWorkError())
    told = Told(fleet, 1)
    waits: list[float] = []
    arrivals = fleet.arrivals

    def watched(timeout_s: float) -> list[Arrival]:
        if fleet.threads == 0:
            waits.append(timeout_s)
            fleet.threads = 3 if len(waits) == 5 else 0
            return []
        found = arrivals(timeout_s)
        if found and not waits:
            fleet.threads = 0
        return found

    fleet.arrivals = watched  # type: ignore[method-assign]
    told.run()
    assert waits == [1.0] * 5


def test_a_task_that_never_ends_does_not_hold_up_the_end_for_ever(
    plan: RunPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_driver, "_GRACE_S", 0.05)
    fleet = PaperFleet(plan)
    fleet.arrivals = lambda timeout_s: time.sleep(min(timeout_s, 0.01)) or []  # type: ignore[method-assign]
    with pytest.raises(BatchInterruptedError, match="the time is up"):
        Told(fleet, 2, until_s=time.monotonic() + 0.05).run()
    assert fleet.running


@pytest.mark.parametrize("step", ["block", "part", "describe"])
def test_a_full_disk_of_the_workers_ends_the_batch_resumably(plan: RunPlan, step: str) -> None:
    error = OutputError("cannot write x: No space left on device", hint="make room")
    fleet = PaperFleet(plan, lambda task, _: error if task.step == step else None)
    told = Told(fleet, 3)
    with pytest.raises(BatchInterruptedError, match="No space left") as caught:
        told.run()
    assert caught.value.hint == "make room"
    assert "failed" not in {o.state for o in told.outcomes}
    assert all(home.holders == 0 for home in told.homes)
    assert max(fleet.submitted.values()) == 3


def full() -> OutputError:
    error = OutputError("cannot write plan.json: No space left on device")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    return error


@pytest.mark.parametrize("where", ["error_of_open", "error_of_publish"])
def test_a_full_disk_of_the_client_ends_the_batch_resumably(plan: RunPlan, where: str) -> None:
    told = Told(PaperFleet(plan), 3)
    for home in told.homes:
        setattr(home, where, full())
    with pytest.raises(BatchInterruptedError, match="No space left"):
        told.run()
    assert "failed" not in {o.state for o in told.outcomes}


def test_a_place_that_holds_other_results_is_the_scene_s_own_matter(plan: RunPlan) -> None:
    told = Told(PaperFleet(plan), 3)
    told.homes[1].error_of_open = OutputError("s1 holds an unfinished run with other settings")
    told.run()
    assert told.ends == {"s0": ["done"], "s1": ["failed"], "s2": ["done"]}


def test_it_says_how_far_it_is(plan: RunPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_driver, "_TICK_S", 0.0)
    told = Told(PaperFleet(plan), 4).run()
    assert len(told.ticks) > 10
    done = [tick.blocks_done for tick in told.ticks]
    assert done == sorted(done)
    assert all(t.blocks_done <= t.blocks <= 4 * N_BLOCKS for t in told.ticks)
    assert all(t.done + t.failed + t.running + t.waiting == 4 for t in told.ticks)
    assert told.ticks[-1].workers == 1
