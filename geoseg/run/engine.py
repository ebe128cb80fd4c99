"""What a worker process keeps between blocks: the model by digest, the scene by fingerprint."""

from __future__ import annotations

import threading
from typing import Final

from geoseg.model.predictor import Predictor
from geoseg.raster.read import SceneReader
from geoseg.run.block import Engine
from geoseg.run.forward import DeviceLimits
from geoseg.run.plan import RunPlan

__all__ = [
    "forget_stop",
    "load_engine",
    "load_model",
    "release_readers",
    "request_stop",
    "stop_requested",
]

_guard: Final = threading.Lock()
_models: Final[dict[tuple[object, ...], tuple[Predictor, DeviceLimits]]] = {}
_readers: Final[dict[tuple[object, ...], SceneReader]] = {}
_stopped: Final[set[str]] = set()
_NO_LIMIT_PX: Final = 2**62


def load_engine(plan: RunPlan) -> Engine:
    """Return reader and model of a plan, made on first use in this process."""
    predictor, limits = load_model(plan)
    key = (plan.scene.address, plan.scene.fingerprint, plan.bands, plan.nodata_rule)
    with _guard:
        if key not in _readers:
            _readers[key] = SceneReader(plan.scene, plan.bands, plan.nodata_rule)
        return Engine(_readers[key], predictor, limits)


def load_model(plan: RunPlan) -> tuple[Predictor, DeviceLimits]:
    """Return the predictor of a plan; loaded once per process and digest.

    Raises:
        ModelError: The weights are missing or damaged.
    """
    from geoseg.model.torch_predictor import load_predictor  # noqa: PLC0415 - needs torch

    card = plan.card
    key = (card.weights_sha256, card.scaling, card.temperature, plan.device, plan.batch_size)
    with _guard:
        if key not in _models:
            predictor = load_predictor(plan.model_folder, card, plan.device)
            limits = DeviceLimits(batch_size=plan.batch_size, window_px=_NO_LIMIT_PX)
            _models[key] = (predictor, limits)
        return _models[key]


def release_readers() -> None:
    """Close all scenes of this process; models stay for the next run."""
    with _guard:
        for reader in _readers.values():
            reader.close()
        _readers.clear()


def request_stop(plan: RunPlan) -> None:
    """Ask this process's blocks of a run to end at the next window."""
    _stopped.add(plan.digest)


def forget_stop(plan: RunPlan) -> None:
    """Let a run that was stopped in this process start again."""
    _stopped.discard(plan.digest)


def stop_requested(plan: RunPlan) -> bool:
    """Tell whether the run was asked to stop in this process."""
    return bool(_stopped) and plan.digest in _stopped
