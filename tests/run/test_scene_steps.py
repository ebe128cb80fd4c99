"""The steps of a scene in a folder, one after the other as a batch takes them, with real files."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from geoseg.errors import (
    GeosegError,
    OptionError,
    RunInterruptedError,
    SceneError,
    ScenesFailedError,
)
from geoseg.options import BatchOptions, RunOptions
from geoseg.run import finish as finish_room
from geoseg.run import scene_tasks
from geoseg.run.allowed import AllowedRoots, allowed_roots
from geoseg.run.batch import _written_down, run_batch
from geoseg.run.batch_book import Book
from geoseg.run.batch_listing import list_scenes
from geoseg.run.device_limits import FoundLimits
from geoseg.run.folder_home import FolderHome, FolderRoot
from geoseg.run.manifest import Manifest
from geoseg.run.place import WorkerContext
from geoseg.run.publish import RESULT_NAMES
from geoseg.run.scene_job import SceneJob, SceneOutcome
from geoseg.run.scene_record import recorded_outcome
from geoseg.run.scene_tasks import _table_name
from geoseg.run.scene_work import SceneWork
from geoseg.run.sessions import begin_session
from tests.fakes import IdentityPredictor, card_of
from tests.scenes import texture, write_scene

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def job(tmp_path: Path, fake_model: Callable[..., str]) -> SceneJob:
    path = write_scene(tmp_path / "scene.tif", texture((200, 220), bands=1))
    model = fake_model(IdentityPredictor((64.0, 128.0)), card_of(3))
    options = RunOptions(scene=str(path), model=model, block_px=128, window_px=96, workers=1)
    return SceneJob(scene_id="scene", options=options)


@pytest.fixture
def root(tmp_path: Path) -> FolderRoot:
    return FolderRoot(tmp_path / "maps")


def with_options(job: SceneJob, **options: Any) -> SceneJob:
    return replace(job, options=replace(job.options, **options))


def home_of(root: FolderRoot, job: SceneJob) -> FolderHome:
    return root.home(job.scene_id)


def begun(root: FolderRoot, job: SceneJob) -> SceneWork:
    return SceneWork(0, job, home_of(root, job), AllowedRoots(), use_measured=False, attempt="1")


def step(work: SceneWork, scratch: Path) -> None:
    """Do one task as a worker does."""
    task = work.next()
    function, arguments = work.call(task)
    work.took(task, function(WorkerContext(slots=1, scratch=scratch), *arguments))


def mapped(root: FolderRoot, job: SceneJob) -> SceneWork:
    """Do all tasks of a scene, and publish it."""
    work = begun(root, job)
    while work.waiting:
        step(work, root.path)
    work.publish()
    work.close()
    return work


def files(root: FolderRoot) -> set[str]:
    return {path.name for path in (root.path / "scene").iterdir()}


@pytest.mark.parametrize(
    ("options", "is_kept"),
    [
        ({"formats": ("gpkg", "geojson")}, False),
        ({"confidence": False}, False),
        ({"min_area": "9px"}, False),
        ({"simplify": "0"}, False),
        ({"batch_size": 3}, True),
    ],
    ids=str,
)
def test_overwrite_keeps_only_what_would_be_the_same_files(
    root: FolderRoot, job: SceneJob, options: dict[str, Any], is_kept: bool
) -> None:
    mapped(root, job)
    again = mapped(root, with_options(job, overwrite=True, **options))
    assert again.is_kept == is_kept
    assert ("polygons.geojson" in files(root)) == ("formats" in options)
    assert ("confidence.tif" in files(root)) == options.get("confidence", True)


def test_pieces_that_a_killed_client_left_beside_a_result_go(
    root: FolderRoot, job: SceneJob
) -> None:
    mapped(root, job)
    left = root.path / "scene" / ".geoseg" / "pieces"
    left.mkdir(parents=True)
    (left / "r0000c0000.tif").write_bytes(b"a piece")
    again = mapped(root, job)
    assert again.is_kept
    assert not left.parent.exists()


def test_a_block_of_a_killed_client_commits_nothing_to_another_run(
    root: FolderRoot, job: SceneJob, tmp_path: Path
) -> None:
    """Not even that it is empty, which needs no piece."""
    path = write_scene(tmp_path / "black.tif", texture((200, 220), bands=1) * 0, nodata=0)
    job = with_options(job, scene=str(path))
    old = begun(root, job)
    step(old, root.path)
    function, arguments = old.call(old.next())
    old.close()
    new = begun(root, with_options(job, overwrite=True, seams=True))
    step(new, root.path)
    with pytest.raises(RunInterruptedError, match="belongs to another run"):
        function(WorkerContext(slots=1, scratch=root.path), *arguments)
    assert new.home.receipts() == {}
    new.close()


def test_what_is_put_aside_while_files_are_made_is_no_result(
    root: FolderRoot, job: SceneJob
) -> None:
    """A sieved map comes from a mosaic that lies beside it; a bucket would keep that, too."""
    work = begun(root, with_options(job, min_area="9px"))
    while not work.is_made:
        step(work, root.path)
    made = root.path / "scene" / ".geoseg" / "final-1"
    assert {path.name for path in made.iterdir()} <= set(RESULT_NAMES)
    work.publish()
    work.close()


def test_a_part_that_two_workers_make_at_a_time_is_whole(
    root: FolderRoot, job: SceneJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was given up goes on, beside the one that got its task."""
    mapped(root, job)
    expected = (root.path / "scene" / "polygons.gpkg").read_bytes()
    shutil.rmtree(root.path / "scene")
    work = begun(root, job)
    while True:
        task = work.next()
        function, arguments = work.call(task)
        if task.step == "describe":
            break
        work.took(task, function(WorkerContext(slots=1, scratch=root.path), *arguments))
    both = threading.Barrier(2, timeout=30)
    meeting = _meeting(finish_room.write_polygons, both)
    monkeypatch.setattr(finish_room, "write_polygons", meeting)
    with ThreadPoolExecutor(2) as pool:
        tries = [
            pool.submit(function, WorkerContext(slots=1, scratch=root.path), *arguments)
            for _ in range(2)
        ]
        made = [one.result() for one in tries]
    work.took(task, made[0])
    work.publish()
    work.close()
    assert (root.path / "scene" / "polygons.gpkg").read_bytes() == expected
    assert ".geoseg" not in files(root)


