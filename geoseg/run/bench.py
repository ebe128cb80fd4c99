"""How much of the hardware's speed reaches the files: one real run beside its bare network.

The run is the one that ``geoseg run`` makes, into a temporary folder or one that stays. The
limit is the same network by the same backend in the same process, all workers busy, on
windows that lie in memory, without any overlap, and nothing else done with the scores.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from geoseg.errors import MismatchError
from geoseg.memory import peak_memory_bytes
from geoseg.model.footprint import peak_device_bytes
from geoseg.options import RunOptions
from geoseg.run.engine import load_model
from geoseg.run.events import Event, Progress
from geoseg.run.pipeline import RunResult, run
from geoseg.run.plan import RunPlan
from geoseg.run.tuning import calls_per_second

__all__ = ["BenchReport", "bench"]

# Windows of this side are about the fastest per pixel on CPUs; the plan's own are tried too.
_LIMIT_SIDE_PX: Final = 512
_STAT: Final = Path("/proc/self/stat")
_UPTIME: Final = Path("/proc/uptime")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchReport:
    """What was measured; megapixels are of valid scene pixels, seconds of the wall clock."""

    scene: str
    model: str
    device: str
    precision: str
    backend: str
    workers: int
    window_px: tuple[int, int]
    valid_mpx: float
    """Classified pixels."""
    elapsed_s: float
    """From opening the scene to the last file."""
    startup_s: float | None
    """From the start of the process to the plan; None where the system does not tell."""
    first_block_s: float
    """From opening the scene to the first finished block."""
    mpx_per_s: float
    """File to file."""
    limit_mpx_per_s: float
    """The bare forward pass."""
    of_limit: float
    """Their ratio."""
    redundancy: float
    """Pixels forwarded per valid model pixel."""
    busy_share: float
    """Part of the time of all workers (on a GPU: of the run) spent in the network."""
    stage_s: dict[str, float]
    """Seconds of all workers together by stage, and of the stages after the blocks."""
    peak_host_bytes: int | None
    peak_device_bytes: int | None

    def as_json(self) -> dict[str, Any]:
        """Return the report as one ``bench`` event."""
        return {"event": "bench", **asdict(self)}

    def lines(self) -> list[tuple[str, str]]:
        """Return (label, text) pairs for people."""
        height, width = self.window_px
        start = "" if self.startup_s is None else f"{self.startup_s:.2f} s to the plan, "
        stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.stage_s.items())
        memory = [
            f"{size / 2**30:.2f} GiB on the {where}"
            for where, size in (("host", self.peak_host_bytes), ("device", self.peak_device_bytes))
            if size is not None
        ]
        way = f"{self.precision} on {self.device} with {self.backend}, {self.workers} worker(s)"
        return [
            ("scene", f"{self.scene}: {self.valid_mpx:.1f} Mpx valid"),
            ("model", f"{self.model}; {way}, windows of {width} x {height} px"),
            ("file to file", f"{self.mpx_per_s:.2f} Mpx/s ({self.elapsed_s:.1f} s)"),
            ("limit", f"{self.limit_mpx_per_s:.2f} Mpx/s, the bare forward pass without overlap"),
            ("of the limit", f"{100 * self.of_limit:.0f} %"),
            ("redundancy", f"{self.redundancy:.2f} x the pixels"),
            ("busy", f"{100 * self.busy_share:.0f} % of the workers' time in the network"),
            ("stages", f"{stages} s"),
            ("start", f"{start}{self.first_block_s:.2f} s to the first block"),
            ("memory", ", ".join(memory) or "unknown"),
        ]


class _Clock:
    """Notes when the first event of a kind came, and passes events on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.began = time.perf_counter()
        self.seen_s: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        self.seen_s.setdefault(event.kind, time.perf_counter() - self.began)
        self._progress(event)


def bench(
    options: RunOptions, progress: Progress = lambda _: None, *, limit_s: float = 10.0
) -> BenchReport:
    """Run once and measure the limit.

    Args:
        options: The run; without ``out`` its files go to a temporary folder.
        progress: Receives the run's events.
        limit_s: How long the bare network is measured, for each of two window sizes.

    Raises:
        GeosegError: What a run raises.
    """
    clock = _Clock(progress)
    before_s = _process_age_s()
    with _place(options.out) as out:
        result = run(replace(options, out=out), clock)
        peak = peak_memory_bytes()
        device_peak = peak_device_bytes(result.plan.device)
        limit = _limit(result.plan, limit_s)
    return _report(result, clock, (before_s, peak, device_peak, limit))


@contextmanager
def _place(out: Path | None) -> Iterator[Path]:
    """Yield the folder of the results; without one, a folder that goes away."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="geoseg-bench-") as folder:
        yield Path(folder) / "out"


def _report(
    result: RunResult,
    clock: _Clock,
    measured: tuple[float | None, int | None, int | None, float],
) -> BenchReport:
    plan = result.plan
    before_s, peak, device_peak, limit = measured
    valid_px = result.totals.valid_px
    if not valid_px:
        msg = f"{plan.scene.label} holds no valid pixel: there is nothing to measure"
        raise MismatchError(msg)
    model_px = valid_px / (plan.scale.row_step * plan.scale.col_step)
    predict_s = result.totals.stage_s["predict"]
    shared = plan.workers if plan.device.is_cpu else 1
    first = clock.seen_s.get("block", result.elapsed_s)
    speed = valid_px / 1e6 / result.elapsed_s
    # The limit counts model pixels; a scene that is resampled has more or fewer.
    limit *= valid_px / max(model_px, 1)
    return BenchReport(
        scene=plan.scene.label,
        model=plan.card.name,
        device=plan.device.name,
        precision=plan.device.precision,
        backend=plan.device.backend,
        workers=plan.workers,
        window_px=plan.tiling.window_shape,
        valid_mpx=round(valid_px / 1e6, 3),
        elapsed_s=round(result.elapsed_s, 3),
        startup_s=None if before_s is None else round(before_s + clock.seen_s["plan"], 3),
        first_block_s=round(first, 3),
        mpx_per_s=round(speed, 3),
        limit_mpx_per_s=round(limit, 3),
        of_limit=round(speed / limit, 3),
        redundancy=round(result.totals.forwarded_px / max(model_px, 1), 3),
        busy_share=round(predict_s / (shared * result.elapsed_s), 3),
        stage_s={**result.totals.stage_s, **{k: round(v, 3) for k, v in result.finish_s.items()}},
        peak_host_bytes=peak,
        peak_device_bytes=device_peak,
    )


def _limit(plan: RunPlan, seconds: float) -> float:
    """Return Mpx/s of the bare network: the better of small windows and the plan's own."""
    predictor = load_model(plan)
    low, high = plan.card.value_range
    side = max(_LIMIT_SIDE_PX // plan.tiling.stride_px, 1) * plan.tiling.stride_px
    found = []
    for height, width in ((side, side), plan.tiling.window_shape):
        shape = (plan.batch_size, len(plan.bands), height, width)
        batch = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
        px = plan.batch_size * height * width
        calls = calls_per_second(partial(predictor.scores, batch), plan.workers, seconds)
        found.append(calls * px / 1e6)
    return max(found)


def _process_age_s() -> float | None:
    """Return how long ago this process was started; None where the system does not tell."""
    try:
        # The name may hold spaces: count from its closing bracket (man 5 proc).
        ticks = int(_STAT.read_text(encoding="ascii").rsplit(")", 1)[1].split()[19])
        uptime_s = float(_UPTIME.read_text(encoding="ascii").split()[0])
        return uptime_s - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, UnicodeDecodeError):
        return None
