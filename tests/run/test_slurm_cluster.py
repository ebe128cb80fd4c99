"""Jobs on a real SLURM of three nodes: they come up, are taken away, hand back, and end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from distributed import Client, Security, WorkerPlugin

from geoseg.errors import ClusterError
from geoseg.run import slurm_cluster as room
from geoseg.run.slurm_config import SlurmConfig, read_slurm_config
from geoseg.run.slurm_control import BusyError, listed
from tests.slurm import await_true, job_ids, slurm_says

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("slurm")]

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_LOOK_S", 0.3)


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[..., SlurmConfig]:
    """Jobs that take a whole node each, so that three run at a time."""

    def make(**changes: object) -> SlurmConfig:
        keys = {
            "walltime": "00:10:00", "cores": 2, "memory": "1GiB", "jobs": 3, "interface": "lo",
            "log_folder": str(tmp_path / "job logs"), **changes,
        }  # fmt: skip
        lines = [f"{k} = {v if isinstance(v, int | list) else repr(v)}" for k, v in keys.items()]
        path = tmp_path / "slurm.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        return read_slurm_config(path)

    return make


@contextmanager
def running(
    config: SlurmConfig, count: int, security: Security | None = None
) -> Iterator[tuple[room.SlurmJobs, Client]]:
    """Yield jobs and a client when so many workers are up."""
    with (
        room.slurm_cluster(config, security, batch="test") as jobs,
        Client(str(jobs.cluster.scheduler_address), security=security) as client,
    ):
        kept_until(jobs, lambda: n_workers(client) >= count, count)
        yield jobs, client
    assert job_ids(jobs.name) == []


def n_workers(client: Client) -> int:
    return len(client.scheduler_info(n_workers=-1)["workers"])


def kept_until(jobs: room.SlurmJobs, condition: Callable[[], object], wanted: int) -> None:
    """Do as a driver does until something is true."""

    def look() -> object:
        jobs.keep(wanted)
        return condition()

    await_true(look, 45)


def test_jobs_come_up_on_three_nodes_and_leave_nothing(config_of, tmp_path, monkeypatch):
    def look_around() -> tuple[str, list[str]]:
        import psutil

        me = psutil.Process()
        ports = [*me.net_connections("inet"), *me.parent().net_connections("inet")]
        return os.environ["SLURMD_NODENAME"], [c.laddr.ip for c in ports if c.status == "LISTEN"]

    import psutil

    def own_ports() -> set[tuple[str, int]]:
        found = psutil.Process().net_connections("inet")
        return {(c.laddr.ip, c.laddr.port) for c in found if c.status == "LISTEN"}

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = own_ports()
    with running(config_of(), 3) as (jobs, client):
        found = client.run(look_around)
        assert {node for node, _ in found.values()} == {"n1", "n2", "n3"}
        # A worker and its nanny, and no third one for browsers.
        assert all(addresses == ["127.0.0.1"] * 2 for _, addresses in found.values())
        (opened,) = own_ports() - before
        assert str(jobs.cluster.scheduler_address) == f"tcp://127.0.0.1:{opened[1]}"
        assert client.gather(client.map(lambda x: x * x, range(20))) == [x * x for x in range(20)]
        assert jobs.name.startswith("geoseg-test-")
        assert jobs.jobs == 3
        assert slurm_says("squeue", "--noheader", "--format=%j").split() == [jobs.name] * 3
    assert list(here.iterdir()) == []


def end_by(way: str, job_id: str) -> None:
    if way == "preempt":
        node = slurm_says("squeue", "--noheader", f"--job={job_id}", "--format=%N")
        slurm_says(
            "sbatch", "--partition=urgent", f"--nodelist={node}", "--cpus-per-task=2",
            "--output=/dev/null", "--time=1", "--wrap=sleep 2",
        )  # fmt: skip
    else:
        slurm_says("scancel", *way.split(), job_id)


def test_work_of_jobs_that_are_taken_away_is_done_again(config_of, tmp_path):
    def work(folder: Path, number: int) -> str:
        import time

        job_id = os.environ["SLURM_JOB_ID"]
        (folder / f"{number}-{job_id}").touch()
        while not ((folder / "go").exists() or (folder / f"left {job_id}").exists()):
            time.sleep(0.05)
        return job_id

    class Goodbye(WorkerPlugin):
        def teardown(self, worker: object) -> None:
            (tmp_path / f"{os.environ['SLURM_JOB_ID']} said goodbye").touch()

    with running(config_of(jobs=2), 2) as (jobs, client):
        client.register_plugin(Goodbye())
        for way in ("--quiet", "--signal=TERM", "preempt"):
            folder = tmp_path / way
            folder.mkdir()
            joined = len(jobs.roll.joined)
            # As many as there are threads: both jobs have something to do.
            futures = [client.submit(work, folder, n, pure=False) for n in range(4)]
            await_true(lambda f=folder: len(list(f.iterdir())) == 4, 20)
            (first,) = folder.glob("0-*")
            lost = first.name.split("-")[1]
            end_by(way, lost)
            await_true(lambda j=lost: j not in jobs.roll.connected, 20)
            (folder / f"left {lost}").touch()  # else the worker waits for its task, up to 10 s
            kept_until(
                jobs,
                lambda n=joined: len(jobs.roll.joined) > n and n_workers(client) == 2,
                2,
            )
            (folder / "go").touch()
            assert lost not in client.gather(futures), way
            assert lost not in jobs.roll.connected, way
            graceful = (tmp_path / f"{lost} said goodbye").exists()
            # srun may make SIGKILL of a plain scancel before the worker has heard SIGTERM.
            assert graceful or way == "--quiet", way


def test_a_job_ends_before_its_walltime_and_is_replaced(config_of):
    def work(_: int) -> str:
        import time

        time.sleep(1)
        return os.environ["SLURM_JOB_ID"]

    # SLURM counts in minutes; of this one, the workers get three seconds.
    config = config_of(jobs=1, cores=1, walltime="00:01:00", walltime_margin="57s")
    with running(config, 1) as (jobs, client):
        futures = client.map(work, range(10), pure=False)
        found = []

        def take() -> bool:  # as a driver does: a result that stays with its worker goes with it
            for future in [f for f in futures if f.done()]:
                found.append(future.result())
                futures.remove(future)
            return not futures

        kept_until(jobs, take, 1)
        assert len(found) == 10
        used = sorted(set(found), key=int)
        assert len(used) >= 2
        state = slurm_says(
            "squeue", "--noheader", "--states=all", f"--job={used[0]}", "--format=%T"
        )
        assert state == "COMPLETED"


def error_of(config: SlurmConfig) -> ClusterError:
    with (
        pytest.raises(ClusterError) as caught,
        room.slurm_cluster(config, batch="never") as jobs,
    ):
        kept_until(jobs, lambda: False, 2)
    assert "\n" not in str(caught.value)
    assert job_ids(jobs.name) == []
    return caught.value


def test_jobs_that_fail_at_once_are_given_up(config_of, tmp_path):
    start = time.monotonic()
    error = error_of(config_of(jobs=1, prologue=["echo no module cuda/99 >&2", "exit 1"]))
    assert str(error).startswith("3 jobs in a row ended before a worker came up; the log ")
    assert str(error).endswith(" ends with: no module cuda/99")
    assert str(tmp_path / "job logs") in str(error)
    assert "prologue" in error.hint
    assert time.monotonic() - start < 60, "not the queue's patience"


def test_jobs_that_slurm_refuses_are_given_up(config_of):
    error = error_of(config_of(queue="nowhere"))
    assert str(error).startswith("sbatch failed: ")
    assert "invalid partition" in str(error)


def test_jobs_that_can_never_start_are_given_up(config_of):
    error = error_of(config_of(walltime="2-00:00:00"))
    assert str(error).endswith(" can never start: PartitionTimeLimit")


def test_a_port_that_is_taken_is_one_line(config_of, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config_of(scheduler_port=taken.getsockname()[1])
        done = client_process("pass", tmp_path).communicate(timeout=60)[1]
    assert "ClusterError: the Dask scheduler cannot listen for the jobs: " in done
    assert "in use" in done.splitlines()[-1]


def test_idle_jobs_are_handed_back_and_busy_ones_stay(config_of, tmp_path):
    go = tmp_path / "go"

    def work() -> str:
        import time

        while not go.exists():
            time.sleep(0.05)
        return os.environ["SLURM_JOB_ID"]

    with running(config_of(jobs=4, min_jobs=1), 3) as (jobs, client):
        kept_until(jobs, lambda: len(job_ids(jobs.name)) == 4, 4)  # the fourth has to wait
        future = client.submit(work)
        await_true(lambda: client.processing() and any(client.processing().values()), 10)
        jobs.hand_back()
        await_true(lambda: len(job_ids(jobs.name)) == 1, 20)
        go.touch()
        assert [future.result()] == job_ids(jobs.name)
        jobs.hand_back()
        kept_until(jobs, lambda: jobs.jobs == 1, 0)
        assert [future.result()] == job_ids(jobs.name), "min_jobs are one"


def test_every_process_has_a_gpu_of_its_own(config_of):
    with running(config_of(jobs=1, gpus=2), 2) as (jobs, client):
        found = client.run(lambda: os.environ.get("CUDA_VISIBLE_DEVICES"))
        assert sorted(found.values()) == ["0", "1"]
        jobs.hand_back()
        await_true(lambda: job_ids(jobs.name) == [], 20)


def test_workers_speak_tls_where_they_are_told_to(config_of, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl is installed")
    cert, key = tmp_path / "our cert.pem", tmp_path / "our key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=geoseg", "-out", cert, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    roles = {f"tls_{r}_{k}": str(f) for r in ("client", "worker", "scheduler")
             for k, f in (("cert", cert), ("key", key))}  # fmt: skip
    security = Security(tls_ca_file=str(cert), require_encryption=True, **roles)
    with running(config_of(jobs=1), 1, security) as (jobs, client):
        assert str(jobs.cluster.scheduler_address).startswith("tls://127.0.0.1:")
        assert all(a.startswith("tls://127.0.0.1:") for a in client.run(os.getpid))


def test_a_busy_controller_holds_nobody_up(config_of, slurm):
    controller = int((Path(slurm["SLURM_CONF"]).parent / "slurmctld.pid").read_text())
    with running(config_of(jobs=1), 0) as (jobs, client):
        assert longest_s(controller, lambda: jobs.keep(1)) < 5, "squeue waits for ten"
        kept_until(jobs, lambda: n_workers(client) == 1, 1)
        assert longest_s(controller, jobs.hand_back) < 5
        await_true(lambda: job_ids(jobs.name) == [], 40)


def longest_s(controller: int, act: Callable[[], None]) -> float:
    """Return how long one of several calls takes while the controller is frozen."""
    os.kill(controller, signal.SIGSTOP)
    took_s = []
    try:
        for _ in range(20):
            start = time.monotonic()
            act()
            took_s.append(time.monotonic() - start)
            time.sleep(0.05)
    finally:
        os.kill(controller, signal.SIGCONT)
    return max(took_s)


def test_a_controller_that_is_away_is_busy(slurm, tmp_path, monkeypatch):
    text = Path(slurm["SLURM_CONF"]).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("SlurmctldPort=")]
    away = tmp_path / "slurm.conf"
    away.write_text("\n".join([*lines, "SlurmctldPort=9", "MessageTimeout=1"]), encoding="utf-8")
    monkeypatch.setenv("SLURM_CONF", str(away))
    with pytest.raises(BusyError, match=r"^squeue failed: "):
        listed("geoseg-none")


KEEP_FOUR = """
    print(jobs.name, flush=True)
    while True:
        jobs.keep(4)
        if len(jobs.roll.connected) == 3 and jobs.jobs == 4:
            print("up", flush=True)
        time.sleep(0.1)
"""


def client_process(body: str, folder: Path) -> subprocess.Popen[str]:
    """Start another Python that runs jobs as the folder's configuration says."""
    head = """
        import sys, time
        from pathlib import Path
        from geoseg.run import slurm_cluster as room, slurm_script
        from geoseg.run.slurm_config import read_slurm_config

        room._LOOK_S, slurm_script._DEATH_S = 0.3, 3
        config = read_slurm_config(Path(sys.argv[1]))
        with room.slurm_cluster(config, batch="killed") as jobs:
    """
    code = textwrap.dedent(head) + textwrap.indent(textwrap.dedent(body), "    ")
    return subprocess.Popen(
        [sys.executable, "-c", code, folder / "slurm.toml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
    )


def test_jobs_whose_client_was_killed_end_by_themselves(config_of, tmp_path):
    config_of(jobs=4)  # three run, and the fourth starts when nobody is there any more
    with client_process(KEEP_FOUR, tmp_path) as client:
        try:
            name = client.stdout.readline().strip()
            assert client.stdout.readline().strip() == "up"
        finally:
            client.kill()
    assert len(job_ids(name)) == 4
    await_true(lambda: job_ids(name) == [], 30)