@pytest.mark.parametrize("step_that_hung", ["block", "describe"])
def test_a_try_that_wakes_up_after_its_scene_is_published_leaves_nothing(
    root: FolderRoot, job: SceneJob, monkeypatch: pytest.MonkeyPatch, step_that_hung: str
) -> None:
    """It was taken back when it had begun, and its thread could not be ended."""
    asleep, wake = threading.Event(), threading.Event()
    place, name = {"block": (scene_tasks, "run_block"), "describe": (finish_room, "write_polygons")}[
        step_that_hung
    ]  # fmt: skip
    real = getattr(place, name)

    def hang(*given: Any, **named: Any) -> Any:
        if not asleep.is_set():
            asleep.set()
            assert wake.wait(30)
        return real(*given, **named)

    monkeypatch.setattr(place, name, hang)
    work = begun(root, job)
    late = None
    with ThreadPoolExecutor(1) as pool:
        while work.waiting:
            task = work.next()
            function, arguments = work.call(task)
            context = WorkerContext(slots=1, scratch=root.path)
            if task.step == step_that_hung and late is None:
                late = pool.submit(function, context, *arguments)
                assert asleep.wait(30)
            work.took(task, function(context, *arguments))
        work.publish()
        work.close()
        calm = {path: path.read_bytes() for path in (root.path / "scene").iterdir()}
        wake.set()
        assert late is not None
        assert isinstance(late.exception(30), GeosegError)
    assert {path: path.read_bytes() for path in (root.path / "scene").iterdir()} == calm


def _meeting(write: Callable[..., Any], both: threading.Barrier) -> Callable[..., Any]:
    """Return the function, begun by two threads at once."""

    def write_together(*given: Any, **named: Any) -> Any:
        both.wait()
        return write(*given, **named)

    return write_together


def test_a_header_that_claims_a_continent_of_pixels_is_refused(
    root: FolderRoot, job: SceneJob, tmp_path: Path
) -> None:
    """Its blocks alone would fill the client's memory, and stop all other scenes."""
    path = tmp_path / "vast.vrt"
    path.write_text(
        '<VRTDataset rasterXSize="2000000000" rasterYSize="2000000000">'
        "<GeoTransform>0, 0.3, 0, 0, 0, -0.3</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{job.address}</SourceFilename><SourceBand>1</SourceBand>"
        '<SrcRect xOff="0" yOff="0" xSize="200" ySize="200"/>'
        '<DstRect xOff="0" yOff="0" xSize="200" ySize="200"/>'
        "</SimpleSource></VRTRasterBand></VRTDataset>"
    )
    work = begun(root, with_options(job, scene=str(path)))
    with pytest.raises(SceneError, match=r"which are [\d,]+ blocks, expected at most"):
        step(work, root.path)
    assert not root.path.exists()


def test_scenes_do_not_share_a_table(root: FolderRoot, job: SceneJob, tmp_path: Path) -> None:
    database = "postgresql://me@127.0.0.1:9/maps"
    names = [
        _table_name(replace(with_options(job, postgis=database, table=table), scene_id=scene_id))
        for scene_id, table in (("same_1", None), ("same_2.x", None), ("a", "public.cover"))
    ]
    assert names == ["same_1_polygons", "same_2_x_polygons", "public.cover"]
    assert _table_name(job) is None
    two = [write_scene(tmp_path / f"{n}.tif", texture((64, 64), bands=1)) for n in "ab"]
    options = BatchOptions(
        sources=tuple(map(str, two)),
        out=str(root.path),
        scene=replace(job.options, postgis=database, table="cover"),
    )
    with pytest.raises(OptionError, match="--table cover is one table, and there are 2 scenes"):
        run_batch(options)


