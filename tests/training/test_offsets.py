"""Offsets find what the likeliest class hides, and are none where they would not help."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geoseg.accuracy.confusion import confusion_matrix, scores  # noqa: E402
from geoseg.errors import ModelError  # noqa: E402
from geoseg.model.card import NetworkSpec  # noqa: E402
from geoseg.model.network import build_network  # noqa: E402
from geoseg.training.network import shift_scores  # noqa: E402
from geoseg.training.offsets import Samples, fitted_offsets, middle_of_the_best  # noqa: E402


def samples(chances: np.ndarray, blocks: int = 8, seed: int = 1) -> Samples:
    """Pixels whose truth is drawn from what is said of them, (n, class)."""
    rng = np.random.default_rng(seed)
    truth = (chances.cumsum(axis=1) < rng.uniform(size=(len(chances), 1))).sum(axis=1)
    return Samples(
        logits=np.log(np.maximum(chances, 1e-6)).astype(np.float32),
        truth=truth.astype(np.intp),
        block=np.arange(len(chances)) % blocks,
    )


def iou_of(found: Samples, offsets: np.ndarray) -> float | None:
    n = found.logits.shape[1]
    mapped = (found.logits + offsets).argmax(axis=1)
    return scores(confusion_matrix(mapped, found.truth, n)).mean_iou


def hidden_class() -> np.ndarray:
    """Of a fifth of the pixels class 1 has a chance of 0.4, and of the others of 0.01."""
    chance = np.where(np.arange(20_000) % 5 == 0, 0.4, 0.01)
    return np.stack([1 - chance, chance], axis=1)


def test_a_class_that_is_never_the_likeliest_is_found() -> None:
    found = samples(hidden_class())
    fitted = fitted_offsets(found)
    assert fitted.offsets[0] == 0  # the most frequent class
    # Between the two kinds of pixels: 0.4 is enough, 0.01 is not.
    assert np.log(0.6 / 0.4) < fitted.offsets[1] < np.log(0.99 / 0.01)
    # By hand: all 4,000 doubtful pixels are called 1; 0.4 of them are, and 160 of the others.
    ones, missed = 0.4 * 4_000, 0.01 * 16_000
    expected = (ones / (4_000 + missed) + (16_000 - missed) / (20_000 - ones)) / 2
    assert fitted.crossed == pytest.approx(expected, abs=0.02)
    assert fitted.before == pytest.approx((20_000 - ones - missed) / 20_000 / 2, abs=0.01)
    assert iou_of(found, fitted.offsets) >= fitted.crossed - 1e-9


def test_the_same_samples_give_the_same_offsets() -> None:
    one, other = (fitted_offsets(samples(hidden_class())) for _ in range(2))
    np.testing.assert_array_equal(one.offsets, other.offsets)


def test_where_all_is_right_nothing_moves() -> None:
    chances = np.where(np.eye(3)[np.arange(9_000) % 3] > 0, 0.98, 0.01)
    found = samples(chances)
    right = Samples(logits=found.logits, truth=np.arange(9_000) % 3, block=found.block)
    fitted = fitted_offsets(right)
    assert not fitted.offsets.any()
    assert (fitted.before, fitted.crossed) == (1.0, 1.0)


def test_what_only_one_block_teaches_is_not_learnt() -> None:
    """A class that is hidden in one block, and where the others know better."""
    chances = np.tile([0.7, 0.3], (8_000, 1))
    block = np.arange(8_000) // 1_000
    truth = ((block == 0) & (np.arange(8_000) % 2 == 0)).astype(np.intp)
    found = Samples(logits=np.log(chances).astype(np.float32), truth=truth, block=block)
    fitted = fitted_offsets(found)
    assert fitted.crossed is None
    assert not fitted.offsets.any()


def test_a_class_of_one_block_stays_while_another_gains() -> None:
    """What moves it there could not be tried on ground that has it."""
    found = samples(np.concatenate([hidden_class(), np.full((20_000, 1), 1e-3)], axis=1))
    truth, logits = found.truth.copy(), found.logits.copy()
    alone = np.flatnonzero(found.block == 3)[:500]
    truth[alone], logits[alone] = 2, np.log([0.6, 0.05, 0.35])
    fitted = fitted_offsets(Samples(logits=logits, truth=truth, block=found.block))
    assert fitted.offsets[1] > 0
    assert fitted.offsets[2] == 0


def test_the_best_logits_lie_about_their_middle() -> None:
    logits = np.array([[9, 7, 0], [1, 8, 6], [5, 0, 11]], np.float32)
    assert middle_of_the_best(logits) == 8  # of 8, 7 and 8
    assert middle_of_the_best(np.empty((0, 3), np.float32)) == 0


def test_too_few_blocks_or_no_pixels_teach_nothing() -> None:
    few = samples(hidden_class(), blocks=3)
    assert not fitted_offsets(few).offsets.any()
    none = Samples(
        logits=np.empty((0, 4), np.float32), truth=np.empty(0, np.intp), block=np.empty(0, np.intp)
    )
    assert fitted_offsets(none).offsets.tolist() == [0, 0, 0, 0]


def test_a_class_without_pixels_stays_where_it_is() -> None:
    chances = np.concatenate([hidden_class(), np.full((20_000, 1), 1e-6)], axis=1)
    assert fitted_offsets(samples(chances / chances.sum(axis=1, keepdims=True))).offsets[2] == 0


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("unet", "tu-resnet10t"), ("unetplusplus", "resnet18"), ("manet", "resnet18"),
        ("linknet", "resnet18"), ("fpn", "resnet18"), ("pspnet", "resnet18"),
        ("pan", "resnet18"), ("deeplabv3", "resnet18"), ("deeplabv3plus", "resnet18"),
        ("upernet", "resnet18"), ("segformer", "mit_b0"), ("fcn", "resnet18"),
        ("dpt", "tu-vit_tiny_patch16_224.augreg_in21k"),
    ],
)  # fmt: skip
def test_scores_of_every_architecture_are_shifted(architecture: str, encoder: str) -> None:
    arguments = (("dynamic_img_size", True),) if architecture == "dpt" else ()
    spec = NetworkSpec(architecture=architecture, encoder=encoder, arguments=arguments, n_outputs=3)
    torch.manual_seed(0)
    network = build_network(spec, 3).eval()
    image, offsets = torch.randn(1, 3, 128, 128), np.array([0.0, 1.5, -0.25], np.float32)
    with torch.inference_mode():
        before = network(image)
        shift_scores(network, offsets)
        moved = network(image) - before
    np.testing.assert_allclose(
        moved.numpy(), np.broadcast_to(offsets[None, :, None, None], moved.shape), atol=2e-5
    )


def test_a_network_without_such_a_bias_is_refused() -> None:
    network = torch.nn.ModuleDict({"segmentation_head": torch.nn.Conv2d(3, 3, 1, bias=False)})
    with pytest.raises(ModelError, match="does not end in a convolution"):
        shift_scores(network, np.zeros(3, np.float32))
