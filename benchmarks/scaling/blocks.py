"""A batch of null blocks on a simulated cluster, watched from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import psutil

from scaling.nulls import BLOCK_PX, write_virtual_scene

__all__ = ["Load", "Seen", "run_null_batch"]

HERE = Path(__file__).resolve().parent.parent
_SAMPLE_S = 0.25
_MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Load:
    """A batch, and the workers for it."""

    scenes: int
    rows: int
    """Blocks of a scene, downwards."""
    cols: int
    """Blocks of a scene, across."""
    workers: int
    processes: int
    """Processes that the workers share."""
    sleep_s: float
    """How long a block takes."""
    log_length: int = 10
    """Messages that the scheduler keeps of each worker; as geoseg sets it where it starts the
    scheduler. Dask's own default is 1000."""

    @property
    def blocks(self) -> int:
        """Blocks of all scenes."""
        return self.scenes * self.rows * self.cols


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look at the processes."""

    at_s: float
    blocks_done: int
    client_bytes: int
    scheduler_bytes: int
    client_cpu_s: float
    scheduler_cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a batch of null blocks took."""

    scenes: int
    blocks: int
    workers: int
    log_length: int
    seconds: float
    blocks_per_s: float
    client_peak_mib: float
    scheduler_peak_mib: float
    client_growth_bytes: float
    """Per block, from the first tenth of the blocks to the last."""
    scheduler_growth_bytes: float
    client_cpu_ms: float
    """Per block."""
    scheduler_cpu_ms: float
    most_tasks: int
    """Known to the scheduler at a time."""
    graphs: int
    """Times that something was handed to the scheduler."""
    most_tasks_of_a_graph: int
    largest_message_bytes: int
    tasks_left: int
    """Known to the scheduler when the client had gone."""


def run_null_batch(load: Load, folder: Path) -> tuple[Seen, list[Sample]]:
    """Run one batch in processes of its own.

    Args:
        load: How much.
        folder: Empty folder for scenes and results.
    """
    source = _write_scenes(load, folder)
    with ExitStack() as stack:
        scheduler = stack.enter_context(_role("scheduler", log_length=load.log_length))
        address = _line(scheduler)["address"]
        shares = [len(range(i, load.workers, load.processes)) for i in range(load.processes)]
        crew = [stack.enter_context(_role("workers", address, str(n))) for n in shares]
        for process in crew:
            _line(process)
        start_s = time.perf_counter()
        client = stack.enter_context(
            _role("client", address, str(load.sleep_s), str(folder / "out"), str(source))
        )
        samples = _watched(client, scheduler)
        seconds = time.perf_counter() - start_s
        if client.wait() != 0:
            sys.exit(f"the client failed with exit code {client.returncode}")
        scheduler.stdin.close()
        told = _line(scheduler)
    return _seen(load, seconds, samples, told), samples


def _write_scenes(load: Load, folder: Path) -> Path:
    """Write the headers, and a list of them."""
    names = [f"scene_{number:05d}.vrt" for number in range(load.scenes)]
    for name in names:
        write_virtual_scene(folder / name, load.rows, load.cols)
    listed = folder / "scenes.txt"
    listed.write_text("\n".join(names) + "\n", encoding="utf-8")
    return listed


@contextmanager
def _role(*arguments: str, log_length: int = 1000) -> Iterator[subprocess.Popen[str]]:
    """Start a process of ``scaling.roles``; it ends when its standard input is closed."""
    path = os.pathsep.join((str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")))
    with subprocess.Popen(
        [sys.executable, "-m", "scaling.roles", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": path.rstrip(os.pathsep),
            "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": str(log_length),
        },
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _line(process: subprocess.Popen[str]) -> dict:
    text = process.stdout.readline() if process.stdout else ""
    if not text:
        sys.exit("a process of the simulated cluster has ended; its errors are above")
    return json.loads(text)


def _watched(client: subprocess.Popen[str], scheduler: subprocess.Popen[str]) -> list[Sample]:
    """Sample both processes until the client has ended."""
    done = {"blocks": 0}
    over = Event()

    def listen() -> None:
        for line in client.stdout or ():
            done["blocks"] = json.loads(line)["px_done"] // BLOCK_PX**2
        over.set()

    listener = Thread(target=listen)
    listener.start()
    watched = psutil.Process(client.pid), psutil.Process(scheduler.pid)
    samples: list[Sample] = []
    start_s = time.perf_counter()
    is_over = False
    while not is_over:
        is_over = over.wait(_SAMPLE_S)
        try:
            memory = [process.memory_info().rss for process in watched]
            cpu = [sum(process.cpu_times()[:2]) for process in watched]
        except psutil.NoSuchProcess:
            break
        samples.append(
            Sample(
                at_s=round(time.perf_counter() - start_s, 2),
                blocks_done=done["blocks"],
                client_bytes=memory[0],
                scheduler_bytes=memory[1],
                client_cpu_s=round(cpu[0], 2),
                scheduler_cpu_s=round(cpu[1], 2),
            )
        )
    listener.join()
    return samples


def _seen(load: Load, seconds: float, samples: list[Sample], told: dict) -> Seen:
    inside = [s for s in samples if s.blocks_done >= load.blocks / 10] or samples[-2:]
    first, last = inside[0], inside[-1]
    blocks = max(last.blocks_done - first.blocks_done, 1)
    return Seen(
        scenes=load.scenes,
        blocks=load.blocks,
        workers=load.workers,
        log_length=load.log_length,
        seconds=round(seconds, 1),
        blocks_per_s=round(blocks / max(last.at_s - first.at_s, _SAMPLE_S), 1),
        client_peak_mib=round(max(s.client_bytes for s in samples) / _MIB, 1),
        scheduler_peak_mib=round(max(s.scheduler_bytes for s in samples) / _MIB, 1),
        client_growth_bytes=round((last.client_bytes - first.client_bytes) / blocks, 1),
        scheduler_growth_bytes=round((last.scheduler_bytes - first.scheduler_bytes) / blocks, 1),
        client_cpu_ms=round((last.client_cpu_s - first.client_cpu_s) / blocks * 1e3, 3),
        scheduler_cpu_ms=round((last.scheduler_cpu_s - first.scheduler_cpu_s) / blocks * 1e3, 3),
        most_tasks=told["tasks"],
        graphs=told["graphs"],
        most_tasks_of_a_graph=told["tasks_of_a_graph"],
        largest_message_bytes=max(told["sent_bytes"], told["received_bytes"]),
        tasks_left=told["tasks_left"],
    )