def listed(root: FolderRoot, job: SceneJob, known: SceneOutcome | None, **more: Any) -> Any:
    """Return what a session makes of one scene that has a record."""
    options = BatchOptions(sources=("x",), out=str(root.path), scene=job.options, **more)
    session = begin_session(root, at=NOW, host="here", pid=1)
    book = Book(root, options, session)
    if known is not None:
        book.ledger.put(known)
    return list_scenes(root, book, options, Manifest(jobs=(job,), roots=allowed_roots(())))


@pytest.mark.parametrize(
    ("state", "done", "to_do"), [(None, 1, 0), ("done", 1, 0), ("waiting", 0, 1), ("failed", 0, 0)]
)
def test_a_record_counts_only_where_the_ledger_agrees(
    root: FolderRoot, job: SceneJob, state: Any, done: int, to_do: int
) -> None:
    """A stopped --overwrite leaves maps of the settings before, with their records."""
    mapped(root, job)
    outcome = SceneOutcome(scene_id="scene", scene=job.address, state="done", at="2026-11-20")
    found = listed(root, job, None if state is None else replace(outcome, state=state))
    assert (found.done_before, len(found.to_do)) == (done, to_do)


@pytest.mark.parametrize("is_same", [True, False])
def test_an_id_that_stood_for_another_scene_is_told(
    root: FolderRoot, job: SceneJob, is_same: bool
) -> None:
    mapped(root, job)
    address = job.address if is_same else "/archive/of/last/year.tif"
    outcome = SceneOutcome(scene_id="scene", scene=address, state="done", at="2026-11-20")
    found = listed(root, job, outcome)
    assert found.done_before == 1
    assert found.strangers == (() if is_same else (job,))


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 4), (ScenesFailedError("some"), 3), (None, 4)],
    ids=["stopped", "failed", "over"],
)
def test_how_it_ended_is_told_though_no_report_can_be_written(
    root: FolderRoot, job: SceneJob, error: BaseException | None, code: int
) -> None:
    session = begin_session(root, at=NOW, host="here", pid=1)
    options = BatchOptions(sources=("x",), out=str(root.path), scene=job.options)
    book = Book(root, options, session)
    (root.path / ".batch" / "ledger").write_text("in the way, as a full disk would be")
    book.tell(SceneOutcome(scene_id="scene", scene="x.tif", state="done", at="2026-11-20"))

    def session_ends() -> None:
        with _written_down(book):
            if error is not None:
                raise error

    with pytest.raises(GeosegError) as caught:
        session_ends()
    assert caught.value.exit_code == code


def test_what_a_scene_was_is_read_from_its_files(root: FolderRoot, job: SceneJob) -> None:
    work = mapped(root, job)
    told, found = work.outcome("done"), recorded_outcome(root, job)
    for name in ("bbox", "class_px", "valid_px", "output_px", "n_polygons", "blocks", "acquired"):
        assert getattr(found, name) == getattr(told, name), name
    assert found.bbox


@pytest.mark.parametrize("text", ["", "[]", '{"result": []}', '{"result": {"classes": [1]}}'])
def test_a_damaged_record_stops_no_batch(root: FolderRoot, job: SceneJob, text: str) -> None:
    mapped(root, job)
    record = root.path / "scene" / "run.json"
    found = json.loads(record.read_text())
    record.write_text(text if not text.startswith("{") else json.dumps(found | json.loads(text)))
    outcome = recorded_outcome(root, job)
    assert (outcome.state, outcome.scene_id) == ("done", "scene")


def test_the_record_tells_what_the_smallest_device_held(root: FolderRoot, job: SceneJob) -> None:
    """Whichever worker writes it; that one may have mapped no block of the scene."""
    lower = FoundLimits(batch_size_planned=1, batch_size=1, largest_window_px=4095)
    work = begun(root, with_options(job, batch_size=4))
    n_blocks = 0
    while work.waiting:
        task = work.next()
        function, arguments = work.call(task)
        result = function(WorkerContext(slots=1, scratch=root.path), *arguments)
        if task.step == "block":
            n_blocks += 1
            if n_blocks == 1:
                result = replace(result, limits=replace(lower, batch_size_planned=4))
        work.took(task, result)
    work.publish()
    work.close()
    assert n_blocks > 1
    record = json.loads((root.path / "scene" / "run.json").read_text())
    assert record["device_limits"] == {
        "batch_size_planned": 4, "batch_size": 1, "largest_window_px": 4095,
    }  # fmt: skip
