"""Programs: the same network without torch, by OpenVINO and ONNX Runtime."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file

from geoseg.errors import GeosegError, ModelError, OptionError
from geoseg.model import device as device_module
from geoseg.model import exporting
from geoseg.model.card import NO_PROGRAMS, ModelCard, NetworkSpec, read_card
from geoseg.model.device import Device, choose_device
from geoseg.model.exporting import with_programs
from geoseg.model.loading import load_predictor
from geoseg.model.network import build_network, file_sha256, load_network
from geoseg.model.predictor import Predictor, labels_from_scores
from tests.fakes import cropped, legend_of, write_torch_model
from tests.scenes import texture

HALO_PX = 48
SETTINGS = [("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32")]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with programs."""
    return made(Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("programs") / "m")))


def made(folder: Path, **changes: Any) -> Path:
    card = with_programs(replace(read_card(folder), **changes), folder)
    assert card.programs, card.facts
    card.write(folder)
    return folder


def load(folder: Path, backend: str = "openvino", precision: str = "fp32") -> Predictor:
    device = Device(name="cpu", precision=precision, backend=backend)
    return load_predictor(folder, read_card(folder), device, threads=2)


@pytest.fixture(scope="module", params=SETTINGS, ids=" ".join)
def predictor(request: pytest.FixtureRequest, folder: Path) -> Predictor:
    return load(folder, *request.param)


def batch(count: int = 2, side: int = 160, seed: int = 0) -> np.ndarray:
    return np.stack([texture((side, side), seed=seed + i) for i in range(count)])


def test_programs_are_small_and_hold_no_weights_of_their_own(folder: Path) -> None:
    card = read_card(folder)
    assert {p.kind for p in card.programs} == {"labels", "scores"}
    assert all(p.size_bytes < card.weights_bytes / 10 for p in card.programs)
    assert all(file_sha256(folder / p.file) == p.sha256 for p in card.programs)
    assert card.program("labels").crop_px == HALO_PX


@pytest.mark.parametrize("name", ["labels.onnx", "scores.onnx"])
def test_programs_of_unets_neither_double_nor_join_features(folder: Path, name: str) -> None:
    used = [node.op_type for node in onnx.load(folder / name).graph.node]
    # Without sizes in it, every runtime can add up the weights beforehand.
    assert not {"Resize", "Shape"} & set(used)
    assert used.count("ConvTranspose") == len(
        load_network(read_card(folder), folder).decoder.blocks
    )


@pytest.mark.parametrize("architecture", ["unet", "segformer", "other"])
def test_the_temperature_goes_into_the_last_weights(architecture: str) -> None:
    """Or stays a factor, where the network does not end in a convolution."""
    torch.manual_seed(2)
    image = torch.randn(1, 3, 64, 64)
    if architecture == "other":
        network: torch.nn.Module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.ReLU())
    else:
        spec = NetworkSpec(architecture=architecture, encoder="resnet18", n_outputs=4)
        network = build_network(spec, 3).eval()
    with torch.inference_mode():
        before = network(image)
        after = exporting._cooled(network, 1.7)(image)
    torch.testing.assert_close(after, before / 1.7, rtol=1e-4, atol=1e-5)
    assert isinstance(exporting._cooled(network, 1.0), exporting._Cooled) == (
        architecture == "other"
    )


def test_the_same_model_gives_the_same_programs(tiny_model: Path, tmp_path: Path) -> None:
    one, other = (made(Path(shutil.copytree(tiny_model, tmp_path / name))) for name in ("a", "b"))
    assert (one / "labels.onnx").read_bytes() == (other / "labels.onnx").read_bytes()
    assert read_card(one) == read_card(other)


@pytest.mark.parametrize("setting", [("openvino", "fp32"), ("onnxruntime", "fp32")], ids=" ".join)
@pytest.mark.parametrize("side", [104, 160, 248])
def test_fp32_gives_torchs_classes(folder: Path, setting: tuple[str, str], side: int) -> None:
    pixels = batch(1, side)
    expected = load(folder, "torch").labels(pixels, HALO_PX)
    found = load(folder, *setting).labels(pixels, HALO_PX)
    assert found.channel.shape == (1, side - 2 * HALO_PX, side - 2 * HALO_PX)
    # Two scores that are all but equal may change places: 2 in 100,000 pixels at most.
    assert (found.channel != expected.channel).mean() <= 2e-5
    assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 1
    exact, near = (load(folder, *s).scores(pixels) for s in (("torch", "fp32"), setting))
    np.testing.assert_allclose(near, exact, atol=1e-4)


def test_labels_are_those_of_the_cropped_scores(predictor: Predictor, folder: Path) -> None:
    pixels = batch(seed=5)
    for crop_px in (0, 16, HALO_PX):
        found = predictor.labels(pixels, crop_px)
        expected = labels_from_scores(cropped(predictor.scores(pixels), crop_px))
        # In bf16 the cut decoder adds up its sums in other portions.
        assert (found.channel != expected.channel).mean() < 2e-3
        assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 6


