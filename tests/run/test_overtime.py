"""Calls with a limit: what is in time is as if called here, what is not is left alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from geoseg.run.overtime import OvertimeError, call_within, left_alone
from tests.dask_cluster import ROOT

LONG_S = 30.0


def test_what_is_in_time_comes_back_as_it_is() -> None:
    assert call_within(LONG_S, lambda: [1, 2]) == [1, 2]
    for error in (KeyError("x"), TimeoutError("its own"), OvertimeError()):
        with pytest.raises(type(error)) as caught:
            call_within(LONG_S, lambda error=error: (_ for _ in ()).throw(error))  # type: ignore[misc]
        assert caught.value is error
    assert left_alone() == 0


def test_a_thread_keeps_its_hand_until_it_is_left_alone() -> None:
    """Readers keep a file open for each thread."""
    go_on = threading.Event()
    mine = call_within(LONG_S, threading.get_ident)
    assert mine != threading.get_ident()
    assert call_within(LONG_S, threading.get_ident) == mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(call_within, LONG_S, threading.get_ident).result() != mine
    start_s = time.monotonic()
    with pytest.raises(OvertimeError):
        call_within(0.05, lambda: go_on.wait(LONG_S))
    assert time.monotonic() - start_s < LONG_S / 2
    assert left_alone() == 1
    assert call_within(LONG_S, threading.get_ident) != mine
    go_on.set()
    until_s = time.monotonic() + LONG_S
    while left_alone():
        assert time.monotonic() < until_s, "it did not end after its call"
        time.sleep(0.01)


HANGS = """
import time
from geoseg.run.overtime import OvertimeError, call_within
try:
    call_within(0.05, lambda: time.sleep(600))
except OvertimeError:
    print("too long")
"""


def test_a_call_that_hangs_does_not_keep_its_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGS],
        capture_output=True, text=True, check=True, timeout=LONG_S, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "too long\n"
