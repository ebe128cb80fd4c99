"""Real worker processes and schedulers: what they do when they are killed, unfit or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil
import pytest

from geoseg.errors import (
    ClusterError,
    ModelError,
    OutputError,
    TaskTimeoutError,
    WorkerDiedError,
)
from geoseg.options import ClusterOptions
from geoseg.run import fleet as fleet_module
from geoseg.run import questions
from geoseg.run import workers as workers_module
from geoseg.run.fleet import Arrival, Fleet, LostWorkError
from geoseg.run.folder_home import FolderRoot
from geoseg.run.place import WorkerContext
from geoseg.run.worker_check import WorkerCheck
from geoseg.run.workers import connected
from geoseg.version import __version__
from tests.dask_cluster import (
    ROOT,
    DaskCluster,
    all_gone,
    certificates,
    dask_cluster,
    listening,
    unused_address,
    worker_pids,
)
from tests.fakes import card_of

pytestmark = [
    pytest.mark.network,
    # Of sockets that a killed process leaves behind, and of loops that close with a task on them.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATIENCE_S = 60.0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_scenes_in_work_may_hold_their_locks(tmp_path: Path) -> None:
    """Each has a file open; of some hundred threads, more than the usual limit."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        with ExitStack() as held:
            held.enter_context(connected(ClusterOptions(processes=1, threads=1)))
            for number in range(300):
                held.enter_context(FolderRoot(tmp_path).home(f"s{number}").locked())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# Functions of the module travel to the workers by name.
def whoami(_context: WorkerContext) -> int:
    return os.getpid()


def facts(context: WorkerContext) -> tuple[int, str]:
    return context.slots, str(context.scratch)


def slowly(_context: WorkerContext, folder: Path, name: str) -> int:
    """Leave a mark, then work for a while."""
    (folder / f"{name}-{os.getpid()}").touch()
    time.sleep(1)
    return os.getpid()


def die(_context: WorkerContext, folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_context: WorkerContext, kind: str) -> None:
    if kind == "model":
        msg = "no such model"
        raise ModelError(msg, hint="make one") from OSError("cause")
    if kind == "os":
        raise PermissionError(13, "not yours")
    raise ZeroDivisionError(kind)


def collected(fleet: Fleet, count: int) -> dict[object, Arrival]:
    found: dict[object, Arrival] = {}
    until_s = time.monotonic() + PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < until_s, f"only {sorted(map(str, found))} came"
        for arrival in fleet.arrivals(0.2):
            assert arrival.key not in found, "came twice"
            found[arrival.key] = arrival
    return found


def wait_for_a_worker(fleet: Fleet) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not fleet.threads:
        assert time.monotonic() < until_s
        fleet.look(1)
        time.sleep(0.05)


