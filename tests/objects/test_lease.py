"""Two clients on one place: one works, the other is refused, whatever happens to either."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from geoseg.errors import OutputError, StoreError
from geoseg.objects.bucket import Bucket
from geoseg.objects.lease import Lease, LeaseTimes
from tests.faulty_proxy import FaultyProxy

pytestmark = pytest.mark.network
ROOT = Path(__file__).parents[2]
NAME = ".batch/lock.json"
# The server tells times in whole seconds.
QUICK = LeaseTimes(renew_s=0.3, stale_s=2, safe_s=1.5, look_s=0.1)
# For holders that a busy machine may not let breathe for seconds.
PATIENT = LeaseTimes(renew_s=0.3, stale_s=20, safe_s=15, look_s=0.1)
FOLLOWED = LeaseTimes(renew_s=0.3, stale_s=5, safe_s=4, look_s=0.1)

HOLDER = f"""
import sys, time
from geoseg.objects.bucket import Bucket
from geoseg.objects.lease import Lease, LeaseTimes
with Lease(Bucket(sys.argv[1], sys.argv[2]), {NAME!r}, {FOLLOWED!r}).hold():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_client_is_refused_and_a_killed_one_followed(bucket: Bucket) -> None:
    command = [sys.executable, "-c", HOLDER, bucket.bucket, bucket.prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputError) as caught, Lease(bucket, NAME, FOLLOWED).hold():
            pytest.fail("two clients at a time")
        assert f"process {other.pid} on {socket.gethostname()}, since 20" in str(caught.value)
        assert caught.value.hint
        other.send_signal(signal.SIGKILL)
        other.wait(20)
    start = time.monotonic()
    lease = Lease(bucket, NAME, FOLLOWED)
    with lease.hold():
        assert 0.5 < time.monotonic() - start < 30, "it waits until the hold is stale"
        assert lease.held()


def test_a_hold_that_was_let_go_is_free_at_once(bucket: Bucket) -> None:
    for _ in range(3):
        start = time.monotonic()
        lease = Lease(bucket, NAME, PATIENT)
        assert not lease.held()
        lease.require_held()  # nothing was lost: it was never taken
        with lease.hold():
            assert lease.held()
        assert not lease.held()
        assert time.monotonic() - start < PATIENT.stale_s / 2
    record = bucket.read_text(NAME)
    assert record is not None
    assert '"released": true' in record


def test_it_is_renewed_as_long_as_it_is_held(bucket: Bucket) -> None:
    lease = Lease(bucket, NAME, PATIENT)
    with lease.hold():
        first = bucket.version(NAME)
        time.sleep(3)
        assert lease.held()
        last = bucket.version(NAME)
        assert first is not None
        assert last is not None
        assert first.etag != last.etag
        assert last.age_s <= 2


def test_of_many_that_start_at_once_one_wins(bucket: Bucket) -> None:
    together, over = threading.Barrier(4), threading.Event()

    def start(_: int) -> bool:
        together.wait()
        try:
            with Lease(bucket, NAME, PATIENT).hold():
                over.wait(60)
                return True
        except OutputError:
            return False

    with ThreadPoolExecutor(4) as pool:
        tries = [pool.submit(start, number) for number in range(4)]
        until = time.monotonic() + 50
        while sum(t.done() for t in tries) < 3 and time.monotonic() < until:
            time.sleep(0.1)
        over.set()
        assert sum(t.result() for t in tries) == 1


def test_who_lost_the_hold_is_told_so_before_he_writes(bucket: Bucket) -> None:
    sleeper = Lease(bucket, NAME, LeaseTimes(renew_s=3.5, stale_s=1, safe_s=60, look_s=0.1))
    with sleeper.hold():
        with Lease(bucket, NAME, LeaseTimes(renew_s=0.3, stale_s=1, safe_s=1, look_s=0.1)).hold():
            for _ in range(60):
                if not sleeper.held():
                    break
                time.sleep(0.1)
            with pytest.raises(OutputError) as caught:
                sleeper.require_held()
            assert f"taken over by process {os.getpid()}" in str(caught.value)
            before = bucket.read(NAME)
        after = bucket.read(NAME)
    assert bucket.read(NAME) == after != before, "the loser leaves the other's hold alone"


def test_a_hold_that_cannot_be_renewed_is_not_counted_on(
    bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    lease = Lease(bucket, NAME, QUICK)
    with lease.hold():
        proxy.first(1000, "busy")
        time.sleep(2)
        assert not lease.held()
        with pytest.raises(StoreError, match="could not be renewed"):
            lease.require_held()
        proxy.fault = lambda _: None
        until = time.monotonic() + 30
        while not lease.held():
            assert time.monotonic() < until, "nobody came between"
            time.sleep(0.1)


def test_what_is_no_hold_is_overwritten_when_it_is_old(bucket: Bucket) -> None:
    bucket.write(NAME, b"\x1b[31m not json")
    with Lease(bucket, NAME, LeaseTimes(renew_s=1, stale_s=1, look_s=0.1)).hold():
        pass


def test_it_does_not_travel(bucket: Bucket) -> None:
    with pytest.raises(TypeError, match="belongs to its process"):
        pickle.dumps(Lease(bucket, NAME))
