"""The ledger, sessions and sign of life of a batch, in a real folder."""

from __future__ import annotations

import json
import logging
import shutil
import time
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.errors import OutputError
from geoseg.run.batch_progress import Progress, read_progress, write_progress
from geoseg.run.folder_home import FolderRoot
from geoseg.run.ledger import Ledger
from geoseg.run.scene_job import SceneOutcome
from geoseg.run.sessions import Session, begin_session, end_session, last_start, read_sessions
from tests.run.plain_root import KilledError, MortalRoot, PlainRoot

SESSION = "000001-20261120T220000Z"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def outcome(number: int, state: str = "done", **values: Any) -> SceneOutcome:
    facts: dict[str, Any] = {
        "scene_id": f"ortho_{number:05d}",
        "scene": f"/archive/2026/ortho_{number:05d}.tif",
        "state": state,
        "at": "2026-11-20T23:01:02Z",
        "blocks": 36,
        "blocks_done": 36,
        "output_px": 146_940_000 + number,
        "valid_px": 132_000_000,
        "elapsed_s": 70.83,
        "worker_s": 412.25,
        "bbox": (126.5, 34.1 + number / 1e5, 126.6, 34.2),
        "acquired": "2026-05-11T02:00:00Z",
        "class_px": tuple((name, 1_000_000 + number) for name in ("road", "water", "tree", "roof")),
        "n_polygons": 29_387,
    }
    return SceneOutcome(**{**facts, **values})


def failed(number: int, reason: str) -> SceneOutcome:
    return outcome(number, blocks_done=3).failed("2026-11-20T23:02:00Z", reason, "Look at it.")


