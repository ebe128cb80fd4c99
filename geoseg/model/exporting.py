"""Write the network as programs: ONNX graphs that take raw pixels and share the weights' file.

A program does all that ``Predictor`` promises: normalise, run the network, give classes and
confidences. OpenVINO and ONNX Runtime read it in a fraction of the time that torch and smp
take to be imported. Its tensors are not stored again, but for the last few that hold the
temperature: the graph points into the safetensors file, whose tensors lie there as plain
bytes, by offset and length (ONNX external data).
"""

from __future__ import annotations

import hashlib
import json
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.confidence import CONFIDENCE_STEPS
from geoseg.errors import ModelError
from geoseg.model.card import NO_PROGRAMS, PROGRAM_FILES, ModelCard, Program, ProgramKind
from geoseg.model.focus import focused
from geoseg.model.network import load_network

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["with_programs"]

_OPSET: Final = 17
_LONGEST_TEXT: Final = 200
# Below it a tensor is not worth an address; runtimes also want shapes and such at hand.
_LEAST_EXTERNAL_BYTES: Final = 1024
_OUTPUTS: Final = {"labels": ["channel", "confidence", "check"], "scores": ["scores", "check"]}
# The same sums in another order; a graph that went wrong is off by far more.
_TOLERANCE: Final = 1e-3
_MOST_DIFFERING: Final = 5e-3
# PAN halves its features three times more.
_SIDE_STRIDES: Final = 8
# All that the exporter, the checker and the runtimes raise for a network that has no graph.
_EXPORT_ERRORS: Final = (
    RuntimeError, ValueError, TypeError, AssertionError, AttributeError, LookupError,
    NotImplementedError, MemoryError, OSError, ImportError, ModelError,
)  # fmt: skip


class _Program(torch.nn.Module):
    """From raw pixels to what a ``Predictor`` gives, with a network that knows the temperature."""

    def __init__(
        self, network: torch.nn.Module, card: ModelCard, kind: ProgramKind, crop_px: int
    ) -> None:
        super().__init__()
        self.network = network
        self._is_focused = type(network).__name__ == "FocusedUnet"
        self.kind, self._crop_px = kind, crop_px
        self._is_binary = card.network.n_outputs == 1
        self._is_sigmoid = card.activation == "sigmoid"
        self._offset, self._divisor = _scaling(card)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return (channel, confidence, sum of scores), or (scores, their sum).

        The sum tells whether all of them are numbers: OpenVINO's softmax and maximum let
        NaN go now and then.

        Args:
            pixels: float32 (n, band, row, col), raw values.
        """
        scores = self._scores(pixels)
        if self.kind == "scores":
            return scores, scores.sum()
        best = scores.amax(dim=1)
        confidence = torch.round(best * CONFIDENCE_STEPS).to(torch.uint8)
        return scores.argmax(dim=1).to(torch.uint8), confidence, scores.sum()

    def _scores(self, pixels: torch.Tensor) -> torch.Tensor:
        seen = (pixels - self._offset) / self._divisor
        if self._is_focused:
            logits = self.network(seen, self._crop_px)
        else:
            logits = self.network(seen)
            crop = self._crop_px
            logits = logits[..., crop:-crop, crop:-crop] if crop else logits
        if self._is_binary:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        scores: torch.Tensor = logits.sigmoid() if self._is_sigmoid else logits.softmax(dim=1)
        return scores


def with_programs(card: ModelCard, folder: Path) -> ModelCard:
    """Write the programs of a model folder and return its card with them.

    A network that cannot be written as a graph for windows of any size, or whose graph does
    not give the same, is left without one; torch runs it.

    Args:
        card: The finished card: halo, temperature and scaling become part of the programs.
        folder: Holds the weights; receives ``labels.onnx`` and ``scores.onnx``.
    """
    bare = replace(card, programs=())
    try:
        programs = tuple(_written(bare, folder, kind) for kind in get_args(ProgramKind))
    except _EXPORT_ERRORS as error:
        reason = " ".join(str(error).split())[:_LONGEST_TEXT]
        for name in PROGRAM_FILES.values():
            (folder / name).unlink(missing_ok=True)
        return replace(bare, facts={**card.facts, NO_PROGRAMS: reason})
    facts = {name: fact for name, fact in card.facts.items() if name != NO_PROGRAMS}
    return replace(bare, programs=programs, facts=facts)


def _written(card: ModelCard, folder: Path, kind: ProgramKind) -> Program:
    """Write one program, run it, and compare it with torch."""
    crop_px = card.halo_px if kind == "labels" and card.stitch == "crop" else 0
    plain = _Cooled(load_network(card, folder), card.temperature)
    _require_finite(plain)
    expected = _Program(plain, card, kind, crop_px).eval()
    network = _cooled(load_network(card, folder), card.temperature)
    example = _pixels(card, crop_px, 0)
    seen = _normalised(example, card)
    merged = focused(network, seen, crop_px, merged=True)
    network = merged or focused(network, seen, crop_px) or network
    program = _Program(network, card, kind, crop_px).eval()
    path = folder / PROGRAM_FILES[kind]
    _export(program, example, path)
    _point_at_weights(path, folder / card.weights_file)
    _check(expected, path, card, crop_px)
    return Program(
        kind=kind,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        crop_px=crop_px,
        made_for=card.identity_sha256,
        is_merged=merged is not None,
    )


def _require_finite(network: torch.nn.Module) -> None:
    """Raise ModelError for weights that are no numbers.

    OpenVINO's rectifier makes 0 of NaN, so that nobody would notice when it runs.
    """
    values = (*network.parameters(), *network.buffers())
    if not all(bool(torch.isfinite(value).all()) for value in values):
        msg = "its weights hold values that are not finite"
        raise ModelError(msg)


class _Cooled(torch.nn.Module):
    """A network whose logits are divided by the temperature."""

    def __init__(self, network: torch.nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self._factor = 1.0 / temperature

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(pixels)
        return logits * self._factor


def _cooled(network: torch.nn.Module, temperature: float) -> torch.nn.Module:
    """Divide the logits by the temperature: in the last weights, which costs nothing.

    ``network`` is changed where it ends in a plain convolution, as those of smp do.
    """
    head = getattr(network, "segmentation_head", None)
    last, *behind = head if isinstance(head, torch.nn.Sequential) else (None,)
    if not isinstance(last, torch.nn.Conv2d) or not all(_is_linear(m) for m in behind):
        return _Cooled(network, temperature)
    with torch.no_grad():
        for value in last.parameters():
            value.mul_(1.0 / temperature)
    return network


def _is_linear(module: torch.nn.Module) -> bool:
    """Tell whether a layer of smp's head passes factors on."""
    inner = getattr(module, "activation", module)
    return isinstance(inner, torch.nn.Identity | torch.nn.Upsample)


