"""The file that says what jobs to ask for: what it may hold, and how it is refused."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

from geoseg.errors import OptionError
from geoseg.run.slurm_config import (
    SlurmConfig,
    parse_memory,
    parse_walltime,
    read_slurm_config,
)

LEAST = 'walltime = "12:00:00"\ncores = 4\nmemory = "16GiB"\njobs = 8\n'


@pytest.fixture
def config_of(tmp_path: Path):
    def read(text: str) -> SlurmConfig:
        path = tmp_path / "slurm.toml"
        path.write_text(text, encoding="utf-8")
        return read_slurm_config(path)

    return read


def test_four_keys_are_enough(config_of):
    assert config_of(LEAST) == SlurmConfig(
        walltime_s=43_200, cores=4, memory_bytes=16 * 1024**3, jobs=8
    )
    assert config_of(LEAST).python == sys.executable


def test_every_key_reaches_its_field(config_of, tmp_path):
    text = """
        partition = "gpu,big"
        account = "geo-42"
        walltime = "1-00:30:00"
        walltime_margin = "10m"
        cores = 8
        memory = "64 GB"
        gpus = 2
        jobs = 10
        min_jobs = 1
        interface = "ib0"
        scheduler_host = "10.1.2.3"
        scheduler_port = 8786
        python = "/opt/geo seg/bin/python"
        prologue = ["module load cuda", "ulimit -n 4096"]
        directives = ["#SBATCH --constraint=a100", "-q normal"]
        log_folder = "~/logs"
        scratch = "/scratch/$USER/${SLURM_JOB_ID:-x}"
    """
    assert config_of(text) == SlurmConfig(
        queue="gpu,big", account="geo-42", walltime_s=88_200, walltime_margin_s=600, cores=8,
        memory_bytes=64 * 10**9, processes=2, gpus=2, jobs=10, min_jobs=1, interface="ib0",
        scheduler_host="10.1.2.3", scheduler_port=8786, python="/opt/geo seg/bin/python",
        prologue=("module load cuda", "ulimit -n 4096"),
        directives=("--constraint=a100", "-q normal"),
        log_folder=Path("~/logs").expanduser(), scratch="/scratch/$USER/${SLURM_JOB_ID:-x}",
    )  # fmt: skip


def test_a_configuration_is_frozen_and_travels(config_of):
    config = config_of(LEAST)
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(AttributeError):
        config.jobs = 3


def test_short_jobs_give_up_a_tenth_of_their_time(config_of):
    assert config_of(LEAST.replace("12:00:00", "00:10:00")).walltime_margin_s == 60


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ('walltime = "10"', "'walltime' is '10', expected 'HH:MM:SS' or 'D-HH:MM:SS'"),
        ("walltime = 10", "'walltime' is 10, expected"),
        ('memory = "8"', "'memory' is '8', expected a size from 256MiB on"),
        ('memory = "1MiB"', "'memory' is '1MiB', expected"),
        ("cores = 0", "'cores' is 0, expected a whole number from 1 on"),
        ("cores = true", "'cores' is True, expected"),
        ("cores = 2.0", "'cores' is 2.0, expected"),
        ("jobs = -1", "'jobs' is -1, expected"),
        ("min_jobs = 9", "'min_jobs' is 9, expected at most 8"),
        ("processes = 5", "'cores' is 4, expected 5 or more"),
        ("gpus = 5", "'cores' is 4, expected 5 or more"),
        ("gpus = 2\nprocesses = 4", "'processes' is 4, expected 2, one per GPU"),
        ('walltime_margin = "12h"', "'walltime_margin' is '12h', expected less than 'walltime'"),
        ('walltime_margin = "5"', "'walltime_margin' is '5', expected a number with s, m or h"),
        ("walltime_margin = 5", "'walltime_margin' is 5, expected a number with s, m or h"),
        ('queue = "a b"', "'queue' is 'a b', expected one word"),
        ('queue = "a"\npartition = "a"', "'queue' and 'partition' are the same"),
        ("interface = 3", "'interface' is 3, expected the name of a network interface"),
        ("scheduler_port = 70000", "'scheduler_port' is 70000, expected a port"),
        ('scheduler_host = "tcp://a"', "'scheduler_host' is 'tcp://a', expected a host"),
        ('prologue = "module load x"', "'prologue' is 'module load x', expected a list"),
        ('prologue = ["a\\nb"]', "'prologue' is"),
        ('directives = ["constraint=x"]', "'directives' is ['constraint=x'], expected a list"),
        ('directives = ["--array=1-9"]', "'directives' is"),
        ('directives = ["-o here"]', "'directives' is"),
        ('scratch = "$(hostname)"', "'scratch' is '$(hostname)', expected a folder"),
        ('scratch = "a`b`"', "'scratch' is"),
        ('log_folder = ""', "'log_folder' is '', expected a folder"),
        ('python = ""', "'python' is ''"),
    ],
)
def test_what_cannot_be_right_is_told_in_one_line(config_of, line, told, tmp_path):
    key = line.split(" ")[0]
    kept = [other for other in LEAST.splitlines() if not other.startswith(f"{key} ")]
    with pytest.raises(OptionError) as caught:
        config_of("\n".join([*kept, line]))
    assert str(caught.value).startswith(f"{tmp_path / 'slurm.toml'}: {told}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["walltime", "cores", "memory", "jobs"])
def test_a_key_that_is_missing_is_named(config_of, key):
    kept = [line for line in LEAST.splitlines() if not line.startswith(key)]
    with pytest.raises(OptionError, match=f"'{key}' is missing"):
        config_of("\n".join(kept))


def test_files_that_are_no_toml_or_not_there(config_of, tmp_path):
    with pytest.raises(OptionError, match="is no TOML file: "):
        config_of("jobs: 3")
    with pytest.raises(OptionError, match=r"cannot read the SLURM configuration .*: No such file"):
        read_slurm_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:01", 1), ("01:02:03", 3723), ("100:00:00", 360_000), ("2-03:00:00", 183_600)],
)
def test_walltimes(text, seconds):
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1:2:3", "00:60:00", "00:00:60", "1-24:00:00", "1-1:00:00", "00:00:00", "10:00", "-1:00:00", "\uff11:00:00", "01:00:00 ", 5, None]
)  # fmt: skip
def test_what_is_no_walltime(text):
    with pytest.raises(ValueError, match="not expected"):
        parse_walltime(text)


@pytest.mark.parametrize(
    ("text", "size"), [("8GiB", 8 * 2**30), ("8GB", 8 * 10**9), ("1.5 TiB", 3 * 2**39)]
)
def test_sizes(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["8", "8G", "8gib", "-8GiB", "GiB", "1e3GiB", "255MiB", 8, None])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="not expected"):
        parse_memory(text)
