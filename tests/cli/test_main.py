"""The command itself: what ends it, and how it says so."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from geoseg.cli.main import cli

SAMPLES = Path(__file__).resolve().parents[2] / "sample_tiles"


@pytest.fixture
def failing(monkeypatch):
    """Return a function that makes ``geoseg models list`` raise."""

    def make(error):
        def fail():
            raise error

        monkeypatch.setattr("geoseg.model.registry.bundled_models", fail)

    return make


def test_an_unforeseen_error_is_one_line_with_advice(geoseg, failing):
    failing(ZeroDivisionError("by\nzero" + 10_000 * "!"))
    answer = geoseg("models", "list")
    assert answer.code == 1
    assert answer.out == ""
    first, advice = answer.err.splitlines()
    assert first.startswith("geoseg: internal error: ZeroDivisionError: by zero!")
    assert len(first) < 400
    assert "-vv" in advice
    assert "report" in advice


def test_twice_verbose_shows_where_it_comes_from(geoseg, failing):
    failing(ZeroDivisionError("by zero"))
    answer = geoseg("models", "list", "-vv")
    assert answer.code == 1
    assert "Traceback" in answer.err
    assert "bundled_models" in answer.err
    assert "geoseg: internal error: ZeroDivisionError: by zero" in answer.err.splitlines()


def test_with_json_an_unforeseen_error_is_an_event_too(geoseg, failing):
    failing(ZeroDivisionError("by zero"))
    answer = geoseg("models", "list", "--json")
    assert answer.code == 1
    assert json.loads(answer.out) == {
        "event": "error",
        "message": "internal error: ZeroDivisionError: by zero",
        "hint": None,
        "exit_code": 1,
    }


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_terminal_without_the_characters_still_gets_its_answer(flags, tmp_path):
    scene = shutil.copy(SAMPLES / "town.tif", tmp_path / "판교 숲.tif")
    command = [sys.executable, "-m", "geoseg", "info", str(scene), *flags]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    if flags:
        assert json.loads(done.stdout)["address"].endswith("판교 숲.tif")
    else:
        assert rb"\ud310\uad50" in done.stdout


def test_every_command_that_computes_takes_the_flag_that_the_advice_names():
    def leaves(name, command):
        if isinstance(command, click.Group):
            for child in command.list_commands(None):
                yield from leaves(f"{name} {child}", command.get_command(None, child))
        else:
            yield name, {flag for p in command.params for flag in p.opts}

    found = dict(leaves("geoseg", cli))
    assert len(found) > 6
    without = {name for name, flags in found.items() if "-v" not in flags}
    assert without == {"geoseg completion"}


def test_ctrl_c_is_one_line(geoseg, failing):
    failing(KeyboardInterrupt())
    answer = geoseg("models", "list")
    assert (answer.code, answer.out, answer.err) == (130, "", "geoseg: stopped\n")


@pytest.mark.parametrize("command", ["models list", "models show aerial-landcover", "--help"])
def test_a_reader_that_goes_away_is_no_error(command):
    shell = f"{sys.executable} -m geoseg {command} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}  # 1 where the reader was gone before the first line
    assert done.stderr == ""


def test_a_batch_that_is_stopped_before_it_began_is_resumable(geoseg, monkeypatch):
    """As while it waits for the hold of a client that was killed; 130 is not among its codes."""

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("geoseg.run.batch"), "run_batch", stopped)
    answer = geoseg("batch", "scene.tif", "--out", "maps", "--json")
    assert answer.code == 4
    assert json.loads(answer.out.splitlines()[-1])["exit_code"] == 4
    assert answer.err.splitlines() == [
        "geoseg: stopped",
        "  Repeat the same command to continue.",
    ]
