"""The command line of ``geoseg batch``: what it takes, what it refuses, what it teaches."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from geoseg.errors import BatchInterruptedError
from geoseg.options import BatchOptions
from geoseg.run import batch as batch_module


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BatchOptions]:
    """What the command would have run."""
    found: list[BatchOptions] = []
    monkeypatch.setattr(batch_module, "run_batch", lambda options, _: found.append(options))
    return found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("1.5m", 90), ("7h", 25_200), ("2 d", 172_800), ("90M", 5400)],
)
def test_a_time_limit_has_units(geoseg, asked, text, seconds):
    answer = geoseg("batch", "a.tif", "--out", "o", "--time-limit", text)
    assert answer.code == 0, answer.err
    assert (asked[0].time_limit_s, asked[0].task_timeout_s) == (seconds, None)
    answer = geoseg("batch", "a.tif", "--out", "o", "--task-timeout", text)
    assert answer.code == 0, answer.err
    assert (asked[1].time_limit_s, asked[1].task_timeout_s) == (None, seconds)


@pytest.mark.parametrize("flag", ["--time-limit", "--task-timeout"])
@pytest.mark.parametrize("text", ["", "0", "-1", "1y", "h", "1h30", "inf"])
def test_a_time_limit_that_is_none_is_wrong_usage(geoseg, asked, text, flag):
    answer = geoseg("batch", "a.tif", "--out", "o", flag, text)
    assert answer.code == 2
    assert flag in answer.err
    assert not asked


@pytest.mark.parametrize(
    "words",
    [
        ["batch"],
        ["batch", "--out", "o"],
        ["batch", "a.tif"],
        ["batch", "a.tif", "--out", "o", "--workers", "2"],
        ["batch", "a.tif", "--out", "o", "--processes", "0"],
        ["batch", "a.tif", "--out", "o", "--max-failures", "-1"],
        ["batch", "status"],
        ["batch", "retry"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2(geoseg, asked, words):
    answer = geoseg(*words)
    assert answer.code == 2
    assert re.match(r"Usage: .*geoseg batch ", answer.err)
    assert not asked


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--scheduler", "slurm"], "--slurm-config"),
        (["--slurm-config", "x.toml"], "--slurm-config"),
        (["--tls-ca", "x.pem"], "--tls-key"),
    ],
)
def test_flags_that_go_together_are_one_line(geoseg, asked, flags, named):
    answer = geoseg("batch", "a.tif", "--out", "o", "--json", *flags)
    assert answer.code == 1
    assert named in answer.err.splitlines()[0]
    assert json.loads(answer.out)["event"] == "error"
    assert not asked


def test_every_flag_reaches_the_options(geoseg, asked):
    answer = geoseg(
        "batch", "a.tif", "b", "--out", "o", "--asset", "visual", "--since", "36h",
        "--allow-root", "x", "--allow-root", "y", "--processes", "2", "--threads", "3",
        "--scratch", "s", "--retries", "5", "--max-failures", "7", "--metrics", "m.prom",
        "--bands", "3,2,1", "--no-polygons", "--overwrite",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    (options,) = asked
    assert (options.sources, options.out, options.asset) == (("a.tif", "b"), "o", "visual")
    assert (options.since, options.allow_roots) == ("36h", ("x", "y"))
    cluster = options.cluster
    assert (cluster.scheduler, cluster.processes, cluster.threads) == ("local", 2, 3)
    assert cluster.scratch == Path("s")
    assert (options.retries, options.max_failures, options.fail_fast) == (5, 7, False)
    assert options.metrics == Path("m.prom")
    assert (options.scene.bands, options.scene.formats) == (("3", "2", "1"), ())
    assert options.scene.overwrite
    assert not options.retry_failed


def test_help_teaches(geoseg):
    for words, taught in (
        (["batch"], ["batch status", "batch retry", "Exit codes:", "--since last", "4 stopped"]),
        (["batch", "status"], ["Exit codes:", "geoseg batch status", "--failed"]),
        (["batch", "retry"], ["failed", "--time-limit"]),
    ):
        answer = geoseg(*words, "--help")
        assert answer.code == 0
        assert f"geoseg {' '.join(words)} " in answer.out.splitlines()[0]
        assert [text for text in taught if text not in answer.out] == []


def test_status_and_retry_are_names_and_folders_are_written_with_a_dot(
    geoseg, asked, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("status", "retry"):
        (tmp_path / name).mkdir()
        answer = geoseg("batch", name, "no such folder")
        assert answer.code == 1
        assert "no such folder" in answer.err
        assert not asked
        assert geoseg("batch", f"./{name}", "--out", "o").code == 0
        assert asked.pop().sources == (f"./{name}",)


def test_status_of_no_batch(geoseg, tmp_path):
    answer = geoseg("batch", "status", tmp_path, "--json")
    assert answer.code == 1
    assert json.loads(answer.out)["event"] == "error"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_anything_began_is_resumable_too(geoseg, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch_module, "run_batch", stopped)
    answer = geoseg("batch", "a.tif", "--out", "o", "--json")
    assert answer.code == BatchInterruptedError.exit_code == 4
    assert answer.err.splitlines()[0] == "geoseg: stopped"
    assert json.loads(answer.out)["exit_code"] == 4


@pytest.mark.parametrize("words", [["no.tif"], ["no/*.tif"], ["s3://b/*.tif"], [""], ["no.csv"]])
def test_sources_that_are_not_there(geoseg, tmp_path, words):
    """A missing raster is one scene's failure, a missing list the batch's; none hangs."""
    out = tmp_path / "out"
    answer = geoseg("batch", *words, "--out", out, "--scheduler", "no such file", "--quiet")
    assert answer.code in {0, 1}
    assert "Traceback" not in answer.err
    assert len(answer.err.splitlines()) <= 2


def test_ctrl_c_while_the_last_job_is_read_is_a_batch_that_was_stopped(geoseg, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(batch_module, "retry_options", interrupted)
    answer = geoseg("batch", "retry", "o", "--json")
    assert answer.code == 4
    assert json.loads(answer.out)["exit_code"] == 4
