"""The other examples of deploy/: what their own programs say, and that every flag exists."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.raster.servers import program

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TEXTS = sorted(p for p in DEPLOY.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def batch_flags() -> set[str]:
    from geoseg.cli.batch import batch_command, retry_command
    from geoseg.cli.batch_status import status_command

    commands = (batch_command, retry_command, status_command)
    return {o for c in commands for p in c.params for o in (*p.opts, *p.secondary_opts)}


def logical_lines(path: Path) -> list[str]:
    """Return the lines of a file without marks of comment, continued ones joined."""
    text = re.sub(r"\\\n\s*#?\s*", " ", path.read_text(encoding="utf-8"))
    return [line.lstrip("# ") for line in text.splitlines()]


def geoseg_commands(path: Path) -> list[list[str]]:
    """Return the words after ``geoseg batch`` on every line that calls it."""
    found = []
    for line in logical_lines(path):
        match = re.search(r"(?:^|[\s/`\"])geoseg batch (?P<rest>[^`]*)", line)
        if match:
            found.append(re.split(r"\s[&>|]|\s*\"", match["rest"])[0].split())
    return found


def test_the_examples_call_geoseg_batch():
    assert len([c for path in TEXTS for c in geoseg_commands(path)]) > 8


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: str(p.relative_to(DEPLOY)))
def test_every_flag_of_an_example_exists(path):
    known = batch_flags()
    used = {w.split("=")[0] for c in geoseg_commands(path) for w in c if w.startswith("--")}
    assert used <= known, f"unknown: {used - known}"


@pytest.mark.parametrize("name", ["cron/geoseg.cron", "systemd/geoseg-batch.service"])
def test_the_commands_of_unattended_jobs_parse(name):
    from geoseg.cli.batch import batch_command

    for words in geoseg_commands(DEPLOY / name):
        with batch_command.make_context("geoseg batch", shlex.split(" ".join(words))):
            pass


def test_the_command_of_the_cronjob_parses():
    from geoseg.cli.batch import batch_command

    job = yaml.safe_load((DEPLOY / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"][:2] == ["geoseg", "batch"]
    with batch_command.make_context("geoseg batch", container["args"][2:]) as context:
        assert context.params["scheduler"].startswith("tls://")
        assert context.params["since"] == "last"


def test_the_slurm_configuration_is_one():
    module = importlib.import_module("geoseg.run.slurm_config")
    config = module.read_slurm_config(DEPLOY / "slurm" / "geoseg-slurm.toml")
    assert (config.cores, config.jobs) == (16, 8)


def test_commented_keys_of_the_slurm_configuration_are_right_too(tmp_path):
    module = importlib.import_module("geoseg.run.slurm_config")
    text = (DEPLOY / "slurm" / "geoseg-slurm.toml").read_text(encoding="utf-8")
    path = tmp_path / "all.toml"
    text = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    path.write_text(re.sub(r"^processes = .*$", "", text, flags=re.MULTILINE), encoding="utf-8")
    config = module.read_slurm_config(path)
    assert (config.account, config.gpus, config.interface) == ("project42", 1, "ib0")


def test_the_crontab_has_a_time_a_command_and_no_percent_sign():
    path = DEPLOY / "cron" / "geoseg.cron"
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x and x[0] != "#"]
    settings = [x for x in lines if re.match(r"[A-Z]+=", x)]
    jobs = [x for x in lines if x not in settings]
    assert {x.split("=")[0] for x in settings} == {"SHELL", "PATH", "MAILTO"}
    for job in jobs:
        found = re.fullmatch(r"((?:[\d*,/-]+\s+){5})(geoseg .+)", job)
        assert found, job
        assert "%" not in found[2]
        subprocess.run(["sh", "-n", "-c", found[2]], check=True)
    assert len(jobs) == 2


def test_systemd_takes_the_units(tmp_path):
    folder = tmp_path / "units"
    shutil.copytree(DEPLOY / "systemd", folder)
    service = folder / "geoseg-batch.service"
    text = service.read_text(encoding="utf-8")
    service.write_text(text.replace("/opt/geoseg/bin/geoseg", sys.executable), encoding="utf-8")
    command = [program("systemd-analyze"), "verify", "--man=no", *sorted(folder.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_dag_is_python_and_retries():
    tree = ast.parse((DEPLOY / "airflow" / "geoseg_dag.py").read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    names = [n.func.id for n in calls if isinstance(n.func, ast.Name)]
    assert names.count("BashOperator") == 2


@pytest.mark.parametrize("name", ["Containerfile", "Containerfile.cuda"])
def test_hadolint_has_no_objection(name):
    path = DEPLOY / "container" / name
    done = subprocess.run(
        [program("hadolint"), "--no-color", path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_prometheus_takes_the_alerts_and_raises_the_right_ones():
    promtool = program("promtool")
    folder = DEPLOY / "prometheus"
    for command in (
        ["check", "rules", "geoseg-alerts.yml"],
        ["test", "rules", "geoseg-alerts.test.yml"],
    ):
        done = subprocess.run(
            [promtool, *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_speak_of_metrics_that_a_batch_writes():
    text = (DEPLOY / "prometheus" / "geoseg-alerts.yml").read_text(encoding="utf-8")
    source = (ROOT / "geoseg" / "run" / "batch_metrics.py").read_text(encoding="utf-8")
    used = set(re.findall(r"geoseg_batch_(\w+)", text))
    assert used
    assert {name for name in used if f'"{name}"' not in source} == set()
