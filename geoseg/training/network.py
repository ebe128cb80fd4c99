"""The network to fit: with fresh weights, or with those of another model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.errors import ModelError
from geoseg.legend import Legend
from geoseg.model.card import ModelCard, NetworkSpec
from geoseg.model.device import is_bf16_fast, resolve_device
from geoseg.model.network import build_network, load_network

__all__ = [
    "choose_training_device",
    "fresh_network",
    "last_bias",
    "seconds_per_step",
    "seed_torch",
    "shift_scores",
]

_TIMED = 3
_HEADS = ("segmentation_head.", "heads.")
"""Where smp and ``Fcn`` keep the layers with one row per class."""


def fresh_network(
    spec: NetworkSpec,
    n_bands: int,
    start: tuple[Path, ModelCard] | None,
    legend: Legend,
    seed: int,
) -> tuple[nn.Module, list[str]]:
    """Build the network; from another model it takes every tensor that fits.

    A head with other classes takes the channels of the classes that both know by name.

    Args:
        spec: What to build.
        n_bands: Input bands.
        start: Model folder and card to start from.
        legend: The new classes.
        seed: Of fresh weights.

    Returns:
        The network, and the names of the tensors that start from fresh weights.

    Raises:
        ModelError: It cannot be built, or the weights are damaged.
    """
    seed_torch(seed)
    network = build_network(spec, n_bands)
    if start is None:
        return network, sorted(network.state_dict())
    folder, card = start
    old = load_network(card, folder).state_dict()
    own = network.state_dict()
    rows = _shared_classes(legend, card)
    left = []
    with torch.no_grad():
        for name, tensor in own.items():
            found = old.get(name)
            if name.startswith(_HEADS) and tensor.shape[:1] == (len(legend),):
                is_whole = found is not None and _copy_rows(tensor, found, rows)
            else:
                is_whole = found is not None and found.shape == tensor.shape
                if is_whole:
                    tensor.copy_(found)
            if not is_whole:
                left.append(name)
    return network, left


def seed_torch(number: int) -> None:
    """Decide what torch draws from here on; unlike torch, of any whole number from 0."""
    torch.manual_seed(number % 2**64)


def _shared_classes(legend: Legend, card: ModelCard) -> dict[int, int]:
    """Return the new channel and the old one of each class that both know by name."""
    if card.network.n_outputs != len(card.legend):
        return {}
    before = {c.name.casefold(): k for k, c in enumerate(card.legend)}
    own = {k: c.name.casefold() for k, c in enumerate(legend)}
    return {k: before[name] for k, name in own.items() if name in before}


def _copy_rows(tensor: torch.Tensor, found: torch.Tensor, rows: dict[int, int]) -> bool:
    """Copy the rows of shared classes; tell whether that is all of the tensor."""
    if found.shape[1:] != tensor.shape[1:]:
        return False
    for new, before in rows.items():
        tensor[new].copy_(found[before])
    return len(rows) == len(tensor)


def shift_scores(network: nn.Module, offsets: NDArray[np.float32]) -> None:
    """Add a number to the logits of every class, in the bias of the last convolution.

    Raises:
        ModelError: There is no such bias to add it to.
    """
    bias = last_bias(network, len(offsets))
    with torch.no_grad():
        bias.add_(torch.from_numpy(offsets).to(bias))


def last_bias(network: nn.Module, n_classes: int) -> torch.Tensor:
    """Return the bias that a network adds to the logits of each class.

    Raises:
        ModelError: There is none.
    """
    last = None
    for name, module in network.named_modules():
        if name.startswith(_HEADS) and isinstance(module, nn.Conv2d):
            last = module
    if last is None or last.bias is None or last.out_channels != n_classes:
        msg = "the network does not end in a convolution with one bias per class"
        raise ModelError(msg, hint="Train it without --decide iou.")
    return last.bias


def choose_training_device(name: str, precision: str) -> tuple[str, bool]:
    """Return torch's device name, and whether to use mixed precision (bf16).

    Raises:
        OptionError: The device is not there.
    """
    chosen = resolve_device(name)
    return chosen, is_bf16_fast(chosen) if precision == "auto" else precision == "bf16"


def seconds_per_step(step: Callable[[], object]) -> float:
    """Return how long a step takes, the first one left out."""
    step()
    began = time.monotonic()
    for _ in range(_TIMED):
        step()
    return (time.monotonic() - began) / _TIMED
