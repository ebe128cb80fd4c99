"""What a worker process keeps between blocks: the model by digest, the scene by fingerprint."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Final

from geoseg.model.network import predictor_identity
from geoseg.model.predictor import Predictor
from geoseg.raster.read import SceneReader
from geoseg.run.block import Engine
from geoseg.run.forward import DeviceLimits
from geoseg.run.plan import RunPlan

__all__ = [
    "begin_run",
    "forget_stop",
    "load_engine",
    "load_model",
    "release_readers",
    "request_stop",
    "run_limits",
    "stop_requested",
]

_guard: Final = threading.Lock()
_models: Final[dict[str, Predictor]] = {}
_readers: Final[dict[tuple[object, ...], SceneReader]] = {}
# A folder has one run at a time, held by its lock, and so names the run.
_limits: Final[dict[Path, DeviceLimits]] = {}
_stopped: Final[set[str]] = set()


def load_engine(plan: RunPlan) -> Engine:
    """Return reader, model and limits of a plan, made on first use in this process."""
    predictor, limits = load_model(plan)
    key = (plan.scene.address, plan.scene.fingerprint, plan.bands, plan.nodata_rule)
    with _guard:
        if key not in _readers:
            _readers[key] = SceneReader(plan.scene, plan.bands, plan.nodata_rule)
        return Engine(_readers[key], predictor, limits)


def load_model(plan: RunPlan) -> tuple[Predictor, DeviceLimits]:
    """Return a plan's predictor, loaded once per process, model and device, and its limits.

    Raises:
        ModelError: The weights are missing or damaged.
    """
    from geoseg.model.torch_predictor import load_predictor  # noqa: PLC0415 - needs torch

    key = _model_key(plan)
    with _guard:
        if key not in _models:
            _models[key] = load_predictor(plan.model_folder, plan.card, plan.device)
        predictor = _models[key]
    return predictor, run_limits(plan)


def _model_key(plan: RunPlan) -> str:
    """Return all that tells one loaded model from another, as text."""
    parts = [predictor_identity(plan.card), plan.device.name, plan.device.precision]
    return json.dumps(parts, sort_keys=True)


def begin_run(plan: RunPlan) -> None:
    """Forget what an earlier run into the same folder left in this process.

    Its request to stop, and what it learnt of the device's memory: that may be free now.
    """
    _stopped.discard(plan.digest)
    with _guard:
        _limits.pop(plan.out, None)


forget_stop = begin_run


def run_limits(plan: RunPlan) -> DeviceLimits:
    """Return what a run has learnt of the device's memory in this process, since it began.

    ``news()`` gives the sentences for its listeners, ``as_json()`` the entry of its record.
    """
    with _guard:
        return _limits.setdefault(plan.out, DeviceLimits(plan.batch_size))


def release_readers() -> None:
    """Close all scenes of this process; models stay for the next run."""
    with _guard:
        for reader in _readers.values():
            reader.close()
        _readers.clear()


def request_stop(plan: RunPlan) -> None:
    """Ask this process's blocks of a run to end at the next window."""
    _stopped.add(plan.digest)


def stop_requested(plan: RunPlan) -> bool:
    """Tell whether the run was asked to stop in this process."""
    return bool(_stopped) and plan.digest in _stopped
