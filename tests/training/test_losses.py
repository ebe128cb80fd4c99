"""Losses against numbers that were computed by hand, or by torch itself."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geoseg.errors import OptionError  # noqa: E402
from geoseg.training.loss_names import LOSSES, loss_terms  # noqa: E402
from geoseg.training.losses import exact_labels, make_loss  # noqa: E402


def _scores(probabilities: list[float], side: int = 4):
    logs = torch.tensor(probabilities).log()
    return logs[None, :, None, None].expand(1, len(probabilities), side, side).clone()


def _sets(value: int, side: int = 4):
    return torch.full((1, side, side), value, dtype=torch.int64)


def test_the_probability_of_a_set_is_the_sum_of_its_classes() -> None:
    loss, scores = make_loss("ce", 5), _scores([0.1, 0.2, 0.3, 0.25, 0.15])
    assert float(loss(scores, _sets(0b00010))) == pytest.approx(-np.log(0.2), abs=1e-5)
    assert float(loss(scores, _sets(0b00101))) == pytest.approx(-np.log(0.4), abs=1e-5)
    assert float(loss(scores, _sets(0b11111))) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", list(LOSSES))
def test_what_is_not_known_has_no_gradient(name: str) -> None:
    torch.manual_seed(0)
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    labels = _sets(0b010)
    labels[0, 0] = 0
    make_loss(name, 3)(scores, labels).backward()
    assert scores.grad is not None
    assert not scores.grad[0, :, 0].any()
    assert scores.grad[0, :, 1].any()


@pytest.mark.parametrize("name", list(LOSSES))
def test_nothing_known_at_all_is_no_loss_and_no_fault(name: str) -> None:
    scores = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = make_loss(name, 3)(scores, _sets(0))
    loss.backward()
    assert float(loss.detach()) == 0


def test_cross_entropy_and_focal_equal_torch_on_exact_labels() -> None:
    torch.manual_seed(1)
    scores, truth = torch.randn(2, 4, 5, 5), torch.randint(0, 4, (2, 5, 5))
    sets = torch.ones_like(truth) << truth
    expected = torch.nn.functional.cross_entropy(scores, truth)
    assert float(make_loss("ce", 4)(scores, sets)) == pytest.approx(float(expected), rel=1e-5)
    chance = scores.softmax(dim=1).gather(1, truth[:, None])[:, 0]
    focal = (-((1 - chance) ** 2) * chance.log()).mean()
    assert float(make_loss("focal", 4)(scores, sets)) == pytest.approx(float(focal), rel=1e-5)


def test_class_weights_equal_torch() -> None:
    torch.manual_seed(2)
    scores, truth = torch.randn(2, 3, 6, 6), torch.randint(0, 3, (2, 6, 6))
    expected = torch.nn.functional.cross_entropy(scores, truth, torch.tensor([1.0, 2.0, 0.5]))
    found = make_loss("ce", 3, (1.0, 2.0, 0.5))(scores, torch.ones_like(truth) << truth)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_a_set_weighs_the_mean_of_its_classes() -> None:
    scores = _scores([0.2, 0.3, 0.5]).repeat(1, 1, 1, 2)
    labels = torch.cat([_sets(0b011), _sets(0b100)], dim=2)
    found = make_loss("ce", 3, (1.0, 3.0, 0.5))(scores, labels)
    expected = -(2.0 * np.log(0.5) + 0.5 * np.log(0.5)) / 2.5
    assert float(found) == pytest.approx(expected, rel=1e-5)
    labels[..., 4:] = 0b010
    found = make_loss("ce", 3, (1.0, 3.0, 0.5))(scores, labels)
    assert float(found) == pytest.approx(-(2 * np.log(0.5) + 3 * np.log(0.3)) / 5, rel=1e-5)


def test_binary_loss_takes_sets_as_all_of_these() -> None:
    scores = torch.zeros(1, 2, 1, 1)
    scores[0, 0] = 20.0
    scores[0, 1] = 20.0
    loss = make_loss("bce", 2)
    assert float(loss(scores, torch.tensor([[[0b11]]]))) == pytest.approx(0, abs=1e-6)
    assert float(loss(scores, torch.tensor([[[0b01]]]))) == pytest.approx(10, abs=1e-3)


def test_dice_and_lovasz_are_nothing_where_all_is_right_and_large_where_all_is_wrong() -> None:
    truth = torch.randint(0, 3, (1, 8, 8), generator=torch.Generator().manual_seed(3))
    right = torch.nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2).float() * 40
    for name in ("dice", "lovasz"):
        loss = make_loss(name, 3)
        sets = torch.ones_like(truth) << truth
        assert float(loss(right, sets)) < 0.02
        assert float(loss(right.roll(1, dims=1), sets)) > 0.9


def test_exact_labels() -> None:
    labels = torch.tensor([[[0b001, 0b100, 0b110, 0]]])
    assert exact_labels(labels, 3).tolist() == [[[0, 2, -100, -100]]]


def test_terms_and_factors() -> None:
    assert loss_terms("ce + 0.5*dice") == [(1.0, "ce"), (0.5, "dice")]
    torch.manual_seed(0)
    scores, sets = torch.randn(1, 2, 8, 8), torch.randint(1, 3, (1, 8, 8))
    one, other = (float(make_loss(name, 2)(scores, sets)) for name in ("ce", "dice"))
    both = float(make_loss("2*ce+0.5*dice", 2)(scores, sets))
    assert both == pytest.approx(2 * one + 0.5 * other, rel=1e-5)


@pytest.mark.parametrize("text", ["", "mse", "ce+", "0*ce", "x*ce", "nan*ce", "bce+dice"])
def test_losses_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--loss"):
        loss_terms(text)
