"""``geoseg batch`` as users call it: stopped, killed, refused, and right in the end."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from geoseg.model.card import ModelCard
from geoseg.run import events as events_module
from tests.dask_cluster import (
    DaskCluster,
    all_gone,
    dask_cluster,
    family,
    listening,
    worker_pids,
)
from tests.e2e.batches import Batch, Done, digests, small_scene, torn, truncated
from tests.e2e.conftest import COMMAND, Started
from tests.fakes import write_torch_model
from tests.scenes import texture, write_scene

pytestmark = pytest.mark.network
N_BLOCKS = 9
ROUNDS = 4


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three scenes with names that shells, globs and markup trip over; two have one stem."""
    folder = tmp_path_factory.mktemp("scenes")
    names = ("장면 [2] {a}.tif", "one/same.tif", "two/same.tif")
    return [small_scene(folder / name, i) for i, name in enumerate(names)]


@pytest.fixture(scope="module")
def expected(
    tmp_path_factory: pytest.TempPathFactory, scenes: list[Path], tiny_model: Path
) -> dict[str, dict[str, str]]:
    """Digests of what ``geoseg run`` makes of each."""
    from geoseg.options import RunOptions
    from geoseg.run.pipeline import run

    found = {}
    for scene in scenes:
        out = tmp_path_factory.mktemp("calm") / "out"
        run(RunOptions(scene=str(scene), model=str(tiny_model), out=out, window_px=160, workers=1))
        found[str(scene)] = digests(out)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Somebody's cluster that stays: its worker has the network loaded after the first batch."""
    with dask_cluster(tmp_path_factory.mktemp("dask")) as found:
        found.work()
        yield found


@pytest.fixture
def batch(tmp_path: Path, tiny_model: Path, cluster: DaskCluster) -> Batch:
    return Batch(tmp_path, tiny_model, cluster)


def sources(scenes: list[Path]) -> Path:
    return scenes[0].parent


def until(process: Started, reached: Callable[[dict[str, object]], bool]) -> None:
    """Read --json events until one is as wanted."""
    assert process.process.stdout
    for line in process.process.stdout:
        if reached(json.loads(line)):
            return
    pytest.fail(f"ended before: {process.process.stderr.read()}")  # type: ignore[union-attr]


def committed_blocks(out: Path) -> int:
    """Count them; those of scenes that are finished have no pieces any more."""
    pieces = len(list(out.glob("*/.geoseg/pieces/*.json")))
    records = [json.loads(path.read_text()) for path in out.glob("*/run.json")]
    return pieces + sum(record["blocks"]["count"] for record in records)


def wait_for_blocks(process: Started, out: Path, count: int) -> None:
    """Wait until so many blocks are committed; the events tell of it too seldom."""
    until_s = time.monotonic() + 90
    while committed_blocks(out) < count:
        assert process.process.poll() is None, process.end()
        assert time.monotonic() < until_s
        time.sleep(0.01)


# The local cluster


