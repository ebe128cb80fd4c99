"""The network to fit: with fresh weights, or with those of another model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from geoseg.legend import Legend
from geoseg.model.card import ModelCard, NetworkSpec
from geoseg.model.device import is_bf16_fast, resolve_device
from geoseg.model.network import build_network, load_network

__all__ = ["choose_training_device", "fresh_network", "seconds_per_step"]

_TIMED = 3


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
    torch.manual_seed(seed)
    network = build_network(spec, n_bands)
    if start is None:
        return network, sorted(network.state_dict())
    folder, card = start
    old = load_network(card, folder).state_dict()
    own = network.state_dict()
    names = [c.name.casefold() for c in card.legend]
    pairs = [
        (k, names.index(c.name.casefold()))
        for k, c in enumerate(legend)
        if c.name.casefold() in names and card.network.n_outputs == len(card.legend)
    ]
    left = []
    with torch.no_grad():
        for name, tensor in own.items():
            found = old.get(name)
            if (
                found is not None
                and found.shape == tensor.shape
                and not _is_head(tensor, len(legend), len(card.legend), name)
            ):
                tensor.copy_(found)
                continue
            if found is not None and found.shape[1:] == tensor.shape[1:] and pairs:
                for new, before in pairs:
                    tensor[new].copy_(found[before])
                if len(pairs) == len(legend):
                    continue
            left.append(name)
    return network, left


def _is_head(tensor: torch.Tensor, n_new: int, n_old: int, name: str) -> bool:
    """Tell whether a tensor holds one row per class."""
    of_head = "segmentation_head" in name or name.startswith("heads.")
    return of_head and tensor.ndim > 0 and len(tensor) == n_new and n_old == n_new


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
