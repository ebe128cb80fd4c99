"""Scenes whose place is a bucket: the workers' steps, the client's, and their ends."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from geoseg.errors import OutputError, RunInterruptedError
from geoseg.objects.bucket import Bucket, in_parallel
from geoseg.objects.lease import LeaseTimes
from geoseg.options import RunOptions
from geoseg.run import scene_tasks
from geoseg.run.allowed import AllowedRoots
from geoseg.run.bucket_home import BucketHome, BucketRoot
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.pipeline import run
from geoseg.run.place import Root, SceneHome
from geoseg.run.plan import RunPlan
from geoseg.run.report import total
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_tasks import (
    WorkerContext,
    make_whole,
    map_block,
    parts_of,
    plan_scene,
)
from geoseg.run.store import StoreKey
from tests.fakes import IdentityPredictor, card_of
from tests.faulty_proxy import FaultyProxy
from tests.scenes import texture, write_scene

pytestmark = pytest.mark.network
EXPECTED = {
    "classes.tif",
    "classes.tif.aux.xml",
    "classes.qml",
    "confidence.tif",
    "polygons.gpkg",
    "item.json",
    "run.json",
}


class Scene(NamedTuple):
    options: RunOptions
    home: BucketHome
    contexts: tuple[WorkerContext, WorkerContext]


@pytest.fixture
def scene(bucket: Bucket, tmp_path: Path, fake_model: Callable[..., str]) -> Scene:
    path = write_scene(tmp_path / "scene.tif", texture((300, 340), bands=1))
    model = fake_model(IdentityPredictor((64.0, 128.0)), card_of(3))
    options = RunOptions(scene=str(path), model=model, block_px=128, window_px=96, workers=1)
    contexts = []
    for name in ("worker 1", "worker 2"):
        (tmp_path / name).mkdir()
        contexts.append(WorkerContext(slots=1, scratch=tmp_path / name))
    return Scene(options, BucketRoot(bucket).home("scene"), (contexts[0], contexts[1]))


def planned(scene: Scene, **more: Any) -> tuple[RunPlan, StoreKey]:
    job = SceneJob(scene_id="scene", options=replace(scene.options, **more))
    found = plan_scene(
        scene.contexts[0], job, scene.home, use_measured=False, roots=AllowedRoots(())
    )
    return found.plan, found.key


def opened(scene: Scene, *, discard: bool = False, **more: Any) -> RunPlan:
    plan, key = planned(scene, **more)
    return plan.with_layout(scene.home.open(key, discard=discard))


def finish(scene: Scene, plan: RunPlan, attempt: str) -> tuple[str, ...]:
    """Do the last steps on the second worker; return the names."""
    assert parts_of(plan, scene.home) == (), "pieces would come down to more than one worker"
    totals = total(scene.home.receipts().values(), len(plan.card.legend))
    limits = DeviceLimits(1).found()
    return make_whole(scene.contexts[1], plan, scene.home, attempt, totals, limits, 1.0).names


def below(bucket: Bucket) -> set[str]:
    return {found.name for found in bucket.objects()}


def test_the_values_travel_and_fit_their_protocols(bucket: Bucket) -> None:
    root = BucketRoot(bucket)
    home = root.home("a")
    as_root: Root = root
    as_home: SceneHome = home
    assert pickle.loads(pickle.dumps(as_home)) == home
    assert pickle.loads(pickle.dumps(as_root)).address == bucket.address
    assert (home.scene_id, home.address) == ("a", f"{bucket.address}/a")
    assert BucketRoot.at("s3://maps/x").address == "s3://maps/x"


def test_a_scene_is_mapped_as_on_a_disk(scene: Scene, tmp_path: Path) -> None:
    home = pickle.loads(pickle.dumps(scene.home))
    plan = opened(scene)
    assert home.receipts() == {}
    assert home.stored_digest() == plan.digest
    blocks = plan.blocks()
    assert len(blocks) == 4
    for number, block in enumerate(blocks):
        context = scene.contexts[number % 2]
        made = map_block(context, plan, home, block)
        assert home.receipts()[block] == made.receipt
        assert list(context.scratch.iterdir()) == [], "something stays on the worker"
    assert set(home.receipts()) == set(blocks)
    assert not home.is_finished()
    names = finish(scene, plan, "first")
    assert set(names) == EXPECTED
    assert list((scene.contexts[1].scratch).iterdir()) == [], "the worker's disk is not freed"
    assert home.result_names() == [], "nothing has its name before all is there"
    home.publish("first", names)
    assert home.is_finished()
    assert set(home.result_names()) == EXPECTED
    place = scene.home.root.child("scene")
    assert below(place) == EXPECTED, "the run store is not removed"
    expected = run(replace(scene.options, out=tmp_path / "folder")).out
    for name in ("classes.tif", "confidence.tif", "polygons.gpkg", "classes.qml"):
        assert place.read(name) == (expected / name).read_bytes(), name
    record = home.record()
    assert record is not None
    assert json.loads(record)["digest"] == plan.digest


def test_a_scene_is_continued_with_the_pieces_that_are_whole(scene: Scene) -> None:
    plan = opened(scene)
    first, second, third = plan.blocks()[:3]
    for block in (first, second, third):
        map_block(scene.contexts[0], plan, scene.home, block)
    place = scene.home.root.child("scene/.geoseg/pieces")
    place.write(f"{second.name}.tif", b"shorter")
    place.write(f"{third.name}.json", b"{")
    place.delete([f"{third.name}.tif"])
    assert opened(scene) == plan
    assert set(scene.home.receipts()) == {first}
    with pytest.raises(OutputError, match=r"s3://.*other settings"):
        opened(scene, bands=("1",), nodata=3.0)
    assert set(scene.home.receipts()) == {first}
    other = opened(scene, nodata=3.0, discard=True)
    assert other.digest != plan.digest
    assert scene.home.receipts() == {}
    assert below(scene.home.root.child("scene")) == {".geoseg/plan.json"}
    # A worker that has not heard of it brings no piece of the older plan.
    with pytest.raises(RunInterruptedError, match="belongs to another run"):
        map_block(scene.contexts[0], plan, scene.home, first)
    assert scene.home.receipts() == {}


def test_a_publication_that_breaks_off_is_repeated(
    scene: Scene,
    proxy: FaultyProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = opened(scene)
    for block in plan.blocks():
        map_block(scene.contexts[0], plan, scene.home, block)
    names = finish(scene, plan, "first")
    place = scene.home.root.child("scene")
    for name in ("run.json", "scores.tif", "mine.txt"):
        place.write(name, b"of an older run")
    with pytest.raises(OutputError, match=r"lacks more\.tif"):
        scene.home.publish("first", [*names, "more.tif"])
    assert scene.home.record() == "of an older run"
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.fault = lambda chunk: "busy" if b"/polygons.gpkg HTTP" in chunk[:300] else None
    with pytest.raises(OutputError, match="HTTP 503"):
        scene.home.publish("first", names)
    assert proxy.faults
    assert not scene.home.is_finished(), "a record beside results that are not all there"
    assert set(scene.home.receipts()) == set(plan.blocks())
    proxy.fault = lambda _: None
    scene.home.publish("first", names)
    assert below(place) == {*EXPECTED, "mine.txt"}
    assert scene.home.is_finished()


def test_the_finished_among_many_scenes(
    bucket: Bucket,
    proxy: FaultyProxy,
) -> None:
    root = BucketRoot(bucket)
    ids = [f"{stem}{number:03d}" for number in range(150) for stem in ("s-", "s", "é ")]
    done = {name for name in ids if not name.endswith("7")}
    names = [f"{name}/{file}" for name in done for file in ("run.json", "classes.tif")]
    names += [f"s-007/.geoseg/pieces/r{number:05d}_c00000.json" for number in range(1100)]
    names += [f"{name}/.geoseg/run.json" for name in ids if name not in done]
    in_parallel(lambda name: bucket.write(name, b""), [*names, "s000.json", "other/run.json"])
    proxy.requests.clear()
    assert root.finished(ids) == done
    assert len(proxy.requests) <= 40, "one request for each scene"
    few = [*sorted(done)[:20], "s-007", "nothing"]
    assert root.finished(few) == set(few) & done
    assert root.finished([]) == set()


def test_the_root_keeps_small_files_and_one_client(bucket: Bucket) -> None:
    quick = LeaseTimes(renew_s=3, stale_s=1, safe_s=60, look_s=0.1)
    root, other = BucketRoot(bucket, quick), BucketRoot(bucket, quick)
    with root.locked():
        root.write_text(".batch/ledger/2.jsonl", "밤\n")
        root.write_text(".batch/ledger/1.jsonl", "")
        assert root.names(".batch/ledger") == [".batch/ledger/1.jsonl", ".batch/ledger/2.jsonl"]
        assert other.read_text(".batch/ledger/2.jsonl") == "밤\n"
        root.delete(".batch/ledger/2.jsonl")
        assert root.read_text(".batch/ledger/2.jsonl") is None
        assert root.held()
        home = root.home("scene")
        with other.locked():
            until_s = time.monotonic() + 60
            while root.held():
                assert time.monotonic() < until_s
            for work in (
                lambda: root.write_text("batch.json", "{}"),
                lambda: root.delete(".batch/ledger/1.jsonl"),
                lambda: home.publish("first", []),
                lambda: home.open(StoreKey({}, "d", (1, 1)), discard=True),
            ):
                with pytest.raises(OutputError, match="taken over"):
                    work()
    assert root.read_text("batch.json") is None
    assert root.names(".batch/ledger") == [".batch/ledger/1.jsonl"]


def test_files_that_cannot_be_made_leave_nothing_on_the_worker(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Least of all where its disk was full."""
    plan = opened(scene)
    for block in plan.blocks():
        map_block(scene.contexts[0], plan, scene.home, block)

    def full(*_: object) -> None:
        msg = "no space left"
        raise OutputError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(scene_tasks, "write_rasters", full)
        with pytest.raises(OutputError, match="no space left"):
            finish(scene, plan, "first")
    assert list(scene.contexts[1].scratch.iterdir()) == []
    assert set(finish(scene, plan, "second")) == EXPECTED