def test_scenes_come_out_as_by_run_and_all_is_told(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    """Also: only the loopback address listens, and nothing stays behind."""
    process = batch.start(sources(scenes), "--processes", "2", local=True)
    process.wait_for("batch_ready")
    found: set[str] = set()
    relatives: set[int] = set()
    while process.process.poll() is None:
        try:
            relatives |= {p.pid for p in family(process.process.pid)}
            found |= listening(family(process.process.pid))
        except psutil.NoSuchProcess:
            continue
        if len(list(batch.out.glob("*/run.json"))) == len(scenes):
            break
        time.sleep(0.2)
    assert found == {"127.0.0.1"}
    assert process.process.stdout
    rest = [json.loads(line) for line in process.process.stdout]
    assert process.end() == (0, "")
    assert all_gone(list(relatives))
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))
    assert rest[-1]["event"] == "batch_finished"
    assert (rest[-1]["done"], rest[-1]["failed"]) == (3, 0)
    assert [e["scene_id"] for e in rest if e.get("state") == "done"]
    again = batch(sources(scenes), "--json")
    assert again.code == 0
    assert again.of("batch_ready")[0]["to_do"] == 0
    assert batch.digests() == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_politely(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]], number: signal.Signals
) -> None:
    """A terminal sends Ctrl-C to the workers as well; a batch system may do so, too."""
    process = batch.start(sources(scenes), local=True)
    wait_for_blocks(process, batch.out, 3)
    relatives = [p.pid for p in family(process.process.pid)]
    assert len(relatives) > 1
    process.send(number)
    code, errors = process.end()
    assert code == 4
    assert errors.splitlines() == [
        "geoseg: stopped", "  Repeat the same command to continue.",
    ]  # fmt: skip
    assert all_gone(relatives)
    status = batch.call("batch", "status", batch.out, "--json")
    assert (status.code, status.events[0]["activity"]) == (4, "idle")
    assert status.events[0]["session"]["exit_reason"] == "interrupted"
    assert status.events[0]["scenes"]["running"] == 0
    done = batch(sources(scenes), "--json")  # elsewhere, which does not matter
    assert done.code == 0, done.err
    ready = done.of("batch_ready")[0]
    assert ready["to_do"] + ready["done_before"] == 3
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))


def test_killed_at_random_moments(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    """Workers, and the client, in which the scheduler is: some rounds, then it may end."""
    dice = random.Random(20261)
    done_before = 0
    for number in range(ROUNDS):
        process = batch.start(sources(scenes), local=True)
        process.wait_for("batch_ready")
        blocks = len(list(batch.out.glob("*/.geoseg/pieces/*.json")))
        wait_for_blocks(process, batch.out, min(blocks + dice.randint(1, 3), 3 * N_BLOCKS))
        relatives = [p.pid for p in family(process.process.pid)]
        if number % 2:
            (victim, *_) = worker_pids(process.process.pid)
            os.kill(victim, signal.SIGKILL)
            time.sleep(dice.uniform(0, 1))
        os.kill(process.process.pid, signal.SIGKILL)
        process.end()
        assert all_gone(relatives), "workers outlived their client"
        done_before = max(done_before, blocks)
    status = batch.call("batch", "status", batch.out, "--json").events[0]
    assert sum(status["scenes"].values()) == 3
    last = batch(sources(scenes), "--json")
    assert last.code == 0, last.err
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))
    assert done_before > 0, "blocks were not kept"
    sessions = batch.report()["sessions"]
    assert [s["exit_reason"] for s in sessions] == ["killed"] * ROUNDS + ["done"]
    assert len(sessions) == len({s["session"] for s in sessions})


def test_a_killed_worker_is_replaced(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    process = batch.start(sources(scenes), local=True)
    wait_for_blocks(process, batch.out, 2)
    (victim,) = worker_pids(process.process.pid)
    os.kill(victim, signal.SIGKILL)
    assert process.end() == (0, "")
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))
    (session,) = batch.report()["sessions"]
    assert (session["exit_reason"], session["scenes_done"]) == ("done", 3)


# A cluster of somebody's


def test_clients_killed_on_a_cluster_that_goes_on(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    """Blocks of the dead client may still run while the next one is there."""
    dice = random.Random(20262)
    for _ in range(4):
        process = batch.start(sources(scenes))
        process.wait_for("batch_ready")
        time.sleep(dice.uniform(0.2, 1.5))
        process.send(signal.SIGKILL)
        process.end()
    done = batch(sources(scenes))
    assert done.code == 0, done.err
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))


