"""The predictor contract on real, tiny smp networks; and weights that are refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geoseg.errors import ModelError, OutOfDeviceMemoryError
from geoseg.legend import Legend
from geoseg.model.card import ModelCard, NetworkSpec, read_card
from geoseg.model.device import Device, Precision
from geoseg.model.network import build_network, file_sha256
from geoseg.model.predictor import labels_from_scores
from geoseg.model.torch_predictor import TorchPredictor, load_predictor
from tests.fakes import cropped, write_torch_model
from tests.scenes import texture

CPU = Device(name="cpu", precision="fp32")


@pytest.fixture(scope="module")
def predictor(tiny_model: Path) -> TorchPredictor:
    return load_predictor(tiny_model, read_card(tiny_model), CPU)


def batch(count: int = 3, side: int = 64, seed: int = 0) -> np.ndarray:
    return np.stack([texture((side, side), seed=seed + i) for i in range(count)])


def test_scores_add_up_to_one_and_are_not_all_one_class(predictor: TorchPredictor) -> None:
    scores = predictor.scores(batch())
    assert scores.shape == (3, 3, 64, 64)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert len(np.unique(scores.argmax(axis=1))) > 1


@pytest.mark.parametrize("crop_px", [0, 8, 16])
def test_labels_are_those_of_the_cropped_scores(predictor: TorchPredictor, crop_px: int) -> None:
    pixels = batch(seed=5)
    found = predictor.labels(pixels, crop_px)
    expected = labels_from_scores(cropped(predictor.scores(pixels), crop_px))
    np.testing.assert_array_equal(found.channel, expected.channel)
    assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 1
    assert (found.confidence != expected.confidence).mean() < 1e-3  # halves, rounded in fp32
    assert found.confidence.max() <= 250


def test_a_window_does_not_depend_on_its_batch(predictor: TorchPredictor) -> None:
    pixels = batch(4)
    together = predictor.labels(pixels, 8)
    alone = [predictor.labels(np.stack([p] * 4), 8) for p in pixels]
    for index, one in enumerate(alone):
        np.testing.assert_array_equal(together.channel[index], one.channel[0])
        np.testing.assert_array_equal(together.confidence[index], one.confidence[0])


def test_several_threads_get_the_same(predictor: TorchPredictor) -> None:
    pixels = [batch(1, seed=s) for s in range(4)]
    expected = [predictor.labels(p, 8) for p in pixels]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda p: predictor.labels(p, 8), pixels * 3))
    for index, one in enumerate(found):
        np.testing.assert_array_equal(one.channel, expected[index % 4].channel)
        np.testing.assert_array_equal(one.confidence, expected[index % 4].confidence)


def test_bytes_and_floats_are_the_same_pixels(predictor: TorchPredictor) -> None:
    pixels = batch()
    np.testing.assert_array_equal(
        predictor.scores(pixels), predictor.scores(pixels.astype(np.float32))
    )


def test_normalisation_is_the_cards(tiny_model: Path, predictor: TorchPredictor) -> None:
    card = read_card(tiny_model)
    network = predictor._network
    pixels = batch().astype(np.float32)
    offset = np.array([s.offset for s in card.scaling], np.float32)[:, None, None]
    divisor = np.array([s.divisor for s in card.scaling], np.float32)[:, None, None]
    with torch.inference_mode():
        logits = network(torch.from_numpy((pixels - offset) / divisor))
    np.testing.assert_allclose(
        predictor.scores(pixels), torch.softmax(logits, 1).numpy(), atol=1e-5
    )


def test_temperature_flattens_scores_and_keeps_classes(
    tiny_model: Path, predictor: TorchPredictor
) -> None:
    warm = load_predictor(tiny_model, replace(read_card(tiny_model), temperature=3.0), CPU)
    pixels = batch()
    cold_scores, warm_scores = predictor.scores(pixels), warm.scores(pixels)
    expected = np.log(cold_scores.astype(np.float64)) / 3
    expected = np.exp(expected) / np.exp(expected).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(warm_scores, expected, atol=1e-4)
    np.testing.assert_array_equal(
        warm.labels(pixels, 0).channel, predictor.labels(pixels, 0).channel
    )


def test_classes_that_overlap_have_a_sigmoid_each(
    tiny_model: Path, predictor: TorchPredictor
) -> None:
    card = replace(read_card(tiny_model), activation="sigmoid", temperature=2.0)
    apart = load_predictor(tiny_model, card, CPU)
    pixels = batch()
    scores = apart.scores(pixels)
    # softmax = exp(l) / sum, so the logits follow from it up to a shift per pixel; differences
    # between classes must be those of the sigmoid's own logits, halved by the temperature.
    logits = np.log(scores) - np.log1p(-scores)
    reference = np.log(predictor.scores(pixels))
    for k in range(1, scores.shape[1]):
        found = logits[:, k] - logits[:, 0]
        assert np.allclose(found, (reference[:, k] - reference[:, 0]) / 2, atol=2e-3)
    labels = apart.labels(pixels, 0)
    assert np.array_equal(labels.channel, predictor.labels(pixels, 0).channel)
    assert np.abs(labels.confidence / 250 - scores.max(axis=1)).max() <= 0.5 / 250 + 1e-6


@pytest.mark.parametrize("encoder", ["resnet18", "tu-resnet10t"])
def test_fcn_adds_three_levels_up(encoder: str) -> None:
    spec = NetworkSpec(architecture="fcn", encoder=encoder, n_outputs=3)
    network = build_network(spec, 4)
    assert network(torch.zeros(2, 4, 96, 64)).shape == (2, 3, 96, 64)
    image = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = network(image)
        parts = torch.zeros_like(whole)
        weights = [(head.weight.clone(), head.bias.clone()) for head in network.heads]
        for k in range(3):
            for j, head in enumerate(network.heads):
                head.weight.copy_(weights[j][0] * (j == k))
                head.bias.copy_(weights[j][1] * (j == k))
            parts += network(image)
    assert torch.allclose(whole, parts, atol=1e-4)


def test_one_output_is_the_logit_of_the_second_class(tmp_path: Path, tiny_card: ModelCard) -> None:
    two = Legend(classes=tiny_card.legend.classes[:2])
    spec = replace(tiny_card.network, n_outputs=1)
    card = write_torch_model(tmp_path / "binary", replace(tiny_card, network=spec, legend=two))
    predictor = load_predictor(tmp_path / "binary", card, CPU)
    pixels = batch()
    scores = predictor.scores(pixels)
    assert scores.shape[1] == 2
    offset = np.array([s.offset for s in card.scaling], np.float32)[:, None, None]
    with torch.inference_mode():
        logit = predictor._network(torch.from_numpy((pixels - offset) / np.float32(60)))
    np.testing.assert_allclose(scores[:, 1], torch.sigmoid(logit)[:, 0].numpy(), atol=1e-5)
    assert 0 < predictor.labels(pixels, 0).channel.mean() < 1


def test_bf16_gives_nearly_the_same_map(tiny_model: Path, predictor: TorchPredictor) -> None:
    half = load_predictor(tiny_model, read_card(tiny_model), Device(name="cpu", precision="bf16"))
    same = half.labels(batch(), 8).channel == predictor.labels(batch(), 8).channel
    assert same.mean() > 0.9


# Refusals -------------------------------------------------------------------------------


def copy_of(tiny_model: Path, tmp_path: Path) -> Path:
    import shutil

    shutil.copytree(tiny_model, tmp_path / "m")
    return tmp_path / "m"


def load(folder: Path, card: ModelCard | None = None) -> TorchPredictor:
    return load_predictor(folder, card or read_card(folder), CPU)


def resealed(folder: Path) -> ModelCard:
    """The card with the digest of whatever the weights file holds now."""
    card = read_card(folder)
    return replace(card, weights_sha256=file_sha256(folder / card.weights_file))


def test_a_flipped_bit(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match="damaged or not the card's"):
        load(folder)


def test_no_weights(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights file"):
        load(folder)


class _Trap:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_a_pickled_checkpoint_is_refused_unopened(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path)
    trap = tmp_path / "trap"
    (folder / "model.safetensors").write_bytes(pickle.dumps(_Trap(trap)))
    with pytest.raises(ModelError, match="not a readable safetensors"):
        load(folder, resealed(folder))
    assert not trap.exists()


def test_truncated_safetensors(tiny_model: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_model, tmp_path)
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="not a readable safetensors"):
        load(folder, resealed(folder))


@pytest.mark.parametrize("change", ["missing", "spare", "shape"])
def test_weights_fit_completely_or_not_at_all(
    tiny_model: Path, tmp_path: Path, change: str
) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(tiny_model, tmp_path)
    path = folder / "model.safetensors"
    state = load_file(path)
    name = "segmentation_head.0.bias"
    if change == "missing":
        del state[name]
    elif change == "spare":
        state["another.weight"] = torch.zeros(3)
    else:
        state[name] = torch.zeros(7)
    save_file(state, path)
    with pytest.raises(ModelError, match="does not fit the network"):
        load(folder, resealed(folder))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("encoder_weights", "imagenet"),
        ("weights", "x"),
        ("activation", "sigmoid"),
        ("__class__", 1),
    ],
)
def test_foreign_arguments_are_not_passed_on(name: str, value: object) -> None:
    spec = NetworkSpec(
        architecture="unet", encoder="resnet18", arguments=((name, value),), n_outputs=2
    )
    with pytest.raises(ModelError, match="does not pass on"):
        build_network(spec, 3)


@pytest.mark.parametrize(
    "encoder", ["hf-hub:somebody/model", "tu-hf_hub:a/b", "https://x/y", "a/b"]
)
def test_an_encoder_address_is_refused(encoder: str) -> None:
    with pytest.raises(ModelError, match="is an address"):
        build_network(NetworkSpec(architecture="unet", encoder=encoder), 3)


@pytest.mark.parametrize(
    ("architecture", "encoder"), [("nonsense", "resnet18"), ("unet", "nonsense")]
)
def test_unknown_networks(architecture: str, encoder: str) -> None:
    with pytest.raises(ModelError, match="smp cannot build"):
        build_network(NetworkSpec(architecture=architecture, encoder=encoder), 3)


@pytest.mark.parametrize(("stride_px", "fits"), [(1, False), (4, False), (12, False), (16, True)])
def test_the_cards_stride_must_be_the_networks(
    tiny_model: Path, stride_px: int, fits: bool
) -> None:
    card = replace(read_card(tiny_model), stride_px=stride_px)
    if fits:
        assert load(tiny_model, card).labels(batch(), 0).channel.shape == (3, 64, 64)
        return
    with pytest.raises(ModelError, match=rf"stride is {stride_px} px, the network's is 8 px"):
        load(tiny_model, card)


def test_weights_that_cannot_be_read_are_one_line(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of(tiny_model, tmp_path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("hashlib.file_digest", refuse)
    with pytest.raises(ModelError, match=r"cannot read .*model\.safetensors: Permission denied"):
        load(folder)
    long = replace(read_card(folder), weights_file="x" * 5000)
    with pytest.raises(ModelError, match="File name too long"):
        load(folder, long)


@pytest.mark.parametrize(
    "arguments",
    [
        {"encoder_depth": 10**9},
        {"encoder_depth": "many"},
        {"decoder_channels": (10**12, 1, 1, 1, 1)},
        {"decoder_channels": ()},
        {"decoder_attention_type": {"a": 1}},
        {"decoder_use_norm": {"type": "x"}},
    ],
)
def test_arguments_that_make_no_network_are_one_short_line(arguments: dict[str, object]) -> None:
    spec = NetworkSpec(
        architecture="unet", encoder="resnet18", arguments=tuple(arguments.items()), n_outputs=2
    )
    with pytest.raises(ModelError, match="smp cannot build") as caught:
        build_network(spec, 3)
    assert len(str(caught.value)) < 300


def test_what_dpt_takes_is_said() -> None:
    spec = NetworkSpec(
        architecture="dpt", encoder="resnet18", arguments=(("dynamic_img_size", True),), n_outputs=2
    )
    with pytest.raises(ModelError, match="smp cannot build dpt") as caught:
        build_network(spec, 3)
    assert "vision transformers only" in str(caught.value.hint)


# What goes wrong on the way ------------------------------------------------------------


class _Raises(torch.nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        raise self.error


class _Gives(torch.nn.Module):
    """Scores of three classes, one of them ``value`` at one pixel."""

    def __init__(self, value: float, channel: int) -> None:
        super().__init__()
        self.value, self.channel = value, channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = x[:, :3] * 1.0
        scores[-1, self.channel, 20, 30] = self.value
        return scores


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_scores_that_are_no_numbers_are_an_error(
    tiny_card: ModelCard, value: float, channel: int
) -> None:
    broken = TorchPredictor(_Gives(value, channel), tiny_card, CPU)
    for call in (lambda: broken.labels(batch(), 8), lambda: broken.scores(batch())):
        with pytest.raises(ModelError, match=r"not finite in fp32 for pixel values \d+ to \d+"):
            call()


def test_a_class_may_be_ruled_out(tiny_card: ModelCard) -> None:
    """Minus infinity is a score of 0, no fault."""
    predictor = TorchPredictor(_Gives(-float("inf"), 1), tiny_card, CPU)
    assert predictor.scores(batch())[-1, 1, 20, 30] == 0
    assert predictor.labels(batch(), 0).channel[-1, 20, 30] != 1


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.56 GB, other allocations: 1 GB)"),
    RuntimeError("Invalid buffer size: 24.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
    MemoryError(),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda e: str(e)[:30])
def test_running_out_of_memory_is_known_on_every_backend(
    tiny_card: ModelCard, error: Exception
) -> None:
    predictor = TorchPredictor(_Raises(error), tiny_card, CPU)
    for call in (lambda: predictor.labels(batch(), 8), lambda: predictor.scores(batch())):
        with pytest.raises(OutOfDeviceMemoryError, match="no memory left for 3 x 64 x 64 px"):
            call()


def test_the_allocator_of_this_machine_is_known(tiny_card: ModelCard) -> None:
    class Greedy(torch.nn.Module):
        def forward(self, _: torch.Tensor) -> torch.Tensor:
            return torch.empty(10**14)

    with pytest.raises(OutOfDeviceMemoryError):
        TorchPredictor(Greedy(), tiny_card, CPU).scores(batch())


def test_what_a_failed_pass_allocated_is_let_go(tiny_card: ModelCard) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []

    class Holds(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            large = x.clone()
            alive.append(weakref.ref(large))
            msg = "CUDA out of memory"
            raise RuntimeError(msg)

    with pytest.raises(OutOfDeviceMemoryError) as caught:
        TorchPredictor(Holds(), tiny_card, CPU).scores(batch())
    assert caught.value.__cause__ is not None
    assert [ref() for ref in alive] == [None]


def test_any_other_failure_of_the_network_is_one_line(tiny_card: ModelCard) -> None:
    error = RuntimeError("Given input size: (1x1x1).\nAnd much more")
    with pytest.raises(ModelError, match=r"a window of 64 x 64 px: Given input size: \(1x1x1\)\.$"):
        TorchPredictor(_Raises(error), tiny_card, CPU).scores(batch())


def test_fp32_means_fp32_on_cuda() -> None:
    code = """if True:
        import torch
        from geoseg.model.torch_predictor import _forbid_tf32
        backends = torch.backends
        if hasattr(backends, "fp32_precision"):
            backends.fp32_precision = backends.cudnn.conv.fp32_precision = "tf32"
        _forbid_tf32()
        print(backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32)
        print(getattr(getattr(backends.cudnn, "conv", None), "fp32_precision", "ieee"))
    """
    # In a process of its own: the switches hold for all of it.
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["False", "False", "ieee"], "")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_fp32_on_cuda_gives_the_cpus_scores(tiny_model: Path, predictor: TorchPredictor) -> None:
    device = Device(name="cuda:0", precision="fp32")
    cuda = load_predictor(tiny_model, read_card(tiny_model), device)
    # TF32 would be off by 1e-3 and more.
    np.testing.assert_allclose(cuda.scores(batch()), predictor.scores(batch()), atol=2e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_batches_side_by_side_on_cuda_are_those_one_by_one(
    tiny_model: Path, precision: Precision
) -> None:
    device = Device(name="cuda:0", precision=precision)
    cuda = load_predictor(tiny_model, read_card(tiny_model), device)
    batches = [batch(seed=seed) for seed in range(24)]
    alone = [cuda.labels(pixels, 8) for pixels in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda pixels: cuda.labels(pixels, 8), batches))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.channel, other.channel)
        np.testing.assert_array_equal(one.confidence, other.confidence)