def test_a_window_does_not_depend_on_its_batch(predictor: Predictor) -> None:
    pixels = batch(4)
    together = predictor.labels(pixels, HALO_PX)
    for index, window in enumerate(pixels):
        alone = predictor.labels(window[None], HALO_PX)
        np.testing.assert_array_equal(together.channel[index], alone.channel[0])
        np.testing.assert_array_equal(together.confidence[index], alone.confidence[0])


def test_several_threads_and_sizes_get_the_same(predictor: Predictor) -> None:
    pixels = [batch(1, side, seed=side) for side in (128, 160, 192)]
    expected = [predictor.labels(p, HALO_PX) for p in pixels]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda p: predictor.labels(p, HALO_PX), pixels * 4))
    for index, one in enumerate(found):
        np.testing.assert_array_equal(one.channel, expected[index % 3].channel)
        np.testing.assert_array_equal(one.confidence, expected[index % 3].confidence)


def test_what_was_given_out_stays(predictor: Predictor) -> None:
    first = predictor.labels(batch(1, seed=1), HALO_PX)
    kept = first.channel.copy()
    predictor.labels(batch(1, seed=2), HALO_PX)
    np.testing.assert_array_equal(first.channel, kept)


def test_bytes_and_floats_are_the_same_pixels(predictor: Predictor) -> None:
    pixels = batch()
    np.testing.assert_array_equal(
        predictor.scores(pixels), predictor.scores(pixels.astype(np.float32))
    )


def test_bf16_gives_nearly_the_same_map(folder: Path) -> None:
    pixels = batch(2, 256)
    exact, half = (load(folder, "openvino", p).labels(pixels, HALO_PX) for p in ("fp32", "bf16"))
    assert (exact.channel != half.channel).mean() < 0.02  # random weights: many near ties


def test_two_yes_or_no_classes_and_a_temperature(tiny_model: Path, tmp_path: Path) -> None:
    for name, changes in {
        "warm": {"temperature": 2.5},
        "apart": {"activation": "sigmoid"},
        "blended": {"stitch": "blend"},
    }.items():
        folder = made(Path(shutil.copytree(tiny_model, tmp_path / name)), **changes)
        pixels = batch(1)
        exact, near = load(folder, "torch"), load(folder)
        np.testing.assert_allclose(near.scores(pixels), exact.scores(pixels), atol=1e-4)
        crop_px = 0 if name == "blended" else HALO_PX
        expected, found = exact.labels(pixels, crop_px), near.labels(pixels, crop_px)
        np.testing.assert_array_equal(found.channel, expected.channel)


def test_one_logit_stands_for_two_classes(tiny_card: ModelCard, tmp_path: Path) -> None:
    spec = replace(tiny_card.network, n_outputs=1)
    card = replace(tiny_card, network=spec, legend=legend_of(2))
    write_torch_model(tmp_path / "m", card)
    folder = made(tmp_path / "m")
    exact, near = (load(folder, b).scores(batch(1)) for b in ("torch", "openvino"))
    np.testing.assert_allclose(near, exact, atol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("unet", "mobilenet_v2"), ("unet", "mit_b0"), ("unetplusplus", "resnet18"), ("manet", "resnet18"),
        ("linknet", "resnet18"), ("fpn", "resnet18"), ("deeplabv3", "resnet18"),
        ("deeplabv3plus", "mobilenet_v2"), ("upernet", "resnet18"), ("fcn", "resnet18"),
        ("segformer", "mit_b0"), ("pspnet", "resnet18"), ("pan", "resnet18"),
    ],
)  # fmt: skip
def test_every_architecture_has_programs_or_a_reason(
    tiny_card: ModelCard, tmp_path: Path, architecture: str, encoder: str
) -> None:
    spec = NetworkSpec(architecture=architecture, encoder=encoder, n_outputs=3)
    stride_px = 32
    folder = tmp_path / "m"
    card = write_torch_model(folder, replace(tiny_card, network=spec, stride_px=stride_px))
    card = with_programs(replace(card, halo_px=32), folder)
    card.write(folder)
    assert all(p.is_merged == (architecture == "unet") for p in card.programs)
    if not card.programs:
        assert architecture in {"pspnet", "pan", "upernet"}
        assert "\n" not in card.facts[NO_PROGRAMS]
        assert not list(folder.glob("*.onnx"))
        return
    pixels = batch(1, 256)
    exact, near = (load(folder, b).labels(pixels, 32) for b in ("torch", "openvino"))
    assert (exact.channel != near.channel).mean() < 1e-3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_program_that_is_not_merged_is_given_more_memory(folder: Path, precision: str) -> None:
    """As every one that was made before there were merged ones."""
    device = Device(name="cpu", precision=precision, backend="openvino")
    card = read_card(folder)
    assert all(program.is_merged for program in card.programs)
    programs = tuple(replace(p, is_merged=i > 0) for i, p in enumerate(card.programs))
    before = device.bytes_per_px(replace(card, programs=programs))
    assert device.bytes_per_px(card) < 0.9 * before
    assert device.bytes_per_px(replace(card, programs=())) == before


