"""Reports and status of a batch, from a real folder, read by what others read them with."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pystac
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from pystac.extensions.classification import ClassificationExtension

from geoseg.cli.batch_status import status_command
from geoseg.options import BatchOptions, RunOptions
from geoseg.run.batch_collection import collection_text
from geoseg.run.batch_facts import BatchFacts, count_states, sum_outcomes
from geoseg.run.batch_footprints import footprints_svg
from geoseg.run.batch_metrics import metrics_text, write_metrics
from geoseg.run.batch_page import batch_page
from geoseg.run.batch_progress import Progress, write_progress
from geoseg.run.batch_report import batch_json, write_reports
from geoseg.run.batch_status import BatchStatus, batch_status
from geoseg.run.job_file import write_job
from geoseg.run.ledger import Ledger
from geoseg.run.moments import moment_of, seconds_between, utc_text
from geoseg.run.pipeline import run
from geoseg.run.scene_job import SceneOutcome
from geoseg.run.sessions import Session, begin_session, end_session
from tests.run.plain_root import PlainRoot
from tests.run.test_ledger import failed, outcome
from tests.scenes import texture, write_scene

DOCUMENT = Path(__file__).parents[2] / "docs" / "batch_json.md"
EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)>&"\''
JOB = BatchOptions(
    sources=("scenes/*.tif", "https://me:hunter2@host/a.tif?sig=hunter2"),
    out="maps",
    scene=RunOptions(scene="", model="models/mine", min_area="16px",
                     postgis="postgresql://me:hunter2@db/maps"),
)  # fmt: skip
SESSION = Session(
    session="000001-20261120T220000Z", started="2026-11-20T22:00:00Z", host="login1", pid=7,
    ended="2026-11-20T22:10:00Z", exit_reason="scenes_failed", scenes_done=2, scenes_failed=1,
    px_done=1_200_000_000,
)  # fmt: skip
OUTCOMES = (
    outcome(1),
    outcome(2, acquired="2026-03-01T10:00:00+09:00", bbox=(127.0, 33.0, 127.5, 33.5)),
    outcome(3, acquired=None, bbox=None, warnings=("no CRS",)),
    failed(4, f"cannot be read: {EVIL}"),
    outcome(5, "waiting", blocks=0, blocks_done=0, class_px=(), output_px=0),
)
ITEM = {
    "stac_extensions": [
        "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
        "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    ],
    "assets": {
        "classes": {
            "href": "./classes.tif", "title": "Land-cover classes", "type": "image/tiff",
            "roles": ["data"], "file:size": 12, "file:checksum": "1220ab",
            "classification:classes": [
                {"value": 1, "name": "road", "description": "road", "color_hint": "808080"},
                {"value": 2, "name": "water", "description": "w", "color_hint": "x' onclick="},
            ],
        },
        "bare": {"href": "./x"},
    },
}  # fmt: skip


def facts(**values: Any) -> BatchFacts:
    return BatchFacts(**{
        "address": "/maps/2026", "at": "2026-11-20T22:10:00Z", "outcomes": OUTCOMES,
        "sessions": (SESSION,), "options": JOB, "versions": {"geoseg": "1"}, "example": ITEM,
        **values,
    })  # fmt: skip


NOTHING = BatchFacts(address="s3://maps/", at="2026-11-20T22:10:00Z", outcomes=())


# Sums


def test_sums_are_those_of_finished_scenes() -> None:
    totals = sum_outcomes(OUTCOMES, [SESSION, replace(SESSION, ended=None)])
    assert dict(totals.scenes) == {"waiting": 1, "running": 0, "done": 3, "failed": 1}
    assert totals.n_scenes == 5
    assert totals.output_px == 3 * 146_940_000 + 6
    assert totals.blocks_done == 36 * 3 + 3
    assert dict(totals.class_px) == dict.fromkeys(("road", "water", "tree", "roof"), 3_000_006)
    assert (totals.session_s, totals.mpx_per_s) == (600, 2.0)
    assert sum_outcomes([]).mpx_per_s is None
    assert count_states([]) == {"waiting": 0, "running": 0, "done": 0, "failed": 0}


def test_times_are_utc() -> None:
    assert moment_of("2026-03-01T10:00:00+09:00") == moment_of("2026-03-01T01:00:00")
    for text in (None, "", "yesterday", "0001-01-01T00:00:00+14:00"):
        assert moment_of(text) is None
    assert utc_text(datetime(2026, 1, 2, 3, tzinfo=UTC)) == "2026-01-02T03:00:00Z"
    assert seconds_between("2026-01-02T03:00:00Z", None) is None


# batch.json


@pytest.mark.parametrize("found", [facts(), NOTHING], ids=["some", "nothing"])
def test_batch_json_holds_every_scene_on_its_line_and_no_secret(found: BatchFacts) -> None:
    text = batch_json(found)
    data = json.loads(text)
    assert [row["scene_id"] for row in data["scenes"]] == [o.scene_id for o in found.outcomes]
    for row in data["scenes"]:
        assert sum(f'"{row["scene_id"]}"' in line for line in text.splitlines()) == 1
    assert "hunter2" not in text
    assert text.isascii()


def rows_of(heading: str) -> set[str]:
    """Return the names in the first column of the table under a heading of the document."""
    part = DOCUMENT.read_text(encoding="utf-8").split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)(?:\{\w+\})?`", " ".join(cells)))


def test_every_field_is_documented_and_nothing_else() -> None:
    data = json.loads(batch_json(facts()))
    assert rows_of("# batch.json") == set(data)
    assert rows_of("## `totals`") == set(data["totals"])
    assert rows_of("## `sessions`") == {f.name for f in fields(Session)}
    assert rows_of("## `scenes`") == {f.name for f in fields(SceneOutcome)}
    assert rows_of("# `geoseg batch status DIR --json`") == set(status().as_json()) - {"event"}
    done = facts(sessions=(SESSION, replace(SESSION, exit_reason="done")))
    text = metrics_text(done, PROGRESS, running=True)
    names = set(re.findall(r"^# TYPE geoseg_batch_(\w+)", text, re.MULTILINE))
    assert rows_of("# Counters for Prometheus") == names


# collection.json


def collection(found: BatchFacts) -> pystac.Collection:
    data = json.loads(collection_text(found))
    checked = pystac.Collection.from_dict({**data, "stac_extensions": []})
    checked.validate()  # core schemas, offline; those of extensions are on the network
    return pystac.Collection.from_dict(data)


def test_the_collection_is_valid_and_spans_its_items() -> None:
    found = collection(facts())
    assert found.extent.spatial.bboxes == [[126.5, 33.0, 127.5, 34.2]]
    interval = found.extent.temporal.to_dict()["interval"]
    assert interval == [["2026-03-01T01:00:00Z", "2026-05-11T02:00:00Z"]]
    links = [link for link in found.links if link.rel == "item"]
    assert [link.href for link in links] == [f"./ortho_0000{n}/item.json" for n in (1, 2, 3)]
    assert found.license == "other"
    assert "with model mine. 1 of them" in found.description
    classes = ClassificationExtension.summaries(found).classes
    assert [(c.value, c.name) for c in classes or []] == [(1, "road"), (2, "water")]
    assert found.item_assets["classes"].title == "Land-cover classes"
    assert set(found.item_assets) == {"classes"}
    assert "file:size" not in found.item_assets["classes"].properties
    assert found.stac_extensions == ITEM["stac_extensions"][:1]


@pytest.mark.parametrize(
    "example",
    [None, {}, {"assets": []}, {"assets": {"classes": 5}, "stac_extensions": 3},
     {"assets": {"classes": {"classification:classes": {"a": 1}}}},
     {"assets": {"classes": {"classification:classes": [5, {"value": "x", "name": 1}]}}}],
)  # fmt: skip
def test_the_collection_is_valid_whatever_the_example_holds(example: Any) -> None:
    found = collection(facts(example=example))
    assert "classification:classes" not in found.summaries.to_dict()
    assert batch_page(facts(example=example))


def test_where_nothing_is_known_the_extent_is_the_world_and_open() -> None:
    for found in (NOTHING, facts(outcomes=(outcome(3, acquired="?", bbox=None),))):
        data = collection(found).extent.to_dict()
        assert data["spatial"]["bbox"] == [[-180, -90, 180, 90]]
        assert data["temporal"]["interval"] == [[None, None]]
    assert collection(NOTHING).id == "maps"


def test_a_scene_across_the_date_line_spans_all_longitudes() -> None:
    outcomes = (outcome(1), outcome(2, bbox=(179.0, -20.0, -179.0, -19.0)))
    found = collection(facts(outcomes=outcomes))
    assert found.extent.spatial.bboxes == [[-180, -20, 180, 34.2]]


def test_the_links_lead_to_real_items(tmp_path: Path, tiny_model: Path) -> None:
    """A scene that geoseg mapped, described by the collection, walked by pystac."""
    scene = write_scene(tmp_path / "a.tif", texture((40, 50)))
    run(RunOptions(scene=str(scene), model=str(tiny_model), out=tmp_path / "root" / "a b#1",
                   formats=()))  # fmt: skip
    root = PlainRoot(tmp_path / "root")
    before = (tmp_path / "root" / "a b#1" / "item.json").read_bytes()
    write_reports(root, facts(outcomes=(outcome(1, scene_id="a b#1"),), example=None))
    assert root.writes[-1] == "batch.json"
    data = json.loads(root.read_text("collection.json") or "")
    href = next(link["href"] for link in data["links"] if link["rel"] == "item")
    assert href == "./a%20b%231/item.json"
    names = [c["name"] for c in data["summaries"]["classification:classes"]]
    assert names == ["지붕", "road & yard", "green", "nodata"]
    assert set(data["item_assets"]) == {"classes", "confidence", "style"}
    pystac.Collection.from_dict({**data, "stac_extensions": []}).validate()
    assert (tmp_path / "root" / "a b#1" / "item.json").read_bytes() == before


# index.html


class Page(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def evil_facts() -> BatchFacts:
    evil = tuple(
        replace(o, scene_id=f"{EVIL}{o.scene_id}", scene=EVIL, hint=EVIL, class_px=((EVIL, 5),),
                warnings=(EVIL, "\ud800"))
        for o in OUTCOMES
    )  # fmt: skip
    options = replace(JOB, sources=(EVIL,), scene=replace(JOB.scene, model=EVIL))
    session = replace(SESSION, host=EVIL, message=EVIL)
    return facts(outcomes=evil, address=f"/maps/{EVIL}", options=options, sessions=(session,),
                 versions={EVIL: EVIL})  # fmt: skip


def test_nothing_of_a_scene_becomes_markup() -> None:
    for found in (facts(), evil_facts()):
        page = Page(batch_page(found))
        assert [tag for tag, _ in page.elements].count("script") == 2
        assert not [tag for tag, _ in page.elements if tag in {"img", "iframe", "object"}]
        for _, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href"):
                address = attributes.get(name)
                assert address is None or address.startswith("./")
        assert "hunter2" not in page.text
    assert 'alert("x")' in page.text  # it is told, as text


def test_the_page_tells_what_matters() -> None:
    text = Page(batch_page(facts())).text
    for words in (
        "3of 5 scenes done",
        "1 scene",
        "cannot be read",
        "Look at it.",
        "2.0 Mpx/s",
        "440.8 Mpx",
        "0.76 %",
        "scenes failed",
        "16px",
        "as of 2026-11-20",
    ):
        assert words in text, words
    assert text.index("Failures") < text.index("Classes") < text.index("Scenes\n")
    assert batch_page(NOTHING)


def test_the_data_of_the_table_is_every_scene() -> None:
    page = batch_page(evil_facts())
    data = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    rows = json.loads(data[1])
    assert [row[0] for row in rows] == [o.scene_id for o in evil_facts().outcomes]


def test_many_failures_are_told_by_reason() -> None:
    many = tuple(failed(n, "no band 4" if n % 3 else f"reason {n}") for n in range(900))
    page = batch_page(facts(outcomes=many))
    assert "<b>600 scenes</b><p>no band 4</p>" in page
    assert "592 more" in page
    assert "261 more scenes failed for other reasons" in page


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no Chromium to open the page with")


@pytest.fixture
def shown(chromium: str, tmp_path: Path) -> Callable[[str], str]:
    """Return a function from a page to what a browser makes of it."""

    def show(page: str) -> str:
        (tmp_path / "index.html").write_text(page, encoding="utf-8")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
                   f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=3000",
                   (tmp_path / "index.html").as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, check=True, timeout=60)
        return done.stdout.decode()

    return show


def test_a_browser_shows_the_table_a_page_at_a_time(shown: Callable[[str], str]) -> None:
    found = facts(outcomes=tuple(outcome(n) for n in range(10_000)))
    text = shown(batch_page(found))
    assert "1 to 50 of 10,000" in text
    body = text.split('id="scenes"')[1].split("</table>")[0].split("<tbody>")[1]
    assert body.count("<tr>") == 50
    assert '<a href="./ortho_00049/">ortho_00049</a>' in body


def test_a_browser_runs_nothing_that_a_scene_brings(shown: Callable[[str], str]) -> None:
    alarm = "<script>document.title='broken into'</script><img src=x onerror=document.title=1>"
    outcomes = (outcome(1, scene_id=alarm, warnings=(alarm,)), failed(2, alarm))
    page = batch_page(facts(outcomes=outcomes, address=f"/maps/{alarm}"))
    text = shown(page)
    assert "1 to 2 of 2" in text  # our own script did run
    assert "document.title=1&gt;: land cover</title>" in text
    # Even where a mistake let markup through, the page's policy would not run it.
    broken = page.replace("<h2>Classes</h2>", "<script>document.title='in'</script>")
    assert "<title>in</title>" not in shown(broken)
    without = re.sub(r"<meta http-equiv[^>]*>", "", broken)
    assert "<title>in</title>" in shown(without)


@pytest.mark.parametrize(
    "boxes",
    [[(126.5, 34.0, 126.5, 34.0)], [(-180.0, -90.0, 180.0, 90.0)], [(179.5, 70.0, -179.5, 71.0)],
     [(1.0, 2.0, 1.1, 2.1), (1.0, 60.0, 1.1, 89.9)], [(0.0, 0.0, 0.001, 0.001)]],
)  # fmt: skip
def test_footprints_lie_inside_their_picture(boxes: list[Any]) -> None:
    svg = ET.fromstring(footprints_svg([(box, "#3f8f5f") for box in boxes]))
    _, _, wide, tall = map(float, svg.attrib["viewBox"].split())
    shapes = [e.attrib["d"] for e in svg.iter("path") if "fill" in e.attrib]
    rects = [tuple(map(float, r)) for d in shapes
             for r in re.findall(r"M([-\d.]+) ([-\d.]+)h([-\d.]+)v([-\d.]+)", d)]  # fmt: skip
    assert len(rects) == len(boxes) + sum(b[0] > b[2] for b in boxes)
    for x, y, w, h in rects:
        assert 0 <= x < x + w <= wide + 3
        assert 0 <= y < y + h <= tall + 3
    assert list(svg.iter("text")), "no line of longitude or latitude has a name"


# Counters

PROGRESS = Progress(
    at="2026-11-20T22:09:58Z", session="000002-20261120T230000Z", host="login1", pid=8,
    scenes={"waiting": 10, "running": 2}, blocks_done=50, blocks_known=150, in_flight=8, workers=4,
    px_done=200_000_000, elapsed_s=100.0,
)  # fmt: skip


def test_counters_are_what_prometheus_reads(tmp_path: Path) -> None:
    address = 'C:\\maps\n"2026"'
    file = tmp_path / "geoseg.prom"
    write_metrics(file, metrics_text(facts(address=address), PROGRESS, running=True))
    assert [p.name for p in tmp_path.iterdir()] == ["geoseg.prom"]
    families = {f.name: f for f in text_string_to_metric_families(file.read_text())}
    samples = {
        (s.name, *sorted(s.labels.items())): s.value for f in families.values() for s in f.samples
    }
    root = ("root", address)

    def value(name: str, *labels: tuple[str, str]) -> float:
        return samples[(f"geoseg_batch_{name}", *sorted([root, *labels]))]

    assert value("scenes", ("state", "done")) == 3
    assert value("scenes", ("state", "running")) == 0
    assert value("pixels_total") == 3 * 146_940_000 + 6
    assert value("worker_seconds_total") == 5 * 412.25
    assert value("class_pixels_total", ("class", "road")) == 3_000_006
    assert value("running") == 1
    assert value("blocks_in_flight") == 8
    end = datetime(2026, 11, 20, 22, 10, tzinfo=UTC).timestamp()
    assert value("last_complete_timestamp_seconds") == end
    assert value("last_end_timestamp_seconds", ("reason", "scenes_failed")) == end
    assert "geoseg_batch_last_success_timestamp_seconds" not in families  # one scene failed
    for family in families.values():
        assert family.type == ("counter" if family.samples[0].name.endswith("_total") else "gauge")
        assert family.documentation


def test_counters_of_a_session_that_ended_well_are_at_rest() -> None:
    found = facts(sessions=(replace(SESSION, exit_reason="done"),))
    text = metrics_text(found, PROGRESS, running=False)
    assert 'geoseg_batch_running{root="/maps/2026"} 0' in text
    assert "geoseg_batch_last_success_timestamp_seconds{" in text
    assert "workers{" not in text
    assert list(text_string_to_metric_families(metrics_text(NOTHING, None, running=False)))


# Status

WORKING = Session(
    session=PROGRESS.session, started="2026-11-20T22:08:00Z", host="login1", pid=8
)  # fmt: skip


def status(
    outcomes: tuple[SceneOutcome, ...] = OUTCOMES,
    session: Session | None = WORKING,
    progress: Progress | None = PROGRESS,
    at: str = "2026-11-20T22:10:00Z",
) -> BatchStatus:
    sessions = (SESSION,) if session is None else (SESSION, session)
    return batch_status("/maps", outcomes, sessions, progress, at=at)


def over(reason: str) -> Session:
    return replace(WORKING, ended="2026-11-20T22:09:59Z", exit_reason=reason)


DONE, FAILED = (outcome(1),), (outcome(1), failed(2, "x"))
LEFT = (outcome(1), outcome(2, "running"))


@pytest.mark.parametrize(
    ("outcomes", "session", "at", "activity", "code"),
    [
        (DONE, over("done"), "22:10:00", "idle", 0),
        (FAILED, over("scenes_failed"), "22:10:00", "idle", 3),
        (LEFT, over("interrupted"), "22:10:00", "idle", 4),
        ((*LEFT, *FAILED[1:]), over("time_limit"), "22:10:00", "idle", 4),
        (DONE, over("cluster"), "22:10:00", "idle", 4),  # it may not have come to the new ones
        (LEFT, over("killed"), "22:10:00", "idle", 4),
        (LEFT, WORKING, "22:10:00", "working", 0),
        ((*LEFT, *FAILED[1:]), WORKING, "22:10:00", "working", 3),
        (LEFT, WORKING, "22:20:00", "silent", 4),
        (DONE, WORKING, "22:20:00", "silent", 4),
        (LEFT, WORKING, "22:05:00", "working", 0),  # its clock is ahead of ours
    ],
)
def test_activity_and_exit_code(
    outcomes: tuple[SceneOutcome, ...], session: Session, at: str, activity: str, code: int
) -> None:
    progress = replace(PROGRESS, scenes={})
    found = status(outcomes, session, progress, at=f"2026-11-20T{at}Z")
    assert (found.activity, found.exit_code) == (activity, code)
    if activity != "working":
        assert found.scenes["running"] == 0
        assert (found.mpx_per_s, found.left_s) == (None, None)
    assert found.lines()


def test_a_session_that_has_just_begun_is_not_judged_by_the_one_before() -> None:
    old = replace(PROGRESS, session=SESSION.session, at="2026-11-01T00:00:00Z")
    found = status(progress=old, at="2026-11-20T22:08:30Z")
    assert (found.activity, found.silent_s, found.progress) == ("working", 30, None)
    assert found.left_s is None


def test_a_scene_that_ended_since_the_last_sign_of_life_counts_once() -> None:
    now = (outcome(1), outcome(2, "running"), outcome(3, "running"))
    found = status(now, progress=replace(PROGRESS, scenes={"waiting": 0, "running": 3}))
    assert dict(found.scenes) == {"waiting": 0, "running": 2, "done": 1, "failed": 0}


def test_speed_and_time_left() -> None:
    running = tuple(outcome(n, "running") for n in (10, 11))
    waiting = tuple(outcome(n, "waiting", blocks=0, blocks_done=0) for n in range(20, 25))
    found = status((*OUTCOMES, *running, *waiting))
    assert found.mpx_per_s == 2.0
    assert dict(found.scenes) == {"waiting": 6, "running": 2, "done": 3, "failed": 1}
    # 100 blocks of planned scenes, and 6 scenes of 36 blocks, at 2 s each.
    assert found.left_s == pytest.approx((100 + 6 * 36) * 2)
    assert "2.0 Mpx/s, about 11 min left" in dict(found.lines())["speed"]
    nothing_yet = status(progress=replace(PROGRESS, blocks_done=0, px_done=0))
    assert nothing_yet.left_s is None
    unplanned = (outcome(5, "waiting", blocks=0, blocks_done=0),)
    assert status(unplanned).left_s is None
    planned = tuple(outcome(n, "waiting", blocks_done=0) for n in range(6))
    asked_for = replace(PROGRESS, scenes={"waiting": 6})
    assert status(planned, progress=asked_for).left_s == pytest.approx(100 * 2)


def test_no_scene_counts_twice_where_the_ledger_is_ahead() -> None:
    progress = replace(PROGRESS, scenes={"waiting": 2, "running": 2})
    states = ("done", "done", "running", "waiting")
    found = status(tuple(outcome(n, state) for n, state in enumerate(states)), progress=progress)
    assert dict(found.scenes) == {"waiting": 1, "running": 1, "done": 2, "failed": 0}


def test_blocks_of_scenes_at_work_are_counted() -> None:
    known = (outcome(1), outcome(2, "running", blocks=100, blocks_done=0))
    progress = replace(PROGRESS, blocks_known=136, blocks_done=90)
    found = status(known, progress=progress)
    assert (found.blocks_done, found.blocks) == (90, 136)


def test_names_of_files_do_not_move_the_cursor() -> None:
    found = status((failed(1, "bad\x1b[2J\nfile\u202e"),))
    text = "".join(label + line for label, line in found.lines())
    assert text.isprintable()
    assert "bad\ufffd[2J\ufffdfile\ufffd" in text


def test_only_some_failures_are_shown() -> None:
    found = status(tuple(failed(n, "no band 4") for n in range(500)))
    assert len(found.lines()) < 30
    assert found.lines()[-1] == ("", "and 490 more: --failed lists them all")


# The command


@pytest.fixture
def batch(tmp_path: Path) -> PlainRoot:
    """A batch with a failed scene, after its session."""
    root = PlainRoot(tmp_path / "maps")
    begun = begin_session(root, at=datetime.now(UTC), host="login1", pid=1)
    ledger = Ledger(root, begun.session)
    for found in (outcome(1), failed(2, "no band\x074"), failed(3, "no band 5")):
        ledger.put(found)
    ledger.compact()
    end_session(root, replace(begun, ended=begun.started, exit_reason="scenes_failed"))
    return root


def test_the_command_tells_and_exits_with_the_code(batch: PlainRoot) -> None:
    found = CliRunner().invoke(status_command, [str(batch.folder)])
    assert found.exit_code == 3, found.output
    assert "scenes       3: 1 done, 0 running, 0 waiting, 2 failed" in found.stdout
    assert "last session all scenes done but those that failed" in found.stdout
    found = CliRunner().invoke(status_command, [str(batch.folder), "--json"])
    (line,) = found.stdout.splitlines()
    data = json.loads(line)
    assert (data["event"], data["exit_code"], found.exit_code) == ("batch_status", 3, 3)
    assert data["finished"] is True
    assert CliRunner().invoke(status_command, [str(batch.folder), "-q"]).output == ""


def test_failures_alone(batch: PlainRoot) -> None:
    found = CliRunner().invoke(status_command, [str(batch.folder), "--failed"])
    assert found.stdout.splitlines() == [
        "ortho_00002: no band\ufffd4 (Look at it.)",
        "ortho_00003: no band 5 (Look at it.)",
    ]
    found = CliRunner().invoke(status_command, [str(batch.folder), "--failed", "--json"])
    assert [json.loads(line)["scene_id"] for line in found.stdout.splitlines()] == [
        "ortho_00002", "ortho_00003",
    ]  # fmt: skip


def test_a_client_at_work_is_told(batch: PlainRoot) -> None:
    now = datetime.now(UTC)
    begun = begin_session(batch, at=now, host="login1", pid=4711)
    found = CliRunner().invoke(status_command, [str(batch.folder)])
    assert "starting: login1, process 4711" in found.stdout
    write_progress(batch, replace(PROGRESS, session=begun.session, at=utc_text(now)))
    found = CliRunner().invoke(status_command, [str(batch.folder), "--json"])
    assert json.loads(found.stdout)["activity"] == "working"


def test_a_folder_without_a_batch(tmp_path: Path) -> None:
    found = CliRunner().invoke(status_command, [str(tmp_path), "--json"])
    assert json.loads(found.stdout)["message"] == f"{tmp_path} holds no batch"
    assert found.exit_code == 1
    write_job(PlainRoot(tmp_path), JOB)  # asked for, and never begun
    found = CliRunner().invoke(status_command, [str(tmp_path)])
    assert found.exit_code == 0, found.output