def test_reports(batch: Batch, scenes: list[Path]) -> None:
    import pystac

    metrics = batch.folder / "geoseg.prom"
    assert batch(sources(scenes), "--metrics", metrics).code == 0
    report = batch.report()
    assert {row["scene_id"] for row in report["scenes"]} == {
        path.parent.name for path in batch.out.glob("*/run.json")
    }
    assert all(row["blocks"] == row["blocks_done"] == N_BLOCKS for row in report["scenes"])
    collection = pystac.Collection.from_file(str(batch.out / "collection.json"))
    items = list(collection.get_items())
    assert {item.id for item in items} == {
        pystac.Item.from_file(str(p)).id for p in batch.out.glob("*/item.json")
    }
    assert all(
        Path(a.get_absolute_href() or "").is_file() for i in items for a in i.assets.values()
    )
    page = (batch.out / "index.html").read_text(encoding="utf-8")
    assert all(row["scene_id"] in page for row in report["scenes"])
    assert re.search(
        r'^geoseg_batch_scenes\{.*state="done".*\} 3$', metrics.read_text(), re.MULTILINE
    )
    assert "geoseg_batch_running{" in metrics.read_text()


def test_poison_scenes_are_isolated_and_tried_again_when_asked(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    folder = batch.folder / "in"
    good = small_scene(folder / "good.tif", 0)
    truncated(folder / "truncated.tif")
    (folder / "text.tif").write_text("no raster")
    write_scene(folder / "grey.tif", texture((64, 64))[:1])
    torn(folder / "torn.tif")
    done = batch(folder, "--json", "--retries", "1")
    assert done.code == 3
    assert batch.states() == {
        "good.tif": "done", "truncated.tif": "failed", "text.tif": "failed",
        "grey.tif": "failed", "torn.tif": "failed",
    }  # fmt: skip
    assert "4 of 5 scenes failed" in done.error[0]
    assert "retry" in done.error[1]
    rows = {row["scene_id"]: row for row in batch.report()["scenes"]}
    assert all(rows[name]["reason"] for name in ("truncated", "text", "grey", "torn"))
    assert "band" in rows["grey"]["reason"]
    assert rows["torn"]["reason"].startswith("block ")
    assert rows["torn"]["retries"] >= 1
    assert 0 < rows["torn"]["blocks_done"] < rows["torn"]["blocks"]
    assert digests(batch.out / "good") == expected[str(scenes[0])]
    failed = [e["scene_id"] for e in done.of("scene") if e["state"] == "failed"]
    assert sorted(failed) == ["grey", "text", "torn", "truncated"]
    # The same command leaves them alone, a retry does not, and what was mended works.
    same = batch(folder, "--json")
    assert (same.code, same.of("batch_ready")[0]["to_do"]) == (3, 0)
    status = batch.call("batch", "status", batch.out)
    assert status.code == 3
    assert "grey" in status.out
    shutil.copy(good, folder / "text.tif")
    os.utime(folder / "text.tif", (1e9, 1e9))
    retry = batch.call(
        "batch", "retry", batch.out, "--scheduler", batch.cluster.address, "--json",  # type: ignore[union-attr]
        "--retries", "0",
    )  # fmt: skip
    assert (retry.code, retry.of("batch_ready")[0]["to_do"]) == (3, 4)
    assert batch.states()["text.tif"] == "done"
    assert digests(batch.out / "text")["classes.tif"] == expected[str(scenes[0])]["classes.tif"]
    # What was changed since it failed is tried again by itself.
    shutil.copy(good, folder / "grey.tif")
    mended = batch(folder, "--json")
    assert (mended.code, mended.of("batch_ready")[0]["to_do"]) == (3, 1)
    assert batch.states()["grey.tif"] == "done"


def test_a_server_that_never_answers_costs_its_scene_the_time_of_a_task(batch: Batch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # connects, and says nothing
        address = f"http://127.0.0.1:{server.getsockname()[1]}/hung.tif"
        start_s = time.monotonic()
        done = batch(address, "--task-timeout", "2s", "--retries", "1", "--json")
        assert time.monotonic() - start_s < 59, "GDAL itself waits for a minute, four times"
    assert done.code == 3
    (row,) = batch.report()["scenes"]
    assert (row["reason"], row["retries"]) == ("plan took longer than 2 s", 1)
    assert "--task-timeout" in row["hint"]


@pytest.mark.parametrize("flags", [("--fail-fast",), ("--max-failures", "1")])
def test_it_stops_after_failures(batch: Batch, flags: tuple[str, ...]) -> None:
    folder = batch.folder / "in"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.tif").write_text("no raster")
    done = batch(folder, *flags)
    most = len(flags)
    assert done.code == 3
    assert f"stopped after {most} failed scene(s)" in done.error[0]
    states = list(batch.states().values())
    assert states.count("failed") == most
    assert states.count("waiting") == 6 - most
    status = batch.call("batch", "status", batch.out, "--json")
    assert (status.code, status.events[0]["session"]["exit_reason"]) == (4, "failures")


def test_a_second_client_is_refused_and_status_looks_on(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    first = batch.start(sources(scenes))
    until(first, lambda e: e["event"] == "scene" and bool(e["blocks"]))
    first.send(signal.SIGSTOP)
    second = batch(sources(scenes), "--overwrite")
    status = batch.call("batch", "status", batch.out, "--json")
    text = batch.call("batch", "status", batch.out)
    first.send(signal.SIGCONT)
    assert second.code == 1
    assert second.error[0] == f"another geoseg run is writing to {batch.out}"
    assert status.code == text.code == 0
    assert status.events[0]["activity"] == "working"
    assert status.events[0]["session"]["pid"] == first.process.pid
    assert f"process {first.process.pid}" in text.out
    assert first.end() == (0, "")
    assert batch.digests() == expected
    after = batch.call("batch", "status", batch.out, "--json")
    assert (after.code, after.events[0]["finished"]) == (0, True)


def test_the_time_is_up(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    done = batch(sources(scenes), "--time-limit", "0.2s")
    assert done.code == 4
    assert done.error[0].startswith("the time is up after ")
    assert "Repeat the same command" in done.error[1]
    status = batch.call("batch", "status", batch.out, "--json")
    assert (status.code, status.events[0]["session"]["exit_reason"]) == (4, "time_limit")
    assert batch(sources(scenes), "--time-limit", "1h").code == 0
    assert batch.digests() == expected


def test_a_full_disk(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]],
    disk_of: Callable[[int], Path],
) -> None:  # fmt: skip
    disk = disk_of(4096)
    batch.out = disk / "out"
    filler = disk / "filler"
    filler.write_bytes(bytes(3950 * 1024))
    done = batch(sources(scenes), "--retries", "0")
    assert done.code == 4, done.err
    assert "No space left on device" in done.error[0]
    assert done.error[1]
    filler.unlink()
    again = batch(sources(scenes))
    assert again.code == 0, again.err
    assert batch.digests() == expected
    assert batch.is_clean(), sorted(map(str, batch.out.rglob(".*")))


def test_only_new_scenes(batch: Batch) -> None:
    folder = batch.folder / "in"
    old, new = (small_scene(folder / name, 1, (64, 64)) for name in ("old.tif", "new.tif"))
    os.utime(old, (1e9, 1e9))
    first = batch(folder, "--since", "2020-01-01", "--json")
    ready = first.of("batch_ready")[0]
    assert (first.code, ready["to_do"], ready["older"]) == (0, 1, 1)
    second = batch(folder, "--since", "last", "--json")
    assert second.of("batch_ready")[0]["scenes"] == 1 or second.of("batch_ready")[0]["older"] == 2
    small_scene(folder / "newest.tif", 2, (64, 64))
    third = batch(folder, "--since", "last", "--json")
    assert third.of("batch_ready")[0]["to_do"] == 1
    assert batch.states()["newest.tif"] == "done"
    small_scene(new, 3, (64, 64))
    fourth = batch(folder, "--since", "last", "--json")
    assert fourth.of("batch_ready")[0]["to_do"] == 0  # results are replaced on demand only
    assert "changed since they were mapped: 1 scenes, new" in fourth.of("warning")[0]["message"]


def test_other_settings_are_refused_and_overwrite_replaces(
    batch: Batch, scenes: list[Path], tiny_card: ModelCard, expected: dict[str, dict[str, str]]
) -> None:
    assert batch(scenes[1]).code == 0
    other = batch.folder / "other"
    write_torch_model(other, replace(tiny_card, name="other"), seed=4)
    for flags, named in ((("--model", other), "model"), (("--no-confidence",), "confidence")):
        refused = batch(scenes[1], *flags)
        assert refused.code == 1
        assert f"holds a batch with other settings ({named})" in refused.error[0]
        assert "--overwrite" in refused.error[1]
    assert batch.digests() == {str(scenes[1]): expected[str(scenes[1])]}
    replaced = batch(scenes[1], "--model", other, "--overwrite")
    assert replaced.code == 0, replaced.err
    record = json.loads((batch.out / "same" / "run.json").read_text())
    assert record["model"]["name"] == "other"
    # Once more: the files are as they would be, and stay; the report still knows all of them.
    before = batch.report()["scenes"][0]
    assert batch(scenes[1], "--model", other, "--overwrite").code == 0
    after = batch.report()["scenes"][0]
    for name in ("state", "bbox", "output_px", "valid_px", "class_px", "n_polygons", "blocks"):
        assert after[name] == before[name], name
    assert after["bbox"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--min-area", "25"), "is not a number with a unit"),
        (("--simplify", "1km"), "is not a number with a unit"),
        (("--crs", "foo"), "foo"),
        (("--device", "tpu"), "tpu"),
        (("--aoi", "nix.gpkg"), "there is no area of interest nix.gpkg"),
        (("--aoi", "4,3,2,1"), "left < right"),
        (("--metrics", "/no such folder/x.prom"), "cannot write --metrics"),
    ],
    ids=str,
)
def test_what_no_scene_can_be_mapped_with_is_told_at_once(
    batch: Batch, scenes: list[Path], words: tuple[str, ...], told: str
) -> None:
    done = batch(scenes[1], *words, local=words[0] in {"--device", "--aoi"})
    assert done.code == 1
    assert told in done.error[0]
    assert not batch.out.exists()


def test_settings_bind_once_something_is_mapped(batch: Batch, scenes: list[Path]) -> None:
    """Those of a slip, with which every scene failed, bind nobody."""
    slip = batch(scenes[1], "--bands", "7,8,9")
    assert slip.code == 3, slip.err
    assert batch(scenes[1]).code == 0
    assert set(batch.states().values()) == {"done"}
    refused = batch(scenes[1], "--bands", "3,2,1")
    assert refused.code == 1
    assert "holds a batch with other settings (bands)" in refused.error[0]


def test_a_table_with_options_of_its_own(
    batch: Batch, scenes: list[Path], tiny_model: Path
) -> None:
    table = batch.folder / "list.csv"
    table.write_text(
        f'scene,id,bands\n"{scenes[0]}",plain,\n"{scenes[1]}",swapped,"3,2,1"\n', encoding="utf-8"
    )
    done = batch(table)
    assert done.code == 0, done.err
    run = batch.call(
        "run", scenes[1], "--model", tiny_model, "--out", "alone", "--bands", "3,2,1",
        "--window-px", "160", "--quiet",
    )  # fmt: skip
    assert run.code == 0, run.err
    assert digests(batch.out / "swapped") == digests(batch.folder / "alone")


VRT = """<VRTDataset rasterXSize="192" rasterYSize="192">
<SRS>EPSG:32652</SRS><GeoTransform>321000, 0.3, 0, 4158000, 0, -0.3</GeoTransform>{bands}
</VRTDataset>"""
BAND = """<VRTRasterBand dataType="Byte" band="{n}"><SimpleSource>
<SourceFilename relativeToVRT="0">{file}</SourceFilename><SourceBand>{n}</SourceBand>
</SimpleSource></VRTRasterBand>"""


def test_scenes_that_reach_outside_the_allowed_roots_are_refused(
    batch: Batch, scenes: list[Path]
) -> None:
    folder = batch.folder / "in"
    small_scene(folder / "inside.tif", 0, (64, 64))
    bands = "".join(BAND.format(n=n, file=scenes[1]) for n in (1, 2, 3))
    (folder / "reaches.vrt").write_text(VRT.format(bands=bands))
    (folder / "linked.tif").symlink_to(scenes[1])
    names = batch.folder / "list.txt"
    names.write_text(f"{folder / 'inside.tif'}\n{folder / 'reaches.vrt'}\n")
    done = batch(names, "--allow-root", folder, "--allow-root", batch.folder, "--retries", "0")
    assert done.code == 3
    assert batch.states() == {"inside.tif": "done", "reaches.vrt": "failed"}
    row = next(r for r in batch.report()["scenes"] if r["state"] == "failed")
    assert str(scenes[1]) in row["reason"]
    assert "lies outside the allowed roots" in row["reason"]
    linked = batch(folder / "linked.tif", "--allow-root", folder)
    assert linked.code == 1
    assert "lies outside the allowed roots" in linked.error[0]
    assert batch(folder / "reaches.vrt", "--overwrite").code == 0, "without roots all is allowed"


@pytest.mark.parametrize("closed", ["<&- >log 2>err", "<&- >&- 2>&-"])
def test_without_a_terminal(
    batch: Batch, scenes: list[Path], expected: dict[str, dict[str, str]], closed: str
) -> None:
    """As cron and nohup start it; no stream is needed."""
    words = [*COMMAND, *batch.words(sources(scenes))]
    process = subprocess.run(
        ["bash", "-c", f'trap "" HUP; exec "$@" {closed}', "-", *words], cwd=batch.folder,
        timeout=120, check=False,
    )  # fmt: skip
    assert process.returncode == 0
    assert batch.digests() == expected
    if "log" in closed:
        assert (batch.folder / "log").read_text() == ""
        lines = (batch.folder / "err").read_text().splitlines()
        assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d ", line) for line in lines)
        assert sum(": done, " in line for line in lines) == 3


def test_events_have_the_documented_fields(batch: Batch) -> None:
    done = batch(small_scene(batch.folder / "a.tif", 1, (64, 64)), "--json")
    assert done.code == 0
    kinds = {name: kind for kind, name in events_module._KINDS.items()}
    order = [e["event"] for e in done.events if e["event"] != "progress"]
    assert order == ["batch_ready", "scene", "scene", "scene", "batch_finished"]
    for event in done.events:
        fields = set(kinds[event.pop("event")].__dataclass_fields__)
        assert set(event) == fields


def test_a_scheduler_that_is_not_there(batch: Batch, scenes: list[Path]) -> None:
    batch.cluster = None
    done = batch(scenes[0], "--scheduler", batch.folder / "no.json", "--json")
    assert done.code == 1
    assert done.of("error")[0]["exit_code"] == 1
    assert "is no address and no file" in done.error[0]
    status = batch.call("batch", "status", batch.out, "--json")
    assert (status.code, status.events[0]["session"]["exit_reason"]) == (4, "cluster")


def test_a_scheduler_that_is_killed_meanwhile(
    batch: Batch, tmp_path: Path, scenes: list[Path], expected: dict[str, dict[str, str]]
) -> None:
    stays = batch.cluster
    with dask_cluster(tmp_path / "dask") as own:
        own.work()
        batch.cluster = own
        process = batch.start(sources(scenes))
        wait_for_blocks(process, batch.out, 2)
        own.scheduler.kill()
        code, errors = process.end()
    assert code == 4
    assert len(Done(code, "", errors).error[0]) < 300
    batch.cluster = stays
    assert batch(sources(scenes)).code == 0
    assert batch.digests() == expected