def test_what_is_put_is_read_again_and_the_later_session_wins(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    first = Ledger(root, SESSION)
    first.put(outcome(1, "running"))
    first.put(failed(2, "no band 4"))
    first.put(outcome(1))
    first.flush(force=True)
    second = Ledger(root, "000002-20261119T220000Z")  # by a clock that is a day behind
    assert [o.scene_id for o in second] == ["ortho_00001", "ortho_00002"]
    assert second.get("ortho_00002") == failed(2, "no band 4")
    second.put(outcome(2))
    second.flush(force=True)
    found = Ledger.read(root)
    assert list(found) == [outcome(1), outcome(2)]
    assert found.damaged == 0
    assert "ortho_00001" in found
    assert found.get("no such") is None


def test_a_session_writes_at_most_once_a_second_and_only_changes(tmp_path: Path) -> None:
    root, clock = PlainRoot(tmp_path), Clock()
    ledger = Ledger(root, SESSION, clock=clock)
    for number in range(40):
        ledger.put(outcome(number))
        clock.now_s += 0.1
    assert len(root.writes) == 4
    clock.now_s += 1
    ledger.flush()
    assert len(root.writes) == 5
    assert len(Ledger.read(root)) == 40
    clock.now_s += 60
    ledger.flush()
    ledger.flush(force=True)
    assert len(root.writes) == 5


def test_a_full_segment_is_not_written_again(tmp_path: Path) -> None:
    root, clock = PlainRoot(tmp_path), Clock()
    ledger = Ledger(root, SESSION, clock=clock)
    for number in range(1101):
        ledger.put(outcome(number % 1050))  # some again, in a later segment
        clock.now_s += 0.125
    ledger.flush(force=True)
    segments = root.names(".batch/ledger")
    assert [n.rpartition("-")[2] for n in segments] == [f"00000{k}.jsonl" for k in (1, 2, 3)]
    lines = [len((root.read_text(n) or "").splitlines()) for n in segments]
    assert lines == [505, 504, 92]  # full ones are closed when they are written
    assert len(Ledger.read(root)) == 1050


@pytest.mark.parametrize(
    "line",
    [
        '{"scene_id": "half', "", "[1, 2]", "null", '{"scene_id": "a"}', "\x00\x00",
        "[" * 100_000,
        json.dumps(outcome(9).as_json() | {"state": "lost"}),
        json.dumps(outcome(9).as_json() | {"of_another_version": 1}),
        json.dumps(outcome(9).as_json() | {"scene_id": ""}),
        json.dumps(outcome(9).as_json() | {"scene_id": 7}),
        json.dumps(outcome(9).as_json() | {"scene_id": "../9"}),
        json.dumps(outcome(9).as_json() | {"scene_id": ".batch"}),
        json.dumps(outcome(9).as_json() | {"reason": ["x"]}),
        json.dumps(outcome(9).as_json() | {"blocks": "many"}),
        json.dumps(outcome(9).as_json() | {"blocks": True}),
        json.dumps(outcome(9).as_json() | {"valid_px": -1}),
        json.dumps(outcome(9).as_json() | {"elapsed_s": float("nan")}),
        json.dumps(outcome(9).as_json() | {"bbox": [1, 2, 3]}),
        json.dumps(outcome(9).as_json() | {"bbox": [1, 2, 3, float("inf")]}),
        json.dumps(outcome(9).as_json() | {"class_px": [["road", "x"]]}),
        json.dumps(outcome(9).as_json() | {"class_px": 5}),
        json.dumps(outcome(9).as_json() | {"warnings": [1]}),
        json.dumps(outcome(9).as_json() | {"n_polygons": 1.5}),
    ],
    ids=lambda line: line[:18] + line[-30:] if len(line) < 9999 else "deep",
)  # fmt: skip
def test_a_damaged_line_is_left_out_and_counted(
    tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = PlainRoot(tmp_path)
    good = [json.dumps(o.as_json()) for o in (outcome(1), outcome(2))]
    text = f"{good[0]}\n{line}\n{good[1]}\n"
    root.write_text(f".batch/ledger/{SESSION}-000001.jsonl", text)
    root.write_text(".batch/ledger/notes.txt", "not ours")
    ledger = Ledger(root, "000002-x")
    assert list(ledger) == [outcome(1), outcome(2)]
    assert ledger.damaged == 1
    assert "damaged lines left out: 1" in caplog.text


@given(
    st.lists(
        st.builds(
            outcome,
            st.integers(0, 5),
            st.sampled_from(["waiting", "running", "done", "failed"]),
            scene=st.text(st.characters(exclude_categories=())),  # broken names of files, too
            reason=st.none() | st.text(),
            class_px=st.lists(st.tuples(st.text(), st.integers(0, 2**60))).map(tuple),
            warnings=st.lists(st.text()).map(tuple),
            elapsed_s=st.floats(0, 1e9),
            bbox=st.none() | st.tuples(*[st.floats(-180, 180)] * 4),
        ),
        max_size=12,
    )
)
def test_any_outcome_survives_being_written(tmp_path: Path, outcomes: list[SceneOutcome]) -> None:
    shutil.rmtree(tmp_path / "root", ignore_errors=True)
    ledger = Ledger(PlainRoot(tmp_path / "root"), SESSION)
    for found in outcomes:
        ledger.put(found)
    ledger.compact()
    newest = {o.scene_id: o for o in outcomes}
    assert list(Ledger.read(PlainRoot(tmp_path / "root"))) == [newest[k] for k in sorted(newest)]


def several_sessions(folder: Path) -> list[SceneOutcome]:
    """Leave segments of three sessions that contradict each other; return what holds."""
    for session in range(3):
        ledger = Ledger(PlainRoot(folder), f"00000{session}-x")
        for number in range(session, 4):
            ledger.put(outcome(number, retries=session))
            ledger.flush(force=True)
    return [outcome(n, retries=min(n, 2)) for n in range(4)]


def test_compacting_leaves_one_segment_and_goes_on(tmp_path: Path) -> None:
    expected = several_sessions(tmp_path)
    root = PlainRoot(tmp_path)
    ledger = Ledger(root, "000003-x")
    ledger.put(outcome(7))
    ledger.compact()
    assert len(root.names(".batch/ledger")) == 1
    assert list(Ledger.read(root)) == [*expected, outcome(7)]
    n_writes = len(root.writes)
    ledger.compact()  # nothing to do
    assert len(root.writes) == n_writes
    ledger.put(outcome(7, retries=1))
    ledger.compact()
    assert list(Ledger.read(root)) == [*expected, outcome(7, retries=1)]
    again = Ledger(root, "000003-x")  # the same name writes over nothing
    again.put(outcome(8))
    again.flush(force=True)
    assert len(Ledger.read(root)) == 6


def test_compacting_loses_nothing_wherever_it_is_killed(tmp_path: Path) -> None:
    finished = False
    for changes in range(20):
        folder = tmp_path / str(changes)
        expected = several_sessions(folder)
        root = MortalRoot(folder, changes)
        ledger = Ledger(root, "000003-x")
        try:
            ledger.compact()
            finished = True
        except KilledError:
            pass
        assert list(Ledger.read(PlainRoot(folder))) == expected
        if finished:
            break
    assert finished
    assert changes == 4  # one segment written, three removed


def test_who_looks_while_it_is_compacted_sees_everything(tmp_path: Path) -> None:
    expected = several_sessions(tmp_path)

    class Overtaken(PlainRoot):
        def names(self, prefix: str) -> list[str]:
            found = super().names(prefix)
            if len(found) > 1:  # a session ends between the listing and the reading
                Ledger(PlainRoot(tmp_path), "000003-x").compact()
            return found

    assert list(Ledger.read(Overtaken(tmp_path))) == expected


def test_a_segment_that_cannot_be_read_is_left_where_it_is(tmp_path: Path) -> None:
    several_sessions(tmp_path)
    damaged = tmp_path / ".batch" / "ledger" / "000001-x-000001.jsonl"
    damaged.write_bytes(b"\xff\xfe\x00 not text")
    root = FolderRoot(tmp_path)
    ledger = Ledger(root, "000003-x")
    assert ledger.damaged == 1
    assert len(ledger) == 4  # all are in another segment, too
    ledger.compact()
    assert len(root.names(".batch/ledger")) == 2
    assert damaged.read_bytes().startswith(b"\xff")
    assert list(Ledger.read(root)) == list(ledger)


def test_a_failed_write_stops_nothing_until_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unreachable(PlainRoot):
        is_down = True

        def write_text(self, name: str, text: str) -> None:
            if self.is_down:
                msg = "503 Slow Down"
                raise OutputError(msg)
            super().write_text(name, text)

    root, clock = Unreachable(tmp_path), Clock()
    ledger = Ledger(root, SESSION, clock=clock)
    with caplog.at_level(logging.WARNING):
        for number in range(700):
            ledger.put(outcome(number))
            clock.now_s += 0.01
    assert "503 Slow Down" in caplog.text
    assert len(caplog.records) == 7  # not one per scene
    with pytest.raises(OutputError, match="503"):
        ledger.flush(force=True)
    root.is_down = False
    ledger.compact()
    assert len(Ledger.read(root)) == 700


def test_ten_thousand_scenes_load_fast_and_small(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    ledger = Ledger(root, SESSION)
    for number in range(10_000):
        ledger.put(outcome(number))
    ledger.compact()
    begun = time.process_time()
    assert len(Ledger.read(root)) == 10_000
    assert time.process_time() - begun < 1.5  # 0.3 s; the machine may be slow
    (name,) = root.names(".batch/ledger")
    root.write_text(name, "\n".join((root.read_text(name) or "").splitlines()[:2000]))
    tracemalloc.start()  # which makes it slow, so not for all of them
    try:
        loaded = Ledger.read(root)
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes / len(loaded) < 2048


# Sessions


def ended(root: PlainRoot, hour: int, reason: str, **values: Any) -> Session:
    begun = begin_session(root, at=NOON.replace(hour=hour), host="login1", pid=hour, **values)
    done = replace(begun, ended=f"2026-11-20T{hour:02d}:30:00Z", exit_reason=reason)
    end_session(root, done)
    return done


def test_sessions_are_kept_and_numbered_whatever_the_clock_says(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    assert read_sessions(root) == ()
    first = ended(root, 12, "done")
    second = ended(root, 3, "time_limit")
    assert read_sessions(root) == (first, second)
    assert first.session == "000001-20261120T120000Z"
    assert first.session < second.session


def test_a_session_without_an_end_was_killed(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    begin_session(root, at=NOON, host="login1", pid=1)
    assert read_sessions(root)[0].exit_reason is None
    begin_session(root, at=NOON, host="login1", pid=2)
    killed, working = read_sessions(root)
    assert (killed.exit_reason, killed.ended) == ("killed", None)
    assert working.exit_reason is None


@pytest.mark.parametrize("name", ["../elsewhere", "/etc", "a/b", ".batch", "batch.json", "a\\b"])
def test_an_id_that_leaves_the_root_is_not_believed(tmp_path: Path, name: str) -> None:
    """The ledger lies where others may write, and its ids become folders that are written to."""
    ledger = Ledger(FolderRoot(tmp_path), SESSION)
    ledger.put(outcome(1, scene_id=name))
    ledger.put(outcome(2))
    ledger.flush(force=True)
    found = Ledger.read(FolderRoot(tmp_path))
    assert [o.scene_id for o in found] == [outcome(2).scene_id]
    assert found.damaged == 1


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"version": 2, "sessions": []}', '{"version": 1}',
     '{"version": 1, "sessions": [5]}', '{"version": 1, "sessions": [{"session": "000001-x"}]}',
     '{"version": 1, "sessions": [{"session": "x", "started": "y"}]}',
     '{"version": 1, "sessions": [{"session": "000001-x", "started": "y", "pid": "1"}]}',
     '{"version": 1, "sessions": [{"session": "000001-x", "started": "y", "more": 1}]}',
     '{"version": 1, "sessions": [{"session": "000001-x", "started": "y", "exit_reason": "?"}]}'],
)  # fmt: skip
def test_damaged_sessions_are_none_and_the_next_number_is_free(tmp_path: Path, text: str) -> None:
    root = PlainRoot(tmp_path)
    root.write_text(".batch/sessions.json", text)
    root.write_text(".batch/ledger/000041-x-000001.jsonl", "")
    assert read_sessions(root) == ()
    assert begin_session(root, at=NOON, host="h", pid=1).session.startswith("000042-")


def test_only_the_last_five_hundred_sessions_are_kept(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    rows = [
        {"session": f"{n:06d}-x", "started": "2026-11-20T12:00:00Z", "exit_reason": "done"}
        for n in range(1, 501)
    ]
    root.write_text(".batch/sessions.json", json.dumps({"version": 1, "sessions": rows}))
    begin_session(root, at=NOON, host="h", pid=1)
    found = read_sessions(root)
    assert len(found) == 500
    assert found[0].session == "000002-x"
    assert found[-1].session.startswith("000501-")


H = "2026-11-20T{:02d}:00:00Z".format


@pytest.mark.parametrize(
    ("sessions", "expected"),
    [
        ([], None),
        ([(1, "done", None)], 1),
        ([(1, "done", None), (2, "scenes_failed", H(1))], 2),
        # Stopped sessions left scenes behind that are older than their start.
        ([(1, "done", None), (2, "interrupted", H(1))], 1),
        ([(1, "done", None), (2, "time_limit", H(1)), (3, "cluster", H(1))], 1),
        ([(1, "done", None), (2, "error", H(1)), (3, "killed", H(1)), (4, "failures", H(1))], 1),
        ([(1, "done", None), (2, "time_limit", H(1)), (3, "done", H(1))], 3),
        ([(1, "interrupted", None)], None),
        ([(1, None, None)], None),
        # What was only asked to look at the last hour knows nothing of the hour before.
        ([(1, "done", None), (5, "done", H(4))], 1),
        ([(1, "done", None), (5, "done", H(4)), (6, "done", H(1))], 6),
        # The first --since of a root says where the operator wants to begin.
        ([(5, "done", H(4))], 5),
        ([(5, "done", H(4)), (6, "done", None)], 6),
    ],
)  # fmt: skip
def test_last_means_the_last_start_behind_which_nothing_is_left(
    tmp_path: Path, sessions: list[tuple[int, str | None, str | None]], expected: int | None
) -> None:
    root = PlainRoot(tmp_path)
    for hour, reason, since in sessions:
        if reason in {None, "killed"}:
            begin_session(root, at=NOON.replace(hour=hour), host="h", pid=1, since=since)
        else:
            ended(root, hour, str(reason), since=since)
    found = last_start(read_sessions(root), "")
    assert found == (None if expected is None else H(expected))


def test_a_session_on_other_sources_is_not_the_last_one(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    ended(root, 1, "done", selection="nightly")
    ended(root, 9, "done", selection="one file by hand")
    assert last_start(read_sessions(root), "nightly") == H(1)
    assert last_start(read_sessions(root), "never") is None


# The sign of life

PROGRESS = Progress(
    at="2026-11-20T12:00:00Z", session=SESSION, host="login1", pid=7,
    scenes={"waiting": 3, "running": 2}, blocks_done=5, blocks_known=40, in_flight=8, workers=4,
    px_done=1_000_000, elapsed_s=12.5,
)  # fmt: skip


def test_progress_is_read_as_it_was_written(tmp_path: Path) -> None:
    root = PlainRoot(tmp_path)
    assert read_progress(root) is None
    write_progress(root, PROGRESS)
    assert read_progress(root) == PROGRESS


@pytest.mark.parametrize(
    "change", [{"pid": "7"}, {"elapsed_s": None}, {"elapsed_s": float("inf")}, {"scenes": [1]},
               {"scenes": {"done": "x"}}, {"at": 5}, {"more": 1}],
)  # fmt: skip
def test_damaged_progress_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    root = PlainRoot(tmp_path)
    write_progress(root, PROGRESS)
    data = json.loads(root.read_text(".batch/progress.json") or "")
    root.write_text(".batch/progress.json", json.dumps(data | change))
    assert read_progress(root) is None
    root.write_text(".batch/progress.json", "[]")
    assert read_progress(root) is None


def test_a_file_that_cannot_be_removed_is_one_line(tmp_path: Path) -> None:
    """And no OSError that hides what the batch ends with."""
    root = FolderRoot(tmp_path)
    (tmp_path / "mark").mkdir()  # what no unlink removes, not even root's
    with pytest.raises(OutputError, match="cannot write"):
        root.delete("mark")
    root.delete("nothing")