def test_windows_of_many_shapes_take_no_more_and_more_memory(folder: Path) -> None:
    """What OpenVINO compiles for a shape is let go of when many others have come."""
    script = f"""if True:
        import sys
        from pathlib import Path
        import numpy as np
        from geoseg.model.openvino_backend import compile_program
        from geoseg.memory import peak_memory_bytes
        run = compile_program(Path({str(folder)!r}) / "labels.onnx", "fp32", streams=1)
        run(np.zeros((1, 3, 376, 376), np.float32))
        def grown(rows):
            before = peak_memory_bytes()
            for row in rows:
                for col in range(12):
                    run(np.zeros((1, 3, 200 + 8 * row, 200 + 8 * col), np.float32))
            return peak_memory_bytes() - before
        print(grown(range(10)), grown(range(10, 20)))
    """
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    first, second = map(int, done.stdout.split())
    assert second < max(first / 2, 16 << 20)


# ---------------------------------------------------------------------------- the choice


def chosen(folder: Path, **options: str) -> Device:
    wanted = {"name": "cpu", "precision": "auto", "backend": "auto"} | options
    backend = wanted.pop("backend")
    return choose_device(**wanted, card=read_card(folder), folder=folder, backend=backend)


def test_openvino_is_the_choice_where_there_are_programs(folder: Path, tiny_model: Path) -> None:
    assert chosen(folder).backend == "openvino"
    assert chosen(tiny_model).backend == "torch"


def test_without_a_library_the_next_one_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"onnxruntime"}
    monkeypatch.setattr(device_module, "find_spec", lambda name: name in there or None)
    monkeypatch.setattr(device_module, "cpu_bf16_feature", lambda: None)
    assert chosen(folder).backend == "onnxruntime"
    with pytest.raises(OptionError, match="backend openvino is not installed"):
        chosen(folder, backend="openvino")
    there.clear()
    assert chosen(folder).backend == "torch"


def test_torch_in_bf16_goes_before_onnxruntime_in_fp32(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        device_module, "find_spec", lambda name: None if name == "openvino" else True
    )
    monkeypatch.setattr(device_module, "cpu_bf16_feature", lambda: "amx_bf16")
    card = replace(read_card(folder), bf16_agreement=0.9999)
    assert choose_device("cpu", "auto", card, folder).backend == "torch"
    assert choose_device("cpu", "fp32", card, folder).backend == "onnxruntime"


def test_bf16_is_taken_only_where_the_card_says_that_it_agrees(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_module, "cpu_bf16_feature", lambda: "amx_bf16")
    card = read_card(folder)
    for agreement, precision in ((0.9995, "bf16"), (0.99, "fp32"), (None, "fp32")):
        found = choose_device("cpu", "auto", replace(card, bf16_agreement=agreement), folder)
        assert (found.backend, found.precision) == ("openvino", precision)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "tensorrt"}, "backend 'tensorrt' is unknown"),
        ({"backend": "onnxruntime", "precision": "bf16"}, "computes in fp32 on the CPU"),
        ({"backend": "openvino", "precision": "fp16"}, "fp16 on the CPU"),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        chosen(folder, **options)


