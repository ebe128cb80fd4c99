"""A hold on a place in a bucket, for a process that may die without letting go.

The hold is a small object, made where there is none and replaced only as it was read, so that
of two clients one wins. Its holder renews it every 15 s. One that was not renewed for 60 s, by
the server's clock, is anybody's. A client that finds a hold waits until it sees it renewed,
and is refused, or until it is stale, and takes it over: a client that was killed and is
started again waits for up to a minute.

What happens to a client that loses its hold, because it slept or the network was down: it is
told so before it writes the next time (``require_held``), and stops. What it has asked workers
for may still be finished by them; pieces of the same plan are the same, whoever made them.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from geoseg.errors import OutputError, StoreError
from geoseg.objects.bucket import Bucket, Version

__all__ = ["DEFAULT_TIMES", "Lease", "LeaseTimes"]

_log = logging.getLogger(__name__)
_ROUNDS: Final = 5
_LONGEST_WORD: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """How long what lasts."""

    renew_s: float = 15.0
    """Between two signs of life."""
    stale_s: float = 60.0
    """Without one, after which anybody may take over."""
    safe_s: float = 50.0
    """Without one, after which the holder itself does not count on it any more."""
    look_s: float = 2.0
    """Between two looks at somebody else's hold."""


DEFAULT_TIMES: Final = LeaseTimes()
"""Times for servers a slow network away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What the object says."""

    token: str = field(default_factory=lambda: secrets.token_hex(16))
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    is_released: bool = False

    def body(self, renewals: int, *, is_released: bool = False) -> bytes:
        """Return the object; each is unlike all before it, and so is its tag."""
        record = {
            "host": self.host,
            "pid": self.pid,
            "since": self.since,
            "renewals": renewals,
            "released": is_released,
            "token": self.token,
        }
        return json.dumps(record, indent=1).encode()

    def __str__(self) -> str:
        """Name the holder."""
        return f"process {self.pid} on {self.host}, since {self.since}"


def _claim_of(body: bytes) -> _Claim:
    """Return what an object says; of a strange one, that somebody unknown holds it."""
    match _json(body):
        case {"token": str(token), "host": str(host), "pid": int(pid), "since": str(since),
              "released": bool(is_released)}:  # fmt: skip
            return _Claim(
                token=token, host=_word(host), pid=pid, since=_word(since), is_released=is_released
            )
        case _:
            return _Claim(token="", host="an unknown host", pid=0, since="an unknown time")


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _word(text: str) -> str:
    """Return what a terminal may show of a text that anybody may have written."""
    return "".join(c for c in text if c.isprintable())[:_LONGEST_WORD]