@contextmanager
def frozen(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Stop a process as a node does that swaps itself to death."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def wait_for_workers(fleet: Fleet, count: int) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while len(fleet.workers) < count:
        assert time.monotonic() < until_s, "a worker did not come"
        fleet.look(1)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def local() -> Iterator[Fleet]:
    with connected(ClusterOptions(processes=1, threads=2)) as fleet:
        wait_for_a_worker(fleet)
        yield fleet


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as found:
        found.work()
        yield found


def test_tasks_run_in_processes_of_their_own_and_come_back_once(local: Fleet) -> None:
    assert local.threads == 3
    for i in range(20):
        local.submit(i, whoami, ())
    assert local.in_flight == 20
    found = collected(local, 20)
    assert local.in_flight == 0
    assert {a.result for a in found.values()} <= set(worker_pids(os.getpid()))
    assert local.arrivals(0.05) == []


def test_a_task_is_told_of_its_process(local: Fleet) -> None:
    local.submit("facts", facts, ())
    slots, scratch = collected(local, 1)["facts"].result
    assert slots == 2  # one thread more than that reads and writes
    assert not Path(scratch).exists()


@pytest.mark.parametrize(
    ("kind", "expected"), [("model", ModelError), ("os", PermissionError), ("x", ZeroDivisionError)]
)
def test_errors_of_tasks_keep_their_type(local: Fleet, kind: str, expected: type) -> None:
    """An OSError of the task's own is no lost worker."""
    local.submit("bad", fail, (kind,))
    error = collected(local, 1)["bad"].error
    assert type(error) is expected
    if isinstance(error, ModelError):
        assert error.hint == "make one"


def test_forgotten_tasks_are_not_heard_of(local: Fleet, tmp_path: Path) -> None:
    for name in "abc":
        local.submit(name, slowly, (tmp_path, name))
    local.forget({"a", "b"})
    assert local.keys == ["c"]
    assert set(collected(local, 1)) == {"c"}
    assert local.arrivals(1.5) == []


def test_work_of_a_killed_worker_is_done_again(local: Fleet, tmp_path: Path) -> None:
    names = [str(i) for i in range(4)]
    for name in names:
        local.submit(name, slowly, (tmp_path, name))
    while not list(tmp_path.iterdir()):
        time.sleep(0.02)
    (victim,) = {int(path.name.split("-")[1]) for path in tmp_path.iterdir()}
    os.kill(victim, signal.SIGKILL)
    found = collected(local, 4)
    assert set(found) == set(names)
    died = [name for name, a in found.items() if a.error is not None]
    assert died
    assert all(isinstance(found[name].error, WorkerDiedError) for name in died)
    for name in died:  # as the driver does
        local.submit(name, slowly, (tmp_path, name))
    again = collected(local, len(died))
    assert all(a.error is None and a.result != victim for a in again.values())


def test_a_task_that_kills_its_worker_is_told_at_once(local: Fleet, tmp_path: Path) -> None:
    """The scheduler does not try it on one worker after the other: the driver decides."""
    local.submit("deadly", die, (tmp_path,))
    assert isinstance(collected(local, 1)["deadly"].error, WorkerDiedError)
    assert len(list(tmp_path.iterdir())) == 1
    local.submit("next", whoami, ())
    assert collected(local, 1)["next"].error is None


def test_a_local_cluster_listens_on_the_loopback_address_only_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with connected(ClusterOptions(processes=2, threads=1)) as fleet:
        until_s = time.monotonic() + PATIENCE_S
        while len(fleet.workers) < 2:
            assert time.monotonic() < until_s
            fleet.look(1)
            time.sleep(0.1)
        assert fleet.threads == 4
        new = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
        assert len(worker_pids(os.getpid())) >= 2
        assert listening([psutil.Process(), *new]) == {"127.0.0.1"}
    assert all_gone([p.pid for p in new if "resource_tracker" not in " ".join(_words(p))])


CANNOT_START = """
import logging
from geoseg.errors import ClusterError
from geoseg.options import ClusterOptions
from geoseg.run import workers
workers._LOCAL = "192.0.2.1"  # an address of no machine
before = logging.getLogger("asyncio").level
try:
    with workers.connected(ClusterOptions(processes=1, threads=1)):
        print("connected")
except ClusterError as error:
    print(error)
    print(error.hint)
assert logging.getLogger("asyncio").level == before != logging.CRITICAL
"""


def test_workers_that_cannot_start_here_are_one_line() -> None:
    """And what asyncio logs elsewhere in this process is as loud afterwards as before."""
    done = subprocess.run(
        [sys.executable, "-c", CANNOT_START], capture_output=True, text=True, check=True,
        timeout=120, cwd=ROOT,
    )  # fmt: skip
    told, hint = done.stdout.splitlines()
    assert told.startswith("cannot start 1 worker process(es) on this machine: ")
    assert "--processes" in hint


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def test_where_nothing_listens_it_says_so_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_CONNECT_S", 2)
    address = unused_address()
    start_s = time.monotonic()
    with (
        pytest.raises(ClusterError, match=f"cannot reach the scheduler {address}") as caught,
        connected(ClusterOptions(scheduler=address)),
    ):
        pytest.fail("connected to nothing")
    assert time.monotonic() - start_s < 10
    assert "\n" not in str(caught.value)
    assert "running" in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "no such file", "http://host/x", "tcp://", "tcp://host"])
