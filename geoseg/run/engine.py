"""What a worker process keeps: models by identity, and per run its scene, limits and stop.

A result folder has one run at a time, held by its lock, and so names the run. The network
is everybody's: blocks of several runs take turns in it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from geoseg.memory import return_freed_pages
from geoseg.model.loading import load_predictor
from geoseg.model.network import predictor_identity
from geoseg.model.predictor import Predictor, Prepared
from geoseg.raster.read import SceneReader
from geoseg.run.block import Engine
from geoseg.run.device_limits import DeviceLimits
from geoseg.run.plan import RunPlan
from geoseg.vector.warm_up import compile_in_background

__all__ = [
    "begin_run",
    "block_finished",
    "end_run",
    "load_engine",
    "load_model",
    "prepare_model",
    "request_stop",
    "run_limits",
    "stop_requested",
    "taking_part",
]

_BLOCKS_PER_RETURN: Final = 4
_IDLE_RUNS: Final = 4
"""Scenes that a worker keeps open between their blocks."""


@dataclass(slots=True)
class _RunState:
    """What the blocks of one run share in this process."""

    limits: DeviceLimits
    users: int = 0
    reader: SceneReader | None = None
    stopped: bool = False
    finished_blocks: int = 0


_guard: Final = threading.Lock()
_models: Final[dict[str, Predictor]] = {}
_loading: Final[dict[str, threading.Lock]] = {}
_slots: Final[dict[tuple[str, int], threading.Semaphore]] = {}
_runs: Final[dict[tuple[Path, str], _RunState]] = {}
"""By place and digest: a block of a client that was killed may still run when the next client maps
the same scene with other options, and must not lend it a reader of other bands."""


def begin_run(plan: RunPlan) -> None:
    """Start with a fresh state: no stop, and no limit, for the device may be free now."""
    end_run(plan)
    with _guard:
        _runs[_key(plan)] = _fresh(plan)


def end_run(plan: RunPlan) -> None:
    """Close the scene and forget the run; the model stays for the next one."""
    with _guard:
        state = _runs.pop(_key(plan), None)
    _close(state)


@contextmanager
def taking_part(plan: RunPlan) -> Iterator[None]:
    """Hold a run's scene open for a block, in a process that nobody tells when the run ends.

    Of the runs that have no block here just now, the last few stay open.
    """
    with _guard:
        key = _key(plan)
        _runs[key] = state = _runs.pop(key, None) or _fresh(plan)  # now the youngest
        state.users += 1
    try:
        yield
    finally:
        with _guard:
            state.users -= 1
            idle = [key for key, other in _runs.items() if not other.users]
            old = [_runs.pop(key) for key in idle[:-_IDLE_RUNS]]
        _close(*old)


def _close(*states: _RunState | None) -> None:
    for state in states:
        if state is not None and state.reader is not None:
            state.reader.close()


def load_engine(plan: RunPlan) -> Engine:
    """Return reader, model and limits of a plan, made on first use in this process."""
    predictor = load_model(plan)
    if plan.wants_polygons:
        # Not sooner: imports of several threads only take turns.
        compile_in_background()
    with _guard:
        state = _state(plan)
        if state.reader is None:
            state.reader = SceneReader(plan.scene, plan.bands, plan.nodata_rule)
        key = plan.device.name, plan.workers
        slots = _slots.setdefault(key, threading.Semaphore(plan.workers))
        return Engine(state.reader, predictor, state.limits, slots)


def load_model(plan: RunPlan) -> Predictor:
    """Return a plan's predictor, loaded once per process, model and device.

    Raises:
        ModelError: The weights are missing or damaged.
    """
    key = _model_key(plan)
    with _guard:
        loading = _loading.setdefault(key, threading.Lock())
    # Not under the guard, which runs need to be stopped and ended.
    with loading:
        found = _models.get(key)
        if found is None:
            found = _models[key] = load_predictor(
                plan.model_folder, plan.card, plan.device, threads=plan.workers
            )
        return found


def prepare_model(plan: RunPlan) -> None:
    """Begin to load and compile a plan's model in a thread of its own.

    Compiling takes a core half a second that Dask's imports leave idle. A failure is left to
    the first block: it meets the same error.
    """

    def work() -> None:
        with suppress(Exception):
            predictor = load_model(plan)
            if isinstance(predictor, Prepared):
                predictor.prepare(plan.tiling.halo_px if plan.takes_labels else None)

    # No daemon: an interpreter that ends waits for it, as compilers abort where they are cut off.
    threading.Thread(target=work, name="geoseg-prepare").start()


def _model_key(plan: RunPlan) -> str:
    """Return all that tells one loaded model from another, as text."""
    identity = predictor_identity(plan.card, plan.device.backend)
    parts = [identity, asdict(plan.device), plan.workers]
    return json.dumps(parts, sort_keys=True)


def run_limits(plan: RunPlan) -> DeviceLimits:
    """Return what a run has learnt of the device's memory in this process, since it began."""
    with _guard:
        return _state(plan).limits


def block_finished(plan: RunPlan) -> None:
    """Count a block; now and then, give memory that is kept for the next one back.

    Pages are faulted in again at the next window, which takes a few per cent of its time.
    """
    with _guard:
        state = _state(plan)
        state.finished_blocks += 1
        is_due = state.finished_blocks % _BLOCKS_PER_RETURN == 0
    if is_due and plan.device.is_cpu:
        return_freed_pages()


def request_stop(plan: RunPlan) -> None:
    """Ask this process's blocks of a run to end at the next window."""
    with _guard:
        _state(plan).stopped = True


def stop_requested(plan: RunPlan) -> bool:
    """Tell whether the run was asked to stop in this process."""
    state = _runs.get(_key(plan))
    return state is not None and state.stopped


def _key(plan: RunPlan) -> tuple[Path, str]:
    return plan.out, plan.digest


def _state(plan: RunPlan) -> _RunState:
    """Return a run's state; the caller holds the guard."""
    return _runs.setdefault(_key(plan), _fresh(plan))


def _fresh(plan: RunPlan) -> _RunState:
    return _RunState(DeviceLimits(plan.batch_size))
