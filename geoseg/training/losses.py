"""What training makes small: cross-entropy of sets, and smp's losses of regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import segmentation_models_pytorch as smp
import torch
from torch import Tensor

from geoseg.errors import OptionError
from geoseg.training.loss_names import LOSSES, loss_terms

__all__ = ["make_loss"]

_IGNORE: Final = -100
_NEVER: Final = -1e4
_FOCUS: Final = 2.0

Loss = Callable[[Tensor, Tensor], Tensor]


def make_loss(text: str, n_classes: int, weights: Sequence[float] | None = None) -> Loss:
    """Return the loss that a text such as ``ce+0.5*dice`` names.

    Args:
        text: Terms with optional factors; see ``loss_terms``.
        n_classes: Classes.
        weights: (class,) weight of each class in cross-entropy, or None for equal ones.

    Returns:
        A function of scores (n, class, row, col) and sets of classes (n, row, col), int64; pixels
        of which nothing is known take no part. ``ce`` and ``focal`` take "one of these" as the
        sum of the probabilities; ``dice`` and ``lovasz`` look at pixels of one class alone; ``bce``
        takes sets as "all of these and no other", and a set of none of the classes as that.

    Raises:
        OptionError: There is no such term.
    """
    own = None if weights is None else torch.tensor(weights, dtype=torch.float32)
    parts = [(factor, _term(name, n_classes, own)) for factor, name in loss_terms(text)]

    def total(scores: Tensor, labels: Tensor) -> Tensor:
        values = [factor * term(scores, labels) for factor, term in parts]
        return torch.stack(values).sum()

    return total


def members(labels: Tensor, n_classes: int) -> Tensor:
    """Return (n, class, row, col) True where a class is in the set of a pixel."""
    places = torch.arange(n_classes, device=labels.device)[None, :, None, None]
    return ((labels[:, None] >> places) & 1).bool()


def exact_labels(labels: Tensor, n_classes: int) -> Tensor:
    """Return (n, row, col) class index where a set holds one class, else the ignored number."""
    inside = members(labels, n_classes)
    return torch.where(inside.sum(dim=1) == 1, inside.int().argmax(dim=1), _IGNORE)


def _term(name: str, n_classes: int, weights: Tensor | None) -> Loss:
    if name == "ce":
        return lambda scores, labels: _set_entropy(scores, labels, weights, 0.0)
    if name == "focal":
        return lambda scores, labels: _set_entropy(scores, labels, weights, _FOCUS)
    if name == "bce":
        return _binary_entropy
    if name == "dice":
        region = smp.losses.DiceLoss("multiclass", ignore_index=_IGNORE, smooth=1.0)
    elif name == "lovasz":
        region = smp.losses.LovaszLoss("multiclass", ignore_index=_IGNORE)
    else:
        msg = f"loss {name!r} is unknown"
        raise OptionError(msg, hint=f"Known: {', '.join(LOSSES)}.")
    return lambda scores, labels: _of_region(region, scores, exact_labels(labels, n_classes))


def _set_entropy(scores: Tensor, labels: Tensor, weights: Tensor | None, focus: float) -> Tensor:
    """Cross-entropy where the truth is a set: its probability is the sum of its classes'.

    With ``focus`` g every pixel weighs (1 - p) ** g: focal loss, Lin et al. 2017
    (arXiv:1708.02002).
    """
    inside = members(labels, scores.shape[1])
    known = inside.any(dim=1)
    logs = scores.log_softmax(dim=1)
    of_set = logs.masked_fill(~inside, _NEVER).logsumexp(dim=1).clamp(max=0.0)
    weight = known.to(scores.dtype)
    if weights is not None:
        own = (inside * weights.to(scores)[None, :, None, None]).sum(dim=1)
        weight = weight * own / inside.sum(dim=1).clamp(min=1)
    value = -of_set
    if focus:
        value = value * (1 - of_set.exp()).clamp(min=0.0) ** focus
    return (value * weight).sum() / weight.sum().clamp(min=1e-6)


def _binary_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    inside = members(labels, scores.shape[1])
    known = (labels != 0)[:, None].expand_as(inside)
    value = torch.nn.functional.binary_cross_entropy_with_logits(
        scores, inside.to(scores.dtype), reduction="none"
    )
    return (value * known).sum() / known.sum().clamp(min=1)


def _of_region(loss: torch.nn.Module, scores: Tensor, truth: Tensor) -> Tensor:
    """Return smp's loss, and 0 where no pixel tells."""
    if not bool((truth != _IGNORE).any()):
        return scores.sum() * 0
    value: Tensor = loss(scores, truth)
    return value