def _pixels(card: ModelCard, crop_px: int, longer: int) -> torch.Tensor:
    """Return random pixels of a window, ``longer`` strides wider than it is high."""
    side_px = _SIDE_STRIDES * card.stride_px + 2 * crop_px
    random = torch.Generator().manual_seed(longer)
    low, high = card.value_range
    shape = (1, len(card.bands), side_px, side_px + longer * card.stride_px)
    return low + (high - low) * torch.rand(shape, generator=random)


def _normalised(pixels: torch.Tensor, card: ModelCard) -> torch.Tensor:
    offset, divisor = _scaling(card)
    return (pixels - offset) / divisor


def _scaling(card: ModelCard) -> tuple[torch.Tensor, torch.Tensor]:
    """Return offset and divisor, float32 (1, band, 1, 1) each."""
    offset = torch.tensor([s.offset for s in card.scaling], dtype=torch.float32)
    divisor = torch.tensor([s.divisor for s in card.scaling], dtype=torch.float32)
    return offset.view(1, -1, 1, 1), divisor.view(1, -1, 1, 1)


def _export(program: _Program, example: torch.Tensor, path: Path) -> None:
    sizes = {0: "n", 2: "row", 3: "col"}
    with _quietly():
        # The exporter that traces: the one that compiles takes ten times as long, needs
        # another library, and fails on more networks.
        torch.onnx.export(
            program,
            (example,),
            path,
            dynamo=False,
            opset_version=_OPSET,
            input_names=["pixels"],
            output_names=_OUTPUTS[program.kind],
            dynamic_axes={"pixels": sizes},
            # As they are: the runtimes fold normalisations themselves, and tensors keep the
            # bytes of the weights' file.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Silence what the exporter says of every size that it takes for a constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _point_at_weights(path: Path, weights: Path) -> None:
    """Replace tensors of the graph by their places in the safetensors file."""
    import onnx  # noqa: PLC0415 - only where programs are made

    model = onnx.load(path)
    places = _places(weights)
    stored = np.memmap(weights, np.uint8, "r")
    for tensor in model.graph.initializer:
        place = places.get(_weight_name(tensor.name))
        raw = tensor.raw_data
        if place is None or len(raw) < _LEAST_EXTERNAL_BYTES or place[1] != len(raw):
            continue
        if stored[place[0] : sum(place)].tobytes() != raw:
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", weights.name), ("offset", place[0]), ("length", place[1])):
            tensor.external_data.add(key=key, value=str(value))
    model.producer_name, model.producer_version = "geoseg", ""
    path.write_bytes(model.SerializeToString(deterministic=True))


def _weight_name(name: str) -> str:
    """Return the name in the weights' file of a tensor of the graph."""
    while name.startswith("network."):
        name = name.removeprefix("network.")
    return name


def _places(weights: Path) -> Mapping[str, tuple[int, int]]:
    """Return offset and length in bytes of every tensor of a safetensors file.

    The format: eight bytes with the length of a JSON header, the header, the tensors
    (https://huggingface.co/docs/safetensors).
    """
    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = json.loads(file.read(header_bytes))
    begin = 8 + header_bytes
    return {
        name: (
            begin + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _check(program: _Program, path: Path, card: ModelCard, crop_px: int) -> None:
    """Raise ModelError unless the file gives what torch gives, for windows of other sizes too.

    ``program`` is the network as it was loaded, with nothing left out or merged.
    """
    from geoseg.model.openvino_backend import compile_program  # noqa: PLC0415 - heavy

    run = compile_program(path, "fp32", streams=1)
    for longer in (0, 3):
        pixels = _pixels(card, crop_px, longer)
        with torch.inference_mode():
            expected = [value.numpy() for value in program(pixels)]
        found = run(pixels.numpy())
        for wanted, given in zip(expected, found, strict=True):
            if wanted.shape != given.shape or _differs(wanted, given):
                msg = f"its graph gives other {program.kind} than torch"
                raise ModelError(msg)


def _differs(wanted: NDArray[Any], given: NDArray[Any]) -> bool:
    if wanted.dtype != np.uint8:
        return not np.allclose(wanted, given, rtol=_TOLERANCE, atol=_TOLERANCE)
    # A score on the border of two steps, or of two classes, falls to either side.
    return bool(np.mean(wanted != given) > _MOST_DIFFERING)