def test_what_is_no_scheduler_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_CONNECT_S", 1)
    with pytest.raises(ClusterError) as caught, connected(ClusterOptions(scheduler=text)):
        pytest.fail("connected")
    assert caught.value.hint


def test_a_file_that_is_no_scheduler_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    for text in ("no json", "{}", "[]"):
        path.write_text(text)
        with (
            pytest.raises(ClusterError, match="is no scheduler file"),
            connected(ClusterOptions(scheduler=str(path))),
        ):
            pytest.fail("connected")


@pytest.mark.parametrize("by", ["address", "file"])
def test_a_foreign_scheduler(cluster: DaskCluster, by: str) -> None:
    where = cluster.address if by == "address" else str(cluster.file)
    with connected(ClusterOptions(scheduler=where)) as fleet:
        wait_for_a_worker(fleet)
        fleet.submit("a", whoami, ())
        fleet.submit("b", facts, ())
        found = collected(fleet, 2)
        assert found["a"].result in {p.pid for p in cluster.processes}
        assert found["b"].result[0] == 2
    assert cluster.scheduler.poll() is None, "somebody else's scheduler was closed"


def test_a_scheduler_that_is_killed_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "_CONNECT_S", 3)
    with dask_cluster(tmp_path) as own:
        own.work()
        with connected(ClusterOptions(scheduler=own.address)) as fleet:
            wait_for_a_worker(fleet)
            fleet.submit("a", slowly, (tmp_path, "a"))
            own.scheduler.kill()
            arrival = collected(fleet, 1)["a"]
            assert isinstance(arrival.error, LostWorkError)
            monkeypatch.setattr(fleet_module, "_REFRESH_S", 0)
            with pytest.raises(ClusterError, match="does not answer"):
                fleet.look(1)


def hang_first(_context: WorkerContext, folder: Path, name: str) -> int:
    """Leave a mark, and never return where there was none."""
    mark = folder / name
    is_first = not mark.exists()
    mark.touch()
    while is_first:
        time.sleep(0.1)
    return os.getpid()


def took_too_long(arrival: Arrival, text: str) -> None:
    assert isinstance(arrival.error, TaskTimeoutError)
    assert str(arrival.error) == f"took longer than {text}"
    assert "--task-timeout" in str(arrival.error.hint)


def test_tasks_that_hang_are_taken_back_and_tried_elsewhere(tmp_path: Path) -> None:
    """The time of those that wait behind them does not run; their process goes on."""
    with dask_cluster(tmp_path / "dask") as own:
        first = own.work(threads=4)
        with connected(ClusterOptions(scheduler=own.address), task_timeout_s=3) as fleet:
            wait_for_workers(fleet, 1)
            for name in "abc":
                fleet.submit(name, hang_first, (tmp_path, name))
            for i in range(4):  # 1 s each, at first one at a time: more than 3 s in all
                fleet.submit(i, slowly, (tmp_path, str(i)))
            found = collected(fleet, 7)
            for name in "abc":
                took_too_long(found.pop(name), "3 s")
            assert [a.error for a in found.values()] == [None] * 4
            second = own.work(threads=4)
            wait_for_workers(fleet, 2)
            for name in "abc":
                fleet.submit(name, hang_first, (tmp_path, name))
            assert {a.result for a in collected(fleet, 3).values()} == {second.pid}
            assert first.poll() is None


def test_a_process_full_of_hung_tasks_stays_where_nobody_starts_it_anew(tmp_path: Path) -> None:
    with dask_cluster(tmp_path / "dask") as own:
        worker = own.work(threads=1)
        with connected(ClusterOptions(scheduler=own.address), task_timeout_s=2) as fleet:
            wait_for_workers(fleet, 1)
            fleet.submit("a", hang_first, (tmp_path, "a"))
            took_too_long(collected(fleet, 1)["a"], "2 s")
            time.sleep(fleet_module._FAREWELL_S + 1)
            fleet.submit("a", hang_first, (tmp_path, "a"))
            assert collected(fleet, 1)["a"].result == worker.pid


