"""The engine is found, judged, called and stopped without QGIS."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from geoseg_qgis import child, engine, jobs
from geoseg_qgis.engine import EngineError
from geoseg_qgis.jobs import Follower, JobStore, State

PLUGIN = Path(engine.__file__).parent
WITHOUT_QGIS = (
    "cards", "child", "engine", "environment", "estimate", "history", "jobs",
    "labels", "machine", "options", "progress", "report", "text",
)  # fmt: skip


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda p: p.stem)
def test_nothing_heavy_is_imported_anywhere(path):
    allowed = set(sys.stdlib_module_names) | {"qgis", "osgeo", "processing"}
    assert imports_of(path) <= allowed


@pytest.mark.parametrize("name", WITHOUT_QGIS)
def test_the_engine_s_side_does_not_know_qgis(name):
    assert imports_of(PLUGIN / f"{name}.py") <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda p: p.stem)
def test_qt_is_taken_from_qgis_and_never_directly(path):
    text = path.read_text(encoding="utf-8")
    assert "PyQt5" not in text
    assert "PyQt6" not in text
    assert "exec_(" not in text


@pytest.mark.parametrize("path", sorted(PLUGIN.rglob("*.py")), ids=lambda p: p.stem)
def test_members_of_qt_s_enumerations_are_scoped(path):
    """Qt 6 knows Qt.AlignmentFlag.AlignTop and not Qt.AlignTop."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.")
        for alias in node.names
    }
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    bare = [
        f"{node.lineno}: {node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in classes
        and node.attr[0].isupper()
        and id(node) not in inner
    ]
    # Classes inside classes, and a text.
    allowed = {
        "LayerDetails", "SaveVectorOptions", "SourceType", "Type", "LayerHint", "QGIS_VERSION",
    }  # fmt: skip
    assert [x for x in bare if x.rpartition(".")[2] not in allowed] == []


def test_the_setting_comes_before_our_own_before_path(tmp_path, fake_engine):
    setting = fake_engine(folder="chosen by hand")
    own = fake_engine(folder="own/bin")
    path = fake_engine(folder="path")
    both = (own.parent.parent, str(path.parent))
    assert engine.find_engine(str(setting), *both) == setting
    assert engine.find_engine(str(setting.parent), *both) == setting
    assert engine.find_engine("", *both) == own
    assert engine.find_engine("", tmp_path / "nothing here", both[1]) == path


def test_a_missing_engine_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(EngineError) as caught:
        engine.find_engine("", None, str(tmp_path))
    assert str(caught.value) == "The geoseg engine is not installed"
    assert "Engine page" in caught.value.failure.hint


def test_a_setting_that_leads_nowhere_is_not_replaced_by_another_engine(tmp_path, fake_engine):
    path = fake_engine(folder="path")
    with pytest.raises(EngineError, match="is not at"):
        engine.find_engine(str(tmp_path / "gone"), None, str(path.parent))


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("geoseg, version 0.1.0", "0.1.0"),
        ("geoseg, version 1.20", "1.20.0"),
        ("warning: x\ngeoseg, version 0.3.0.dev1\n", "0.3.0.dev1"),
    ],
)
def test_versions_are_read(output, version):
    assert engine.checked_version(Path("geoseg"), 0, output).version == version


def test_an_old_engine_is_refused():
    with pytest.raises(EngineError, match=r"geoseg 0\.0\.9 is too old, .* needs 0\.1\.0 or newer"):
        engine.checked_version(Path("geoseg"), 0, "geoseg, version 0.0.9")


@pytest.mark.parametrize(
    ("code", "output"), [(1, "ImportError: no torch"), (0, "hello"), (127, "")]
)
def test_a_broken_engine_is_refused_with_its_last_line(code, output):
    with pytest.raises(EngineError, match="does not work") as caught:
        engine.checked_version(Path("geoseg"), code, output)
    assert (output or "printed nothing") in str(caught.value)


def test_what_qgis_sets_does_not_reach_the_engine(tmp_path):
    foreign = {
        "PYTHONHOME": "/q", "PYTHONPATH": "/q", "PROJ_LIB": "/q", "PROJ_DATA": "/q",
        "GDAL_DATA": "/q", "GDAL_DRIVER_PATH": "/q", "LD_LIBRARY_PATH": "/q",
        "QT_PLUGIN_PATH": "/q", "QGIS_PREFIX_PATH": "/q", "DYLD_LIBRARY_PATH": "/q",
        "SSL_CERT_FILE": "C:\\OSGeo4W\\bin\\curl-ca-bundle.crt", "CPL_DEBUG": "ON",
    }  # fmt: skip
    kept = {
        "HOME": "/h", "HTTPS_PROXY": "http://p", "CUDA_VISIBLE_DEVICES": "1",
        "AWS_PROFILE": "x", "LANG": "ko_KR.UTF-8", "GDAL_HTTP_PROXY": "p:1",
    }  # fmt: skip
    clean = engine.clean_environment({**foreign, **kept, "PATH": "/bin"}, tmp_path / "geoseg")
    assert set(clean) & set(foreign) == set()
    assert {name: clean[name] for name in kept} == kept
    assert clean["PATH"].split(os.pathsep)[0] == str(tmp_path)


