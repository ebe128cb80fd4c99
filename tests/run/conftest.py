"""The pipeline without its cluster, for tests that look at pixels only."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext

import pytest

from geoseg.run import pipeline


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Blocks run one after the other in this thread; call it with a seed to shuffle them."""
    seed: list[int | None] = [None]

    def one_by_one(
        client: object, function: Callable, items: Iterable, *, workers: int
    ) -> Iterator[tuple[object, object]]:
        queue = list(items)
        if seed[0] is not None:
            random.Random(seed[0]).shuffle(queue)
        for item in queue:
            yield item, function(item)

    monkeypatch.setattr(pipeline, "local_client", lambda *_, **__: nullcontext())
    monkeypatch.setattr(pipeline, "map_bounded", one_by_one)

    def order(value: int | None) -> None:
        seed[0] = value

    return order