def test_errors_of_a_task_in_time_are_its_own(local: Fleet) -> None:
    local._task_timeout_s = 60
    try:
        for kind in ("model", "os", "x"):
            local.submit(kind, fail, (kind,))
        local.submit("facts", facts, ())
        found = collected(local, 4)
    finally:
        local._task_timeout_s = None
    assert [type(found[kind].error) for kind in ("model", "os", "x")] == [
        ModelError, PermissionError, ZeroDivisionError,
    ]  # fmt: skip
    assert found["facts"].result[0] == 2


def test_a_process_full_of_hung_tasks_starts_anew_and_its_other_work_is_not_blamed(
    tmp_path: Path,
) -> None:
    with connected(ClusterOptions(processes=1, threads=1), task_timeout_s=2.5) as fleet:
        wait_for_a_worker(fleet)
        fleet.submit("who", whoami, ())
        before = collected(fleet, 1)["who"].result
        for name in "ab":  # as many as it has threads
            fleet.submit(name, hang_first, (tmp_path, name))
        found = collected(fleet, 2)
        for arrival in found.values():
            took_too_long(arrival, "2.5 s")
        for i in range(8):  # four seconds for two threads, of which the process has two left
            fleet.submit(i, slowly, (tmp_path, str(i)))
        rest = collected(fleet, 8)
        assert [a.error for a in rest.values()] == [None] * 8
        assert len({a.result for a in rest.values()} - {before}) == 1
        assert all_gone([before])


def test_work_of_a_frozen_worker_is_done_by_others_when_the_scheduler_gives_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread of it can tell that a task takes too long."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "1s")  # at least 5 s, it says
    with dask_cluster(tmp_path / "dask") as own:
        worker = own.work()
        with connected(ClusterOptions(scheduler=own.address), task_timeout_s=1.5) as fleet:
            wait_for_workers(fleet, 1)
            fleet.submit("a", slowly, (tmp_path, "a"))
            while not list(tmp_path.glob("a-*")):
                time.sleep(0.02)
            with frozen(worker):
                other = own.work()
                assert collected(fleet, 1)["a"].result == other.pid


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DaskCluster, Path]]:
    """A cluster that wants certificates, and the folder of the right ones."""
    folder = tmp_path_factory.mktemp("tls")
    ca, cert, key = certificates(folder / "pki")
    flags = ("--tls-ca-file", str(ca), "--tls-cert", str(cert), "--tls-key", str(key))
    with dask_cluster(folder / "dask", *flags, scheme="tls") as found:
        found.work()
        yield found, folder / "pki"


def test_tls(guarded: tuple[DaskCluster, Path]) -> None:
    cluster, pki = guarded
    options = ClusterOptions(
        scheduler=cluster.address, tls_ca=pki / "cert.pem", tls_cert=pki / "cert.pem",
        tls_key=pki / "key.pem",
    )  # fmt: skip
    with connected(options) as fleet:
        wait_for_a_worker(fleet)
        fleet.submit("a", whoami, ())
        assert collected(fleet, 1)["a"].error is None


def test_a_tls_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    there = tmp_path / "there.pem"
    there.touch()
    options = ClusterOptions(
        scheduler="tls://127.0.0.1:9", tls_ca=there, tls_cert=tmp_path / "no.pem", tls_key=there
    )
    with pytest.raises(ClusterError, match=r"no\.pem, named by --tls-cert"), connected(options):
        pass


STRANGER = """
import sys
from geoseg.errors import ClusterError
from geoseg.options import ClusterOptions
from geoseg.run import workers
workers._CONNECT_S = 2
where, *files = sys.argv[1:]
named = dict(zip(("tls_ca", "tls_cert", "tls_key"), files))
try:
    with workers.connected(ClusterOptions(scheduler=where, **named)):
        print("let in")
except ClusterError as error:
    print(error)
    print(error.hint)
"""