def test_a_certificate_of_the_user_s_own_is_kept():
    clean = engine.clean_environment({"SSL_CERT_FILE": "/etc/ssl/our-ca.pem"})
    assert clean["SSL_CERT_FILE"] == "/etc/ssl/our-ca.pem"


def test_lines_that_are_no_events_are_passed_over():
    assert engine.parse_event('{"event": "block"}') == {"event": "block"}
    assert engine.parse_event("Downloading ...") is None
    assert engine.parse_event("[1, 2]") is None


COMMAND = ["geoseg", "run", "/data/my scene.tif", "--out", "/data/{name} 한글"]


def test_a_batch_command_gets_the_line_as_one_word():
    words = engine.batch_command(
        "sbatch --job-name={name} --wrap {command}", COMMAND, name="town", out="/out"
    )
    assert words[:3] == ["sbatch", "--job-name=town", "--wrap"]
    assert shlex.split(words[3]) == COMMAND


def test_a_batch_command_gets_the_line_as_words():
    words = engine.batch_command("qsub -N {name} -- {arguments}", COMMAND, name="a b", out="")
    assert words == ["qsub", "-N", "a b", "--", *COMMAND]


@pytest.mark.parametrize(
    "template",
    [
        "sbatch job.sh", "", "sbatch --wrap '{command}", "ssh host \"bash -lc '{command}'\"",
        "sbatch --wrap 'echo \"{name}\"; {command}'",
    ],
)  # fmt: skip
def test_a_batch_command_that_cannot_work_is_refused(template):
    with pytest.raises(EngineError):
        engine.batch_command(template, COMMAND, name="x", out="")


def test_names_of_files_are_no_commands_in_a_batch_command(tmp_path):
    out = str(tmp_path / "a'; touch pwned; '")
    words = engine.batch_command(
        "sh -c 'mkdir -p {out} && {command}'", ["echo", "$(touch pwned)"], name="x", out=out
    )
    subprocess.run(words, check=True, cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [Path(out).name]
    words = engine.batch_command("ssh host cd {out}; {command}", COMMAND, name="x", out="/a b;c")
    assert words[:4] == ["ssh", "host", "cd", "'/a b;c';"]


def started(store, program, arguments=(), tied=False):
    job = store.create("run", {}, list(arguments), program=str(program), title="t")
    running = child.start(
        [str(program), *arguments], dict(os.environ), out=job.events, errors=job.log,
        folder=job.folder, tied=tied,
    )  # fmt: skip
    return store.started(job, running.mark), running


def waited(follower, seconds=20):
    events, end = [], time.monotonic() + seconds
    while not follower.is_over():
        assert time.monotonic() < end, "the child does not end"
        events += follower.poll()
        time.sleep(0.02)
    return events + follower.poll()


SAYS = "import json, time\ndef say(**e): print(json.dumps(e), flush=True)\n"


def test_events_come_one_by_one_and_halves_wait(tmp_path, fake_engine):
    program = fake_engine(
        SAYS + "say(event='plan', scene='한글')\nprint('noise', flush=True)\n"
        "print('{\"event\": \"fin', end='', flush=True)\ntime.sleep(0.3)\nprint('ished\"}')\n"
    )
    job, running = started(JobStore(tmp_path / "jobs"), program)
    follower = Follower(job, running)
    events = waited(follower)
    assert events == [{"event": "plan", "scene": "한글"}, {"event": "finished"}]
    assert follower.verdict() == (State.DONE, None)


def test_an_error_event_is_the_failure_with_its_advice(tmp_path, fake_engine):
    program = fake_engine(
        SAYS + "say(event='error', message='no CRS', hint='Assign one.', exit_code=1)\nsys.exit(1)"
    )
    follower = Follower(*started(JobStore(tmp_path / "jobs"), program))
    waited(follower)
    state, failure = follower.verdict()
    assert (state, str(failure)) == (State.FAILED, "no CRS. Assign one.")


def test_wrong_usage_is_told_by_its_last_words(tmp_path, fake_engine):
    program = fake_engine(
        "sys.stderr.write('Usage: geoseg run\\n\\nError: No such option: --x\\n')\nsys.exit(2)"
    )
    follower = Follower(*started(JobStore(tmp_path / "jobs"), program))
    waited(follower)
    assert str(follower.verdict()[1]) == "No such option: --x"


def test_stopping_asks_politely_and_killing_does_not(tmp_path, fake_engine):
    program = fake_engine(
        SAYS + "import signal\ndef end(*_):\n    say(event='error', message='stopped after 1 of 2 "
        "blocks', hint='Repeat', exit_code=130)\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\nsay(event='plan')\ntime.sleep(60)"
    )
    store = JobStore(tmp_path / "jobs")
    for kill, message in ((False, "stopped after 1 of 2 blocks"), (True, "was killed (signal 9)")):
        job, running = started(store, program)
        follower = Follower(job, running)
        while not follower.poll():
            time.sleep(0.02)
        child.stop(job.mark, running, kill=kill)
        waited(follower)
        state, failure = follower.verdict()
        assert state == State.STOPPED
        assert message in failure.message


def test_a_signal_reaches_a_child_of_a_background_process(tmp_path, fake_engine):
    """A shell's background jobs ignore Ctrl-C, and so do their children."""
    program = fake_engine('import time\nprint(\'{"event": "plan"}\', flush=True)\ntime.sleep(60)')
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job, running = started(JobStore(tmp_path / "jobs"), program)
    finally:
        signal.signal(signal.SIGINT, before)
    follower = Follower(job, running)
    while not follower.poll():
        time.sleep(0.02)
    child.stop(job.mark)
    waited(follower)


def test_a_later_process_finds_the_job_and_follows_it(tmp_path, fake_engine):
    """QGIS was closed or crashed: another one reads the same folder."""
    program = fake_engine(
        SAYS + "say(event='plan')\ntime.sleep(1.5)\nsay(event='finished', out='x')"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(PLUGIN.parent)!r})\n"
        "import os\nfrom pathlib import Path\nfrom geoseg_qgis import child, jobs\n"
        f"store = jobs.JobStore(Path({str(tmp_path / 'jobs')!r}))\n"
        f"job = store.create('run', {{}}, [], program={str(program)!r}, title='t')\n"
        f"c = child.start([{str(program)!r}], dict(os.environ), out=job.events, errors=job.log,"
        " folder=job.folder)\n"
        "store.started(job, c.mark)\nos._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (job,) = JobStore(tmp_path / "jobs").all()
    assert job.is_running()
    follower = Follower(job)
    assert [e["event"] for e in waited(follower)] == ["plan", "finished"]
    assert follower.verdict() == (State.DONE, None)


