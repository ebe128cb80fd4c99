"""Tasks on the real in-process cluster: errors keep their type, failures their item."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import rasterio

from geoseg.errors import ModelError, OutputError, SceneReadError
from geoseg.raster.env import mapped_read_errors
from geoseg.run import cluster
from geoseg.run.cluster import Failure, local_client, map_bounded


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "_BACKOFF_S", 0.01)


def outcome(function: Any, items: list[Any], workers: int = 2) -> dict[Any, Any]:
    with local_client(workers) as client:
        return dict(map_bounded(client, function, items, workers=workers))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_every_item_comes_back_once(workers: int, count: int) -> None:
    assert outcome(abs, [-i for i in range(count)], workers) == {-i: i for i in range(count)}


def test_no_more_tasks_are_known_than_a_few_per_worker() -> None:
    taken, most = [0], [0]

    def items() -> Iterator[int]:
        for i in range(60):
            taken[0] += 1
            yield i

    done = 0
    with local_client(2) as client:
        for _ in map_bounded(client, abs, items(), workers=2):
            most[0] = max(most[0], taken[0] - done)
            done += 1
    assert done == 60
    assert most[0] <= 5


# Functions of the module travel to the worker by name, so that they count here.
TRIES: Counter[str] = Counter()


def read_nothing(name: str) -> None:
    TRIES[name] += 1
    with mapped_read_errors(name, "rows 1-2"):
        rasterio.open(f"/nowhere/{name}")


def fail_for_good(name: str) -> None:
    TRIES[name] += 1
    kind = {"model": ModelError, "output": OutputError}[name]
    try:
        rasterio.open("/nowhere/a.tif")
    except rasterio.errors.RasterioIOError as error:
        msg = "no use"
        raise kind(msg, hint="stop") from error


def test_an_error_caused_by_gdal_keeps_its_type_and_hint() -> None:
    TRIES.clear()
    found = outcome(read_nothing, ["a.tif"])["a.tif"]
    assert isinstance(found, Failure)
    assert type(found.error) is SceneReadError
    assert str(found.error).startswith("cannot read rows 1-2 of a.tif: ")
    assert found.error.hint
    assert TRIES == {"a.tif": 3}


@pytest.mark.parametrize(("name", "kind"), [("model", ModelError), ("output", OutputError)])
def test_what_cannot_be_mended_is_not_tried_again(name: str, kind: type[Exception]) -> None:
    TRIES.clear()
    with pytest.raises(kind, match="no use") as caught:
        outcome(fail_for_good, [name])
    assert caught.value.hint == "stop"
    assert {name: 1} == TRIES


def test_an_unforeseen_error_is_a_failure_of_its_item_alone() -> None:
    def fail(item: int) -> int:
        if item == 3:
            msg = "a bug"
            raise ZeroDivisionError(msg)
        return item

    found = outcome(fail, list(range(6)))
    failed = found.pop(3)
    assert isinstance(failed, Failure)
    assert isinstance(failed.error, ZeroDivisionError)
    assert found == {i: i for i in (0, 1, 2, 4, 5)}


def test_no_port_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = socket.socket.bind

    def bind(self: socket.socket, address: object) -> None:
        opened.append(address)
        real(self, address)

    monkeypatch.setattr(socket.socket, "bind", bind, raising=False)
    assert outcome(abs, [-1]) == {-1: 1}
    assert opened == []
    assert threading.active_count() < 50