@pytest.mark.parametrize("who", ["other certificates", "no certificates", "no encryption"])
def test_strangers_are_not_let_in(
    guarded: tuple[DaskCluster, Path], tmp_path: Path, who: str
) -> None:
    """In a process each, as clients that did not connect leave threads behind."""
    address = guarded[0].address
    files = certificates(tmp_path) if who == "other certificates" else ()
    where = address.replace("tls", "tcp") if who == "no encryption" else address
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, where, *map(str, files)],
        capture_output=True, text=True, check=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    told, hint = done.stdout.splitlines()
    assert told.startswith(f"cannot reach the scheduler {where}: ")
    assert "--tls-ca" in hint


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"fake")
    card_of(3).write(folder)
    return folder


def checked(cluster: DaskCluster, root: Path, model: Path, *scenes: str, others: int = 1) -> str:
    """Return what the check says of a cluster; empty where all is well."""
    found = ""
    with connected(ClusterOptions(scheduler=cluster.address)) as fleet:
        until_s = time.monotonic() + PATIENCE_S
        while len(fleet.workers) < others:
            assert time.monotonic() < until_s, "no worker"
            fleet.look(1)
            time.sleep(0.1)
        check = WorkerCheck(fleet, FolderRoot(root), str(model), scenes, warn=pytest.fail)
        with closing(check):
            try:
                check()
            except ClusterError as error:
                found = f"{error}\n{error.hint}"
    assert [p.name for p in (root / ".batch").iterdir()] == []
    return found


def test_fit_workers_pass(cluster: DaskCluster, tmp_path: Path, model: Path) -> None:
    scene = tmp_path / "scene.tif"
    scene.touch()
    assert checked(cluster, tmp_path / "out", model, str(scene), "https://host/x.tif") == ""


OTHER_MODEL = """
from dataclasses import replace
import geoseg.run.scene_tasks as tasks
from geoseg.model.registry import find_model

def find(name):
    folder, card = find_model(name)
    return folder, replace(card, weights_sha256="0" * 64)

tasks.find_model = find
"""
NO_SCENE = """
import os
import pathlib
pathlib.Path.exists = lambda path: path.name != "scene.tif" and os.path.exists(path)
"""


def worker_with(cluster_folder: Path, code: str) -> tuple[str, ...]:
    preload = cluster_folder / "preload.py"
    cluster_folder.mkdir(parents=True, exist_ok=True)
    preload.write_text(code)
    return ("--preload", str(preload))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (
            "import geoseg.version\ngeoseg.version.__version__ = '0.0.1'",
            f"has geoseg 0.0.1, this machine has {__version__}",
        ),
        ("import sys\nsys.modules['geoseg'] = None", "cannot run geoseg"),
        (
            "import geoseg.run.folder_home as f\nf.FolderRoot.read_text = lambda *_: None",
            "does not see what this machine writes to",
        ),
        (
            OTHER_MODEL,
            "has another model",
        ),
        (
            NO_SCENE,
            "scene.tif, which is on this machine",
        ),
    ],
    ids=["version", "no geoseg", "root", "model", "scene"],
)
def test_unfit_workers_are_told_of_in_one_line(
    tmp_path: Path, model: Path, code: str, expected: str
) -> None:
    scene = tmp_path / "scene.tif"
    scene.touch()
    with dask_cluster(tmp_path / "dask") as own:
        own.work(flags=worker_with(tmp_path / "dask", code))
        told = checked(own, tmp_path / "out", model, str(scene))
    message, hint = told.splitlines()
    assert message.startswith("worker tcp://127.0.0.1:")
    assert expected in message
    assert hint


def test_a_worker_that_cannot_write_is_told_of(
    cluster: DaskCluster, tmp_path: Path, model: Path
) -> None:
    root = FolderRoot(tmp_path / "out")
    with connected(ClusterOptions(scheduler=cluster.address)) as fleet:
        wait_for_a_worker(fleet)
        check = WorkerCheck(fleet, root, str(model), (), warn=pytest.fail)
        (tmp_path / "out" / ".batch").rename(tmp_path / "elsewhere")
        (tmp_path / "out" / ".batch").write_text("a file where a folder was")
        with pytest.raises(ClusterError, match=r"worker tcp://.*: cannot write"):
            check()