def test_a_tied_child_hears_that_its_parent_is_gone(tmp_path, fake_engine):
    program = fake_engine(SAYS + "say(event='plan')\nsys.stdin.read()\nsay(event='eof')")
    code = (
        f"import sys; sys.path.insert(0, {str(PLUGIN.parent)!r})\n"
        "import os, time\nfrom pathlib import Path\nfrom geoseg_qgis import child\n"
        f"out = Path({str(tmp_path / 'events')!r})\n"
        f"child.start([{str(program)!r}], dict(os.environ), out=out, errors=out, folder=out.parent,"
        " tied=True)\nwhile not out.read_text(): time.sleep(0.05)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    end = time.monotonic() + 10
    while "eof" not in (tmp_path / "events").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_of_the_same_number_is_another_one():
    mark = child.mark_of(os.getpid())
    assert child.is_running(mark)
    assert not child.is_running(child.ProcessMark(mark.pid, mark.started + "0"))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    mark = child.mark_of(gone.pid)
    while child.is_running(mark):  # a zombie does not count, though nobody has waited for it
        time.sleep(0.02)
    gone.wait()


def test_a_damaged_record_hides_no_other(tmp_path):
    store = JobStore(tmp_path / "작업 목록")
    job = store.create("run", {"OUT": "x"}, ["run"], program="geoseg", title="지도")
    bad = tmp_path / "작업 목록" / "bad"
    bad.mkdir()
    (bad / "job.json").write_text('{"command": ', encoding="utf-8")
    assert store.all() == [job]
    assert json.loads((job.folder / "job.json").read_text(encoding="utf-8"))["title"] == "지도"


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="Cannot write to"):
        JobStore(tmp_path / "file").create("run", {}, [], program="", title="")


def test_a_job_ends_though_its_record_cannot_be_written(tmp_path):
    """A profile folder on a full disk does not take the map away."""
    store = JobStore(tmp_path / "jobs")
    job = store.create("run", {}, ["run"], program="geoseg", title="a")
    shutil.rmtree(store.root)
    store.root.write_text("no folder any more")
    assert store.ended(job, State.DONE).state == State.DONE


def test_the_oldest_jobs_are_forgotten_whoever_makes_new_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_KEPT_JOBS", 3)
    store = JobStore(tmp_path / "jobs")
    made = [
        store.create("run", {}, ["run"], program="geoseg", title=str(number)) for number in range(6)
    ]
    assert [job.title for job in store.all()] == ["5", "4", "3"]
    assert not made[0].folder.exists()
