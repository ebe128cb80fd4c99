"""Buckets on real servers, for tests of several rooms."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest

from geoseg.objects.bucket import Bucket
from geoseg.objects.client import s3_client
from tests.ceph import ObjectStore
from tests.faulty_proxy import FaultyProxy, faulty_proxy
from tests.raster.servers import object_store

_numbers = itertools.count()


def use(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Let this process know a server, and nothing of others."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def fresh_bucket(monkeypatch: pytest.MonkeyPatch, store: ObjectStore) -> Bucket:
    """Return a place in a new bucket, its name with what URLs must quote."""
    use(monkeypatch, store.environment())
    name = f"geoseg-{next(_numbers)}"
    s3_client().create_bucket(Bucket=name)
    return Bucket(name, "a batch/밤 #1")


@pytest.fixture
def bucket(ceph: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A place in a new bucket of Ceph."""
    return fresh_bucket(monkeypatch, ceph)


@pytest.fixture
def proxy(
    ceph: ObjectStore, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """What this process takes for the server of ``bucket``."""
    with faulty_proxy(ceph.port) as found:
        use(monkeypatch, ceph.environment(found.port))
        yield found


@pytest.fixture(scope="session")
def moto() -> Iterator[ObjectStore]:
    with object_store() as port:
        yield ObjectStore(port)