def test_the_check_itself_refuses_a_root_that_cannot_be_written(
    local: Fleet, tmp_path: Path, model: Path
) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError):
        WorkerCheck(local, FolderRoot(tmp_path / "out"), str(model), (), warn=pytest.fail)


def test_a_frozen_worker_holds_up_no_other_and_is_heard_when_it_thaws(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_ANSWER_S", 8.0)
    monkeypatch.setattr(fleet_module, "_REFRESH_S", 0.0)
    warnings: list[str] = []
    with dask_cluster(tmp_path / "dask") as own:
        own.work()
        unfit = own.work(flags=worker_with(tmp_path / "dask", OTHER_MODEL))
        with connected(ClusterOptions(scheduler=own.address)) as fleet:
            wait_for_workers(fleet, 2)
            root = FolderRoot(tmp_path / "out")
            with closing(WorkerCheck(fleet, root, str(model), (), warn=warnings.append)) as check:
                with frozen(unfit):
                    start_s = time.monotonic()
                    check()
                    assert time.monotonic() - start_s < 30
                    assert [line.split(",")[0] for line in warnings] == [
                        "1 worker(s) do not answer"
                    ]
                    assert not fleet.look(1), "it is told once"
                    check()
                    assert len(warnings) == 1
                until_s = time.monotonic() + PATIENCE_S
                while not fleet.look(1):
                    assert time.monotonic() < until_s, "its answer did not come"
                    time.sleep(0.05)
                with pytest.raises(ClusterError, match="has another model"):
                    check()


def test_a_frozen_worker_that_comes_later_is_not_waited_for(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "_REFRESH_S", 0.0)
    warnings: list[str] = []
    with dask_cluster(tmp_path / "dask") as own:
        own.work()
        with connected(ClusterOptions(scheduler=own.address)) as fleet:
            wait_for_workers(fleet, 1)
            root = FolderRoot(tmp_path / "out")
            with closing(WorkerCheck(fleet, root, str(model), (), warn=warnings.append)) as check:
                check()
                late = own.work()
                wait_for_workers(fleet, 2)
                monkeypatch.setattr(questions, "_ANSWER_S", 3.0)
                with frozen(late):
                    start_s = time.monotonic()
                    check()
                    assert time.monotonic() - start_s < 2.5
                    assert warnings == []
                    time.sleep(3)
                    assert fleet.look(1)
                    check()
                    assert len(warnings) == 1
                    late.kill()


def test_where_no_worker_answers_it_says_so_in_time(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_ANSWER_S", 2.0)
    with dask_cluster(tmp_path / "dask") as own:
        worker = own.work()
        with connected(ClusterOptions(scheduler=own.address)) as fleet:
            wait_for_workers(fleet, 1)
            root = FolderRoot(tmp_path / "out")
            start_s = time.monotonic()
            with (
                frozen(worker),
                closing(WorkerCheck(fleet, root, str(model), (), warn=pytest.fail)) as check,
                pytest.raises(ClusterError, match="no worker is ready") as caught,
            ):
                check()
            assert time.monotonic() - start_s < 30
            assert fleet.workers[0] in str(caught.value)
            assert caught.value.hint


def test_a_worker_that_dies_over_the_check_is_left_out(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frozen first, so that it is asked and does not answer before it goes."""
    monkeypatch.setattr(questions, "_PAUSE_S", 0.1)
    with dask_cluster(tmp_path / "dask") as own:
        worker = own.work()
        with connected(ClusterOptions(scheduler=own.address)) as fleet:
            wait_for_workers(fleet, 1)
            root = FolderRoot(tmp_path / "out")
            worker.send_signal(signal.SIGSTOP)
            killer = threading.Timer(1.0, worker.kill)
            killer.start()
            with closing(WorkerCheck(fleet, root, str(model), (), warn=pytest.fail)) as check:
                start_s = time.monotonic()
                check()
                assert time.monotonic() - start_s < 20
            killer.join()
