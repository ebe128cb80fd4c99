"""The training loop: it learns, it stops and goes on, it says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from geoseg.errors import ModelError  # noqa: E402
from geoseg.model.card import NetworkSpec  # noqa: E402
from geoseg.model.network import build_network  # noqa: E402
from geoseg.training import fit  # noqa: E402
from geoseg.training.augment import Variation  # noqa: E402
from geoseg.training.chips import CropPlan, PreparedBlocks, find_anchors  # noqa: E402
from geoseg.training.fit import FitSettings, Fitter, predict_blocks  # noqa: E402
from geoseg.training.label_sets import exact_class  # noqa: E402
from geoseg.training.losses import make_loss  # noqa: E402
from geoseg.training.split import TRAIN, VALIDATION  # noqa: E402

SPEC = NetworkSpec(
    architecture="unet",
    encoder="tu-resnet10t",
    arguments=(("decoder_channels", (32, 16, 16)), ("encoder_depth", 3)),
    n_outputs=2,
)
SETTINGS = FitSettings(
    steps=16, batch_size=2, learning_rate=3e-3, weight_decay=0.01, warmup_steps=3, average=0.9,
    clip_norm=2.0, seed=3, check_steps=5, patience=0, device="cpu", half=False, threads=1,
)  # fmt: skip


def make_blocks() -> PreparedBlocks:
    """Two blocks of noise in which bright blobs are class 1."""
    rng = np.random.default_rng(1)
    side = 96
    classes = np.kron(rng.integers(0, 2, (2, side // 12, side // 12)), np.ones((12, 12), int))
    pixels = (classes * 60 + 90 + rng.normal(0, 25, classes.shape)).clip(0, 255)
    labels = np.zeros(classes.shape, np.uint8)
    labels[:, 16:-16, 16:-16] = (1 << classes)[:, 16:-16, 16:-16]
    return PreparedBlocks(
        pixels=pixels.astype(np.uint8)[:, None].repeat(2, axis=1),
        valid=np.ones(classes.shape, np.bool_),
        labels=labels,
        part=np.array([TRAIN, VALIDATION], np.int8),
        weight=np.ones(2),
        margin_px=16,
    )


CROPS = CropPlan(
    side_px=64, scale=(1.0, 1.0), offset=(120.0, 120.0), divisor=(40.0, 40.0),
    variation=Variation(strength=0.0),
)  # fmt: skip


def make_fitter(
    folder: Path | None,
    settings: FitSettings = SETTINGS,
    loss: str = "ce",
    dropout: float = 0.0,
) -> Fitter:
    torch.manual_seed(0)
    blocks = make_blocks()
    data = (blocks, find_anchors(blocks, 2, 0), CROPS)
    network = torch.nn.Sequential(torch.nn.Dropout2d(dropout), build_network(SPEC, 2))
    return Fitter(network, make_loss(loss, 2), data, settings, folder)


def ignore(*_: object) -> None:
    """Take what a fitter tells."""


def raise_at(when: int) -> Callable[..., None]:
    """Return what stops a training after a step."""

    def on_step(step: int, *_: float) -> None:
        if step == when:
            raise KeyboardInterrupt

    return on_step


def test_one_chip_is_learnt_by_heart(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=150, check_steps=150, average=0.95)
    fitter = make_fitter(tmp_path, settings, "ce+0.5*dice")
    fitter.run(ignore, ignore)
    blocks = make_blocks()
    found = dict(predict_blocks(fitter.best_network(), blocks, np.array([0]), CROPS, settings))
    truth = exact_class(blocks.labels[0])
    known = truth >= 0
    assert (found[0].argmax(axis=0)[known] == truth[known]).mean() > 0.99


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path, dropout: float) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    straight = make_fitter(whole, dropout=dropout)
    straight.run(ignore, ignore)

    for when in (4, 7, 12):
        with pytest.raises(KeyboardInterrupt):
            make_fitter(parts, dropout=dropout).run(raise_at(when), ignore)
    last = make_fitter(parts, dropout=dropout)
    assert last.steps_done == 12
    last.run(ignore, ignore)
    assert last.steps_done == straight.steps_done == 16
    assert [(c.step, c.mean_iou) for c in last.checks] == [
        (c.step, c.mean_iou) for c in straight.checks
    ]
    expected = straight.best_network().state_dict()
    for name, tensor in last.best_network().state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_stopped_in_the_middle_of_a_step_it_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = make_fitter(None)
    straight.run(ignore, ignore)

    def stop(_: Fitter, number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_fitter(tmp_path).run(raise_at(7), ignore)
    with monkeypatch.context() as patch:
        patch.setattr(Fitter, "_follow", stop)  # the weights have moved, the averages have not
        with pytest.raises(KeyboardInterrupt):
            make_fitter(tmp_path).run(ignore, ignore)
    last = make_fitter(tmp_path)
    assert last.steps_done == 7
    last.run(ignore, ignore)
    expected = straight.best_network().state_dict()
    for name, tensor in last.best_network().state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_the_kept_weights_follow_those_of_the_steps() -> None:
    settings = replace(SETTINGS, steps=1, check_steps=1)
    torch.manual_seed(0)
    first = build_network(SPEC, 2).state_dict()
    kept = []
    for average in (0.0, 0.9):
        fitter = make_fitter(None, replace(settings, average=average))
        fitter.run(ignore, ignore)
        kept.append(fitter.best_network().state_dict())
    moved, averaged = kept
    name = "segmentation_head.0.weight"
    assert not torch.equal(moved[f"1.{name}"], first[name])
    expected = 0.1 * first[name] + 0.9 * moved[f"1.{name}"]  # at first the average runs faster
    torch.testing.assert_close(averaged[f"1.{name}"], expected)


@pytest.mark.parametrize("look", [5, 10, 16])
def test_stopped_in_the_middle_of_a_look_it_looks_again(
    tmp_path: Path, look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    straight = make_fitter(whole)
    straight.run(ignore, ignore)
    stopped = make_fitter(parts)

    def stop(*_: object) -> None:
        if stopped.steps_done == look:
            raise KeyboardInterrupt

    real = fit.validation_scores
    with monkeypatch.context() as patch:
        patch.setattr(fit, "validation_scores", lambda *a: stop() or real(*a))
        with pytest.raises(KeyboardInterrupt):
            stopped.run(ignore, ignore)
    again = make_fitter(parts)
    again.run(ignore, ignore)
    assert [c.mean_iou for c in again.checks] == [c.mean_iou for c in straight.checks]
    expected = straight.best_network().state_dict()
    for name, tensor in again.best_network().state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_a_finished_training_does_nothing_more(tmp_path: Path) -> None:
    make_fitter(tmp_path).run(ignore, ignore)
    again, steps = make_fitter(tmp_path), []
    again.run(lambda step, *_: steps.append(step), ignore)
    assert steps == []


def test_any_whole_number_is_a_seed(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path, replace(SETTINGS, steps=1, seed=10**30))
    fitter.run(ignore, ignore)
    assert fitter.steps_done == 1


def test_it_ends_early_without_progress(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=200, check_steps=2, patience=2, learning_rate=1e-9)
    fitter = make_fitter(tmp_path, settings)
    fitter.run(ignore, ignore)
    assert fitter.steps_done < 20


def test_a_loss_that_is_no_number_is_one_line(tmp_path: Path) -> None:
    fitter = make_fitter(tmp_path, replace(SETTINGS, learning_rate=1e30, clip_norm=1e30))
    with pytest.raises(ModelError, match=r"the loss is (nan|inf)"):
        fitter.run(ignore, ignore)


def test_a_network_that_does_not_take_the_crops_is_one_line(tmp_path: Path) -> None:
    blocks = make_blocks()
    data = (blocks, find_anchors(blocks, 2, 0), CROPS)
    fitter = Fitter(build_network(SPEC, 3), make_loss("ce", 2), data, SETTINGS, tmp_path)
    with pytest.raises(ModelError, match="fails on a batch of 2 x 2 x 64 x 64"):
        fitter.run(ignore, ignore)


def test_a_damaged_checkpoint_is_refused_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    with pytest.raises(ModelError, match="checkpoint"):
        make_fitter(tmp_path)
    assert not Path("owned").exists()


def test_the_rate_rises_and_falls(tmp_path: Path) -> None:
    rates = []
    make_fitter(tmp_path).run(lambda _step, _loss, rate: rates.append(rate), ignore)
    assert rates[0] < rates[1] < rates[2]
    assert max(rates) <= SETTINGS.learning_rate
    assert rates[-1] < 0.1 * max(rates)
