"""What workers are asked outside of their tasks, and what they owe an answer to."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from geoseg.errors import GeosegError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["GoneWorkerError", "Questions", "SilentWorkerError"]

_ANSWER_S: Final = 120.0
"""Within which a worker answers that is not frozen: the first time, it loads geoseg."""
_PAUSE_S: Final = 2.0


class SilentWorkerError(Exception):
    """A worker that is there and does not answer; it may be frozen, or only slow."""


class GoneWorkerError(Exception):
    """A worker that has left before it answered."""


@dataclass(slots=True)
class _Question:
    """What a worker was asked and has not answered."""

    answer: Future[Any]
    until_s: float
    """When its silence is told, by the monotonic clock; infinite once it was."""

    @property
    def is_news(self) -> bool:
        return self.answer.done() or time.monotonic() >= self.until_s


class Questions:
    """Calls in workers' processes of which none waits for another's."""

    def __init__(self, client: Client) -> None:
        """Take the client that knows the workers."""
        self._client = client
        self._asked: dict[str, _Question] = {}

    @property
    def has_news(self) -> bool:
        """Whether a worker has answered that owed it, or has been silent for too long."""
        return any(question.is_news for question in self._asked.values())

    def ask(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        workers: set[str],
        *,
        patient: bool,
    ) -> dict[str, Any]:
        """Call a function once in each worker's process; errors come back as values.

        What comes late is in the answers of a later call, as is a ``SilentWorkerError``, once,
        of a worker that has not answered within two minutes.

        Args:
            function: What to call.
            args: Its arguments.
            workers: Whom to ask; those that still owe an answer are not asked again.
            patient: Wait until all have answered or are silent, else return what is there.

        Raises:
            OSError: The scheduler does not answer; or another error of Dask's that says so.
        """
        until_s = time.monotonic() + _ANSWER_S
        loop: Any = self._client.loop
        for worker in workers - set(self._asked):
            call = self._called(function, args, worker)
            answer = asyncio.run_coroutine_threadsafe(call, loop.asyncio_loop)
            self._asked[worker] = _Question(answer, until_s)
        if patient:
            wait([question.answer for question in self._asked.values()], timeout=_ANSWER_S)
        news = [worker for worker, question in self._asked.items() if question.is_news]
        return {worker: self._heard(worker) for worker in news}

    async def _called(
        self, function: Callable[..., Any], args: tuple[Any, ...], worker: str
    ) -> Any:  # noqa: ANN401 - whatever it returns
        """Call a function in one worker, for as long as it is there and cannot be reached."""
        while True:
            answers = await self._client.run(
                function, *args, workers=[worker], on_error="return", asynchronous=True
            )
            found = answers[worker]
            if not isinstance(found, OSError | TimeoutError) or isinstance(found, GeosegError):
                return found
            if worker not in await self._client.nthreads():
                return GoneWorkerError(str(found))
            await asyncio.sleep(_PAUSE_S)

    def _heard(self, worker: str) -> Any:  # noqa: ANN401 - the same
        """Return what a worker has answered, or that it is silent."""
        question = self._asked[worker]
        if question.answer.done():
            del self._asked[worker]
            return question.answer.result()
        question.until_s = math.inf
        return SilentWorkerError(f"no answer within {_ANSWER_S:.0f} s")

    def close(self) -> None:
        """Wait no longer for answers."""
        for question in self._asked.values():
            question.answer.cancel()
        self._asked.clear()