def test_a_card_that_was_changed_does_not_fit_its_programs(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    replace(read_card(copy), temperature=1.5).write(copy)
    assert chosen(copy).backend == "torch"
    with pytest.raises(OptionError, match="was made for another card"):
        chosen(copy, backend="openvino")


def test_a_folder_without_the_files_runs_with_torch(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    (copy / "scores.onnx").unlink()
    assert chosen(copy).backend == "torch"
    with pytest.raises(OptionError, match=r"there is no file scores\.onnx"):
        chosen(copy, backend="openvino")


def test_mapping_without_torch_never_imports_it(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from geoseg.model.card import read_card\n"
        "from geoseg.model.device import choose_device\n"
        "from geoseg.model.loading import load_predictor\n"
        "f = Path(sys.argv[1]); card = read_card(f)\n"
        "device = choose_device('cpu', 'auto', card, f)\n"
        "p = load_predictor(f, card, device, threads=1)\n"
        "p.labels(np.zeros((1, 3, 160, 160), np.uint8), 48)\n"
        "heavy = {'torch', 'torchvision', 'timm', 'segmentation_models_pytorch', 'onnx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, folder], check=True, timeout=120)


# ------------------------------------------------------------------------- files that lie


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_program_is_one_clear_line(
    folder: Path, tmp_path: Path, backend: str, damage: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    path = copy / "labels.onnx"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:5000], "text": b"import os", "empty": b""}[damage])
    with pytest.raises(ModelError, match=r"labels\.onnx is damaged or not the card's"):
        load(copy, backend).labels(batch(1), HALO_PX)
    sign(copy, "labels")  # by somebody who wrote the card, too
    with pytest.raises(ModelError, match="cannot read") as caught:
        load(copy, backend).labels(batch(1), HALO_PX)
    assert "\n" not in str(caught.value)


def sign(folder: Path, kind: str) -> None:
    """Make the card say that a program is as it should be."""
    card = read_card(folder)
    programs = tuple(
        replace(p, sha256=file_sha256(folder / p.file)) if p.kind == kind else p
        for p in card.programs
    )
    replace(card, programs=programs).write(folder)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_program_that_points_out_of_the_folder_is_refused(
    folder: Path, tmp_path: Path, backend: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    (tmp_path / "outside.bin").write_bytes((copy / "model.safetensors").read_bytes())
    graph = onnx.load(copy / "labels.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../outside.bin"
    (copy / "labels.onnx").write_bytes(graph.SerializeToString())
    sign(copy, "labels")
    with pytest.raises(GeosegError):
        load(copy, backend).labels(batch(1), HALO_PX)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("lie", ["shape", "class", "kind", "more", "fewer"])
def test_a_program_that_gives_something_else_is_refused(
    folder: Path, tmp_path: Path, backend: str, lie: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    side = 160 - 2 * HALO_PX
    channel = np.zeros((1, side, side), np.uint8)
    check = np.zeros((), np.float32)
    outputs = {
        "shape": [np.zeros((1, side, 1), np.uint8), channel, check],
        "class": [channel + 77, channel, check],
        "kind": [channel.astype(np.int64), channel, check],
        "more": [channel, channel, channel, check],
        "fewer": [channel, check],
    }[lie]
    names = [f"out{i}" for i in range(len(outputs))]
    constants = [
        onnx.helper.make_node("Constant", [], [n], value=onnx.numpy_helper.from_array(a))
        for n, a in zip(names, outputs, strict=True)
    ]
    infos = [
        onnx.helper.make_tensor_value_info(
            n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape
        )
        for n, a in zip(names, outputs, strict=True)
    ]
    given = onnx.helper.make_tensor_value_info("pixels", 1, ["n", 3, "row", "col"])
    graph = onnx.helper.make_graph(constants, "lies", [given], infos)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    (copy / "labels.onnx").write_bytes(model.SerializeToString())
    sign(copy, "labels")
    with pytest.raises(ModelError, match=r"does not give labels of 3 classes|cannot read"):
        load(copy, backend).labels(batch(1), HALO_PX)


def test_a_backend_that_does_not_load_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "geoseg.model.openvino_backend", None)
    with pytest.raises(ModelError, match="openvino is installed and cannot be loaded"):
        load(folder).labels(batch(1), HALO_PX)


def test_weights_that_are_not_the_cards_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "m"))
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="is damaged or not the card's"):
        load(copy)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_scores_that_are_no_numbers_are_found_out(
    tiny_card: ModelCard, tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_LEAST_EXTERNAL_BYTES", 0)
    folder = tmp_path / "m"
    write_torch_model(folder, tiny_card)
    card = read_card(made(folder))
    # Weights that overflow, at the same places: the programs stay as they are.
    write_weights(folder, "segmentation_head.0.weight", 3e38)
    new = replace(card, weights_sha256=file_sha256(folder / card.weights_file))
    programs = tuple(replace(p, made_for=new.identity_sha256) for p in card.programs)
    replace(new, programs=programs).write(folder)
    predictor = load(folder, backend)
    with pytest.raises(ModelError, match="not finite in fp32"):
        predictor.labels(batch(1), HALO_PX)
    with pytest.raises(ModelError, match="not finite in fp32"):
        predictor.scores(batch(1))


def test_weights_that_are_no_numbers_get_no_programs(tiny_card: ModelCard, tmp_path: Path) -> None:
    # OpenVINO's rectifier makes 0 of NaN, and a map of nothing would come out.
    folder = tmp_path / "m"
    card = write_torch_model(folder, tiny_card)
    write_weights(folder, "encoder.conv1.weight", float("nan"))
    card = replace(card, weights_sha256=file_sha256(folder / card.weights_file))
    assert "not finite" in with_programs(card, folder).facts[NO_PROGRAMS]


def write_weights(folder: Path, name: str, value: float) -> None:
    """Fill one tensor of a folder's weights."""
    path = folder / "model.safetensors"
    state = load_file(path)
    save_file(state | {name: torch.full_like(state[name], value)}, path)
