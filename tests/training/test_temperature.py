"""Temperature scaling against what it must find."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.accuracy.calibration import calibration
from geoseg.training.temperature import fitted_temperature, likelihood_loss


def _drawn(true_temperature: float, n: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Draw truths from softmax(logits / temperature)."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 3, (n, 4)).astype(np.float32)
    chance = np.exp(logits / true_temperature)
    chance /= chance.sum(axis=1, keepdims=True)
    truth = (chance.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, truth


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_it_finds_the_temperature_that_the_truth_was_drawn_with(true_temperature: float) -> None:
    logits, truth = _drawn(true_temperature)
    assert fitted_temperature(logits, truth) == pytest.approx(true_temperature, rel=0.03)


def test_no_other_temperature_is_more_likely() -> None:
    logits, truth = _drawn(1.7)
    best = fitted_temperature(logits, truth)
    least = likelihood_loss(logits, truth, best)
    assert all(likelihood_loss(logits, truth, best * f) > least for f in (0.8, 0.95, 1.05, 1.3))


def test_confidence_is_right_as_often_as_it_says_afterwards() -> None:
    logits, truth = _drawn(3.0)
    errors = []
    for temperature in (1.0, fitted_temperature(logits, truth)):
        scaled = logits / temperature
        scores = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        steps = np.rint(scores.max(axis=1) * 250).astype(int)
        agree = scores.argmax(axis=1) == truth
        found = calibration(
            np.bincount(steps[agree], minlength=251), np.bincount(steps[~agree], minlength=251)
        )
        assert found is not None
        errors.append(found.expected_error)
    assert errors[0] > 0.2
    assert errors[1] < 0.01


def test_nothing_to_fit_leaves_it_at_one() -> None:
    assert fitted_temperature(np.empty((0, 3), np.float32), np.empty(0, np.intp)) == 1.0
