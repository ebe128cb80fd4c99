"""One number that makes confidence mean something.

Temperature scaling, Guo et al. 2017, "On Calibration of Modern Neural Networks"
(arXiv:1706.04599, section 4.2): logits are divided by the number under which the truth of
unseen pixels is most likely. The class of a pixel stays the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["fitted_temperature", "likelihood_loss"]

_LOWEST: Final = -3.0
_HIGHEST: Final = 3.0
_GOLDEN: Final = (5**0.5 - 1) / 2
_PRECISE: Final = 1e-4


def likelihood_loss(
    logits: NDArray[np.float32], truth: NDArray[np.intp], temperature: float
) -> float:
    """Return the mean negative log likelihood of the truth.

    Args:
        logits: (n, class).
        truth: (n,) class index.
        temperature: What logits are divided by.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(scaled).sum(axis=1))
    return float(np.mean(log_sum - scaled[np.arange(len(truth)), truth]))


def fitted_temperature(logits: NDArray[np.float32], truth: NDArray[np.intp]) -> float:
    """Return the temperature of the greatest likelihood, between e^-3 and e^3.

    The loss is convex in the inverse temperature, so a golden-section search over its
    logarithm finds the one minimum.

    Args:
        logits: (n, class) of pixels that were not trained on.
        truth: (n,) class index.
    """
    if not len(truth):
        return 1.0
    found = _minimum(lambda x: likelihood_loss(logits, truth, float(np.exp(x))))
    return float(np.exp(found))


def _minimum(loss: Callable[[float], float]) -> float:
    low, high = _LOWEST, _HIGHEST
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    while high - low > _PRECISE:
        if loss_left < loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - _GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + _GOLDEN * (high - low)
            loss_right = loss(right)
    return (low + high) / 2
