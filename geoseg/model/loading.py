"""From a model folder to a predictor, by the backend that the plan chose."""

from __future__ import annotations

from pathlib import Path

from geoseg.model.card import ModelCard
from geoseg.model.device import Device
from geoseg.model.predictor import Predictor

__all__ = ["load_predictor"]


def load_predictor(folder: Path, card: ModelCard, device: Device, *, threads: int) -> Predictor:
    """Load a model folder onto a device.

    Args:
        folder: The model's folder.
        card: Its card.
        device: Device, precision and backend.
        threads: How many threads will call it at a time.

    Raises:
        ModelError: Files are missing, damaged, or do not fit the card.
    """
    if device.backend == "torch":
        from geoseg.model import torch_predictor  # noqa: PLC0415 - torch, 1.2 s

        return torch_predictor.load_predictor(folder, card, device)
    from geoseg.model.program_predictor import ProgramPredictor  # noqa: PLC0415 - one of two

    return ProgramPredictor(folder, card, device, threads)