class Lease:
    """One hold; it belongs to a process and does not travel."""

    def __init__(self, bucket: Bucket, name: str, times: LeaseTimes = DEFAULT_TIMES) -> None:
        """Name the object; nothing is asked of the server yet."""
        self._bucket = bucket
        self._name = name
        self._times = times
        self._claim = _Claim()
        self._etag: str | None = None
        self._renewals = 0
        self._renewed_at_s = 0.0
        self._successor: _Claim | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Refuse to travel."""
        msg = "a lease belongs to its process"
        raise TypeError(msg)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the place for the length of a block.

        Raises:
            OutputError: Somebody else holds it, or the bucket cannot be written.
        """
        self._claim, self._successor, self._renewals = _Claim(), None, 0
        self._acquire()
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(stop,), name="geoseg-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(self._times.safe_s)
            self._release()

    def held(self) -> bool:
        """Tell whether the hold is sure: taken, renewed of late, and not taken over."""
        age_s = time.monotonic() - self._renewed_at_s
        return self._etag is not None and self._successor is None and age_s < self._times.safe_s

    def require_held(self) -> None:
        """Refuse to go on without the hold, if it was ever asked for.

        Raises:
            StoreError: It was lost.
        """
        if self._etag is None or self.held():
            return
        by = f"was taken over by {self._successor}" if self._successor else "could not be renewed"
        msg = f"the hold on {self._bucket.address} {by}"
        raise StoreError(
            msg, hint="Let one batch at a time work on a root; the same command continues."
        )

    # Taking ---------------------------------------------------------------------------------

    def _acquire(self) -> None:
        first: Version | None = None
        for _ in range(_ROUNDS):
            asked_at_s = time.monotonic()
            found = self._bucket.version(self._name, quick=True)
            if found is not None and not self._is_free(found):
                first = found if first is None else first
                if found.etag != first.etag:
                    raise self._refusal(found)
                found = self._awaited(found)
                asked_at_s = time.monotonic()
            body = self._claim.body(0)
            if found is None:
                etag = self._bucket.put_if_absent(self._name, body)
            else:
                etag = self._bucket.put_if_match(self._name, body, found.etag)
            if etag is not None:
                self._etag, self._renewed_at_s = etag, asked_at_s
                self._warn_of_void_conditions()
                return
        msg = f"{self._bucket.address} cannot be held: others ask for it all the time"
        raise OutputError(msg, hint="Start one batch at a time on a root.")

    def _is_free(self, found: Version) -> bool:
        return _claim_of(found.body).is_released or found.age_s > self._times.stale_s

    def _awaited(self, seen: Version) -> Version | None:
        """Return the hold once it is stale or gone.

        Raises:
            OutputError: Its holder is alive.
        """
        _log.warning(
            "%s is held by %s: waiting up to %.0f s for a sign of life",
            self._bucket.address, _claim_of(seen.body), self._times.stale_s - seen.age_s,
        )  # fmt: skip
        while True:
            time.sleep(self._times.look_s)
            found = self._bucket.version(self._name, quick=True)
            if found is None or self._is_free(found):
                return found
            if found.etag != seen.etag:
                raise self._refusal(found)

    def _refusal(self, found: Version) -> OutputError:
        msg = f"another geoseg batch works on {self._bucket.address}: {_claim_of(found.body)}"
        hint = f"Wait for it, or stop it: its hold ends {self._times.stale_s:.0f} s after that."
        return OutputError(msg, hint=hint)

    def _warn_of_void_conditions(self) -> None:
        """Try what must be refused: some servers write whatever the condition says."""
        probe = self._claim.body(0) + b"\n"
        etag = self._bucket.put_if_absent(self._name, probe)
        if etag is not None:
            self._etag = etag
            _log.warning(
                "%s ignores conditions, so nothing keeps a second batch off: start none on it",
                self._bucket.address,
            )

    # Keeping --------------------------------------------------------------------------------

    def _keep(self, stop: threading.Event) -> None:
        wait_s = self._times.renew_s
        while not stop.wait(wait_s):
            try:
                if not self._renew():
                    return
                wait_s = self._times.renew_s
            except OutputError as error:
                _log.warning("the hold on %s: %s", self._bucket.address, error)
                wait_s = self._times.look_s

    def _renew(self, *, is_released: bool = False) -> bool:
        """Replace the object; tell whether it is still ours."""
        asked_at_s = time.monotonic()
        self._renewals += 1
        body = self._claim.body(self._renewals, is_released=is_released)
        assert self._etag is not None, "renewed after it was taken"  # noqa: S101
        etag = self._bucket.put_if_match(self._name, body, self._etag)
        if etag is None:
            found = self._bucket.version(self._name, quick=True)
            now = _Claim(host="nobody", pid=0) if found is None else _claim_of(found.body)
            if found is None or now.token != self._claim.token:
                self._successor = now
                return False
            # Ours, from a try whose answer was lost.
            etag = self._bucket.put_if_match(self._name, body, found.etag)
        if etag is not None:
            self._etag, self._renewed_at_s = etag, asked_at_s
        return True

    def _release(self) -> None:
        """Say that the place is free.

        The object stays: removed, it could be that of somebody who has just taken over.
        """
        if self._successor is None:
            try:
                self._renew(is_released=True)
            except OutputError as error:
                _log.warning("the hold on %s is not released: %s", self._bucket.address, error)
        self._etag = None
