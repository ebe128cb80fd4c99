"""The training of the bundled model: loss with partial labels, crops, scores."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("segmentation_models_pytorch")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from bundled_model.augment import draw_crop, make_pool  # noqa: E402
from bundled_model.classes import (  # noqa: E402
    BUILDING,
    COUNT,
    EXACT,
    LAND,
    NOT_BUILDING,
    ROAD,
    UNKNOWN,
    WATER,
    bits,
)
from bundled_model.data import Source  # noqa: E402
from bundled_model.fit import build_network, follow, partial_loss  # noqa: E402
from bundled_model.score import (  # noqa: E402
    building_confusion,
    confusion,
    predict,
    ratios,
)

NORMALISATION = ((120.0, 120.0, 120.0), (60.0, 60.0, 60.0))


def scores_for(probabilities: list[float], side: int = 4) -> torch.Tensor:
    """Give scores with the same class probabilities at every pixel."""
    logs = torch.tensor(probabilities).log()
    return logs[None, :, None, None].expand(1, COUNT, side, side).clone()


def sets(value: int, side: int = 4) -> torch.Tensor:
    """Give the same set of classes at every pixel."""
    return torch.full((1, side, side), value, dtype=torch.int64)


def a_place(side: int = 128, gsd_m: float = 1.0) -> Source:
    """Give a place: left half building, right half water, one row unknown."""
    rgb = np.random.default_rng(0).integers(1, 255, (3, side, side), dtype=np.uint8)
    allowed = np.full((side, side), EXACT[BUILDING], dtype=np.uint8)
    allowed[:, side // 2 :] = EXACT[WATER]
    allowed[0] = UNKNOWN
    return Source(name="place", rgb=rgb, allowed=allowed, gsd_m=gsd_m)


def test_sets_are_bits() -> None:
    assert bits(BUILDING, ROAD) == 0b101
    assert NOT_BUILDING | EXACT[BUILDING] == 2**COUNT - 1


def test_partial_loss_sums_the_probabilities_of_a_set() -> None:
    # Few pixels, so the Dice term is off and the loss is the logarithm alone.
    scores = scores_for([0.1, 0.2, 0.3, 0.25, 0.15])
    assert float(partial_loss(scores, sets(EXACT[LAND]))) == pytest.approx(-np.log(0.2), abs=1e-5)
    either = sets(bits(BUILDING, ROAD))
    assert float(partial_loss(scores, either)) == pytest.approx(-np.log(0.4), abs=1e-5)
    assert float(partial_loss(scores, sets(2**COUNT - 1))) == pytest.approx(0, abs=1e-5)


def test_partial_loss_leaves_out_the_unknown() -> None:
    scores = scores_for([0.1, 0.2, 0.3, 0.25, 0.15]).requires_grad_()
    allowed = sets(EXACT[LAND])
    allowed[0, 0] = UNKNOWN
    loss = partial_loss(scores, allowed)
    torch.autograd.backward(loss)
    assert float(loss.detach()) == pytest.approx(-np.log(0.2), abs=1e-5)
    assert scores.grad is not None
    assert not scores.grad[0, :, 0].any()
    assert not partial_loss(scores, sets(UNKNOWN)).detach().any()


@pytest.mark.parametrize("gsd_m", [0.3, 1.0, 1.4])
def test_crops_are_repeatable_and_keep_the_sets(gsd_m: float) -> None:
    pool = make_pool(np.random.default_rng(1), 1.0, [a_place(gsd_m=gsd_m)])
    one, other = (
        draw_crop(np.random.default_rng(5), [pool], 64, gsd_m=1.0, fill=NORMALISATION[0])
        for _ in range(2)
    )
    assert one[0].shape == (3, 64, 64)
    assert one[0].dtype == np.float32
    assert 0 <= one[0].min() <= one[0].max() <= 255
    assert set(np.unique(one[1])) <= {UNKNOWN, EXACT[BUILDING], EXACT[WATER]}
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_ratios_of_a_known_confusion() -> None:
    truth = np.repeat(np.asarray([EXACT[0], EXACT[1], UNKNOWN], dtype=np.uint8), 4).reshape(3, 4)
    found = np.asarray([[0, 0, 0, 1], [1, 1, 1, 1], [4, 4, 4, 4]], dtype=np.uint8)
    scores = ratios(confusion(truth, found))
    assert scores["pixels"] == 8
    assert scores["overall_accuracy"] == pytest.approx(7 / 8)
    assert scores["mean_iou"] == pytest.approx((3 / 4 + 4 / 5) / 2, abs=1e-4)


def test_building_confusion_uses_partial_labels() -> None:
    truth = np.asarray([[EXACT[BUILDING], EXACT[BUILDING], NOT_BUILDING, UNKNOWN]], dtype=np.uint8)
    found = np.asarray([[BUILDING, LAND, BUILDING, BUILDING]], dtype=np.uint8)
    assert building_confusion(truth, found).tolist() == [[1, 1], [1, 0]]


def test_average_follows_the_weights() -> None:
    slow, fast = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    torch.nn.init.constant_(fast.weight, 3.0)
    fast.num_batches_tracked += 7
    follow(slow, fast, 0.5)
    assert slow.weight.tolist() == [2.0, 2.0]
    assert int(slow.num_batches_tracked) == 7


def test_prediction_by_windows_covers_the_image() -> None:
    torch.manual_seed(0)
    network = build_network().eval()
    rgb = a_place(150).rgb[:, :, :130]
    labels = predict(network, rgb, NORMALISATION, window_px=128, halo_px=32)
    assert labels.shape == (150, 130)
    assert labels.max() < COUNT
