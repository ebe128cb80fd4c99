"""What is decided without a SLURM: how listings read, what jobs have come to, what scripts say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from geoseg.errors import ClusterError
from geoseg.run.slurm_config import SlurmConfig
from geoseg.run.slurm_control import Job, parse_listing, require_slurm
from geoseg.run.slurm_script import job_name, job_of, job_script
from geoseg.run.slurm_watch import Watch, hopeless, looked_at, pause_s, silent

CONFIG = SlurmConfig(walltime_s=86_400 + 3600, cores=4, memory_bytes=8 * 2**30, jobs=2)


def job(job_id: str, state: str, reason: str = "None", used_s: int = 0) -> Job:
    return Job(job_id=job_id, state=state, used_s=used_s, reason=reason)


def jobs(*found: Job) -> dict[str, Job]:
    return {one.job_id: one for one in found}


def test_a_listing_reads():
    text = "7|PENDING|0:00|(Resources)\n8|RUNNING|1-02:03:04|None\n9|FAILED|INVALID|a|b\n\nslurm: x"
    assert parse_listing(text) == jobs(
        job("7", "PENDING", "Resources"), job("8", "RUNNING", used_s=93_784),
        job("9", "FAILED", "a|b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "never"),
    [
        ("Resources", False), ("Priority", False), ("JobHeldUser", False),
        ("PartitionDown", False), ("QOSMaxJobsPerUserLimit", False), ("AssocGrpCpuLimit", False),
        ("PartitionTimeLimit", True), ("InvalidAccount", True), ("BadConstraints", True),
        ("QOSMaxCpuPerJobLimit", True), ("AssocMaxMemPerJob", True),
    ],
)  # fmt: skip
def test_which_waits_have_no_end(reason, never):
    waiting = jobs(job("1", "PENDING", reason))
    watch = looked_at(Watch(), waiting, set())
    assert (hopeless(watch, waiting, set()) is not None) == never
    # One that may start is enough.
    waiting |= jobs(job("2", "PENDING", "Resources"))
    assert hopeless(looked_at(Watch(), waiting, set()), waiting, set()) is None


def failures(count: int, state: str = "FAILED") -> tuple[Watch, dict[str, Job]]:
    found = jobs(*(job(str(n), state) for n in range(1, count + 1)))
    return looked_at(Watch(), found, set()), found


def test_three_jobs_without_a_worker_are_enough():
    assert hopeless(*failures(2), set()) is None
    assert hopeless(*failures(3), set()) == "3 jobs in a row ended before a worker came up"


def test_hope_lives_while_others_run():
    watch, found = failures(3)
    assert hopeless(watch, found, {"9"}) is None
    found |= jobs(job("9", "RUNNING"))
    assert hopeless(looked_at(watch, found, set()), found, set()) is None


@pytest.mark.parametrize("state", ["CANCELLED", "PREEMPTED", "NODE_FAIL"])
def test_jobs_that_were_taken_away_are_no_sign(state):
    assert failures(5, state)[0].stillborn == ()


def test_a_failure_counts_once_and_a_worker_that_comes_up_clears_the_count():
    watch, found = failures(2)
    watch = looked_at(watch, found, set())
    assert watch.stillborn == ("1", "2")
    watch = looked_at(watch, found | jobs(job("3", "RUNNING")), {"3"})
    assert watch.stillborn == ()
    # Its end is no failure, however it ends.
    assert looked_at(watch, found | jobs(job("3", "FAILED")), {"3"}).stillborn == ()


def test_a_job_that_is_gone_from_the_listing_has_ended():
    watch = looked_at(Watch(), jobs(job("1", "RUNNING"), job("2", "PENDING")), {"1"})
    assert watch.alive == {"1", "2"}
    watch = looked_at(watch, {}, {"1"})
    assert (watch.alive, watch.stillborn) == (frozenset(), ("2",))


def test_a_job_that_is_completing_is_neither_there_nor_judged():
    found = jobs(job("1", "COMPLETING"))
    watch = looked_at(Watch(alive=frozenset({"1"})), found, set())
    assert (watch.alive, watch.stillborn) == (frozenset(), ())


def test_a_job_that_stays_silent_is_given_up():
    found = jobs(job("1", "RUNNING", used_s=901), job("2", "RUNNING", used_s=901))
    assert silent(found, {"2"}) == {"1"}
    watch = looked_at(Watch(), found, {"2"})
    assert (watch.alive, watch.stillborn) == ({"2"}, ("1",))
    assert looked_at(watch, found | jobs(job("1", "CANCELLED")), {"2"}).stillborn == ("1",)


def test_pauses_grow_up_to_a_minute():
    found = [pause_s(Watch(stillborn=("1",) * n)) for n in (0, 1, 2, 3, 6, 99)]
    assert found == [0, 1, 3, 7, 60, 60]


def test_names_of_jobs_and_workers():
    assert job_name("runs/2026 11", "0a1b2c") == "geoseg-runs-2026-11-0a1b2c"
    assert job_name("//", "0a") == "geoseg-batch-0a"
    assert len(job_name("x" * 500, "0a")) < 60
    assert [job_of(n) for n in ("geoseg-12", "geoseg-12-3", "geoseg-", "other-12")] == [
        "12", "12", None, None,
    ]  # fmt: skip


def script_of(**changes: object) -> str:
    config = SlurmConfig(**{**{n: getattr(CONFIG, n) for n in CONFIG.__slots__}, **changes})
    return job_script(config, "tcp://10.0.0.1:8786", None, "geoseg-night-0a", Path("/logs/5%"))


def test_the_script_asks_for_what_the_file_says():
    text = script_of(queue="gpu", account="geo", gpus=2, processes=2, directives=("-q low",))
    header = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert header == [
        "#SBATCH -J geoseg-night-0a", "#SBATCH -p gpu", "#SBATCH -A geo", "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G", "#SBATCH -t 1-01:00:00",
        '#SBATCH --output="/logs/5%%/geoseg-night-0a-%j.log"', "#SBATCH --no-requeue",
        "#SBATCH --signal=TERM@60", "#SBATCH --gres=gpu:2", "#SBATCH -q low",
    ]  # fmt: skip
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_what_a_user_has_set_for_other_programs_does_not_count():
    import dask

    plain = script_of()
    theirs = {"account": "other", "queue": "other", "job-extra": ["-x"], "log-directory": "/x"}
    with dask.config.set({"jobqueue.slurm": theirs}):
        assert script_of() == plain


def test_the_shell_of_the_node_works_out_how_long_workers_live():
    line = script_of(walltime_margin_s=3600).splitlines()[-1]
    expression = line.partition("--lifetime ")[2].partition(" --")[0]
    found = set()
    for _ in range(5):
        done = subprocess.run(
            ["bash", "-c", f"SECONDS=100; echo {expression}"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add(int(done.stdout.strip().removesuffix("s")))
    assert len(found) > 1, "all jobs would end together"
    # At most the walltime less the margin and what the prologue took.
    assert all(0.89 * 86_400 - 100 <= seconds <= 86_400 - 100 for seconds in found)


def test_odd_paths_stay_whole():
    text = script_of(python="/opt/geo seg/$x/python", scratch="/scratch/$USER/a b")
    words = text.splitlines()[-1]
    assert "'/opt/geo seg/$x/python' -P -m distributed.cli.dask_worker" in words
    assert '--local-directory "/scratch/$USER/a b"' in words


def test_slurm_and_dask_jobqueue_are_asked_for_by_name(monkeypatch, tmp_path):
    from geoseg.run.slurm_cluster import slurm_cluster

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="no sbatch in PATH"):
        require_slurm()
    monkeypatch.setitem(__import__("sys").modules, "dask_jobqueue", None)
    with pytest.raises(ClusterError, match="needs dask-jobqueue") as caught, slurm_cluster(CONFIG):
        pass
    assert caught.value.hint == "pip install 'geoseg[slurm]'"


def test_a_process_takes_the_device_of_its_number():
    from geoseg.run.slurm_worker import own_device

    assert own_device("4,6", "geoseg-12-1") == "6"
    assert own_device("4", "geoseg-12") is None
    assert own_device(None, "geoseg-12-1") is None
    with pytest.raises(ClusterError, match=r"process 2 of the job has no GPU: .* is '4,6'"):
        own_device("4,6", "geoseg-12-2")
