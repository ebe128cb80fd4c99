"""The processes of a simulated cluster; each is started as ``python -m scaling.roles ROLE ...``.

``scheduler``, ``workers`` and ``client`` are processes of their own, so that the memory of each
is told apart. They print JSON lines, and end when their standard input does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from contextlib import AsyncExitStack
from typing import Any

import dask
import distributed.comm.tcp as transport
from distributed import Scheduler, SchedulerPlugin, Worker

from geoseg.options import BatchOptions, ClusterOptions
from geoseg.run import batch
from geoseg.run.cluster import portless_scheduler
from geoseg.run.events import BatchFinished, Event, ScenesSoFar
from scaling.nulls import NullWork, null_options

_LOCAL = "127.0.0.1"
_WORKER = {"distributed.worker.profile.enabled": False}


def say(**values: object) -> None:
    """Print a JSON line."""
    print(json.dumps(values), flush=True)


async def input_ends() -> None:
    """Return when whoever started this process has closed its standard input."""
    await asyncio.to_thread(sys.stdin.read)


class Watch(SchedulerPlugin):
    """The largest of everything that a scheduler has seen."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Watch a scheduler."""
        self._scheduler = scheduler
        self.most = {"tasks": 0, "tasks_of_a_graph": 0, "sent_bytes": 0, "received_bytes": 0}
        self.graphs = 0

    def transition(self, *_: object, **__: object) -> None:
        """Count what the scheduler knows."""
        self._keep("tasks", len(self._scheduler.tasks))

    def update_graph(self, _: Scheduler, *, tasks: list[Any], **__: object) -> None:
        """Count what came at once."""
        self.graphs += 1
        self._keep("tasks_of_a_graph", len(tasks))

    def watch_messages(self) -> None:
        """Weigh what goes over the network."""
        pack, unpack = transport.to_frames, transport.from_frames

        async def to_frames(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as upstream
            frames = await pack(*args, **kwargs)
            self._keep("sent_bytes", sum(memoryview(frame).nbytes for frame in frames))
            return frames

        async def from_frames(frames: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as upstream
            self._keep("received_bytes", sum(memoryview(frame).nbytes for frame in frames))
            return await unpack(frames, **kwargs)

        transport.to_frames, transport.from_frames = to_frames, from_frames

    def _keep(self, name: str, value: int) -> None:
        self.most[name] = max(self.most[name], value)


async def scheduler() -> None:
    """Run a scheduler; tell its address, and at last what it has seen."""
    async with portless_scheduler()(host=_LOCAL, port=0) as running:
        watch = Watch(running)
        watch.watch_messages()
        running.add_plugin(watch)
        say(address=running.address)
        await input_ends()
        say(**watch.most, graphs=watch.graphs, tasks_left=len(running.tasks))


async def workers(address: str, count: int) -> None:
    """Run so many workers of one thread in this process."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="geoseg-scale-"))
        stack.enter_context(dask.config.set(_WORKER))
        for _ in range(count):
            await stack.enter_async_context(
                Worker(
                    address,
                    nthreads=1,
                    memory_limit=0,
                    host=_LOCAL,
                    local_directory=folder,
                    dashboard=False,
                    dashboard_address=f"{_LOCAL}:0",
                )
            )
        say(workers=count)
        await input_ends()


def client(address: str, sleep_s: float, out: str, sources: list[str]) -> None:
    """Run a batch; only the tasks of a scene are replaced."""
    NullWork.sleep_s = sleep_s
    batch.SceneWork = NullWork
    options = BatchOptions(
        sources=tuple(sources),
        out=out,
        scene=null_options(),
        cluster=ClusterOptions(scheduler=address),
    )
    batch.run_batch(options, _tell)


def _tell(event: Event) -> None:
    if isinstance(event, ScenesSoFar | BatchFinished):
        say(**event.as_json())


def main() -> None:
    """Play one role."""
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(dest="role", required=True)
    roles.add_parser("scheduler")
    some = roles.add_parser("workers")
    some.add_argument("address")
    some.add_argument("count", type=int)
    one = roles.add_parser("client")
    one.add_argument("address")
    one.add_argument("sleep_s", type=float)
    one.add_argument("out")
    one.add_argument("sources", nargs="+")
    told = parser.parse_args()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if told.role == "scheduler":
        asyncio.run(scheduler())
    elif told.role == "workers":
        asyncio.run(workers(told.address, told.count))
    else:
        client(told.address, told.sleep_s, told.out, told.sources)


if __name__ == "__main__":
    main()
