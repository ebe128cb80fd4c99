"""Signals that ask to stop."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from geoseg.run import pipeline

Geoseg = Callable[..., Any]
SAMPLES = Path(__file__).resolve().parents[2] / "sample_tiles"


def test_an_interrupt_that_no_command_foresees_is_an_event(
    geoseg: Geoseg, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Programs that read events take what ends without one for a crash."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "make_plan", interrupted)
    answer = geoseg("run", SAMPLES / "town.tif", "--out", tmp_path / "out", "--json")
    assert (answer.code, answer.err) == (130, "geoseg: stopped\n")
    assert json.loads(answer.out) == {
        "event": "error", "message": "stopped", "hint": None, "exit_code": 130,
    }  # fmt: skip


def _run(code: str) -> subprocess.CompletedProcess[str]:
    begin = (
        "import os, signal, time\nfrom geoseg.cli import interrupts\ninterrupts.listen()\n"
        "def ask(): os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", begin + code], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_second_signal_does_not_cut_off_the_answer_to_the_first() -> None:
    done = _run("""
try:
    ask(); time.sleep(30)
except KeyboardInterrupt:
    ask(); time.sleep(0.1); print("tidied up")
interrupts._SAME_WISH_S = 0.5
for _ in range(8):
    ask(); time.sleep(0.1)
print("one wish, however long it is repeated")
time.sleep(0.5)
try:
    ask(); time.sleep(30)
except KeyboardInterrupt:
    print("heard again")
interrupts.listen_no_more()
ask(); print("said good-bye")
""")
    assert done.stdout.splitlines() == [
        "tidied up", "one wish, however long it is repeated", "heard again", "said good-bye",
    ], done.stderr  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_where_nobody_can_catch_it_is_not_lost() -> None:
    done = _run("""
class Thing:
    def __del__(self):
        ask(); time.sleep(0.2)
try:
    Thing(); time.sleep(30)
except KeyboardInterrupt:
    print("heard")
""")
    assert (done.stdout, done.stderr) == ("heard\n", "")
