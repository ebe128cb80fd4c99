"""The model card: what a model needs, gives, and is worth.

On disk it is ``card.json``, a STAC Item with the Machine Learning Model extension
(https://github.com/stac-extensions/mlm, 1.5.x) beside the weights; what the extension
has no field for is kept under ``geoseg:`` names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, get_args

from geoseg.errors import ModelError
from geoseg.legend import Legend, LegendClass

__all__ = [
    "CARD_NAME",
    "NO_PROGRAMS",
    "PROGRAM_FILES",
    "Activation",
    "BandScaling",
    "ModelCard",
    "NetworkSpec",
    "Program",
    "ProgramKind",
    "StitchMode",
    "read_card",
    "require_printable",
]

CARD_NAME = "card.json"
MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.5.1/schema.json"
CLASSIFICATION_SCHEMA = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_SHA256_MULTIHASH = "1220"

StitchMode = Literal["crop", "blend"]
Activation = Literal["softmax", "sigmoid"]
ProgramKind = Literal["labels", "scores"]
PROGRAM_FILES: Final[dict[ProgramKind, str]] = {"labels": "labels.onnx", "scores": "scores.onnx"}
"""Names of the programs that geoseg writes."""
NO_PROGRAMS: Final = "no_programs"
"""Fact of a card: why its network runs with torch only."""

# A card is data from anywhere. Numbers outside these bounds belong to no real model, and
# would overflow in float32 or ask for windows that no machine holds.
_LARGEST: Final = 1e30
_LARGEST_STRIDE_PX: Final = 1024
_LARGEST_HALO_PX: Final = 4096
_DEEPEST: Final = 50
_LONGEST_TEXT: Final = 100
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BandScaling:
    """What the network sees: ``(pixel - offset) / divisor``."""

    offset: float
    """Subtracted first; also the value put in place of nodata."""
    divisor: float
    """Divided by; positive."""

    def __post_init__(self) -> None:
        if not self.divisor:
            msg = "a band's scaling divides by 0"
            raise ModelError(msg)
        _require("offset of a band's scaling", self.offset, -_LARGEST, _LARGEST)
        _require("divisor of a band's scaling", self.divisor, 1 / _LARGEST, _LARGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    """A segmentation-models-pytorch network, by name and plain arguments."""

    architecture: str
    """smp's lower-case architecture name, e.g. ``unet``."""
    encoder: str
    """Encoder name that smp or timm knows."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Further keyword arguments, JSON values only, sorted by name."""
    n_outputs: int = 2
    """Score channels; 1 stands for the logit of the second of two classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The network as an ONNX graph beside the weights; runs without torch and smp."""

    kind: ProgramKind
    """``labels`` gives classes and confidences of cropped windows, ``scores`` all scores."""
    file: str
    """Name within the folder."""
    sha256: str
    """Digest of the file."""
    size_bytes: int
    """Size of the file; the weights lie in their own."""
    crop_px: int
    """What it cuts off each side of a window."""
    made_for: str
    """``ModelCard.identity_sha256`` of the card that it was made for."""
    is_merged: bool = False
    """Upsampling and the convolution behind it are one, which takes less memory."""

    def __post_init__(self) -> None:
        if self.kind not in {"labels", "scores"}:
            msg = f"a program's kind is {self.kind!r}, expected labels or scores"
            raise ModelError(msg)
        _require_file_name("program file", self.file)
        if not self.file.endswith(".onnx"):
            # Runtimes choose how to read a file by its ending.
            msg = f"program file {self.file!r} does not end in .onnx"
            raise ModelError(msg)
        for digest in (self.sha256, self.made_for):
            _require_sha256(digest)
        _require("size of a program", self.size_bytes, 0, _LARGEST)
        _require("crop of a program", self.crop_px, 0, _LARGEST_HALO_PX)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything about a model but its weights."""

    name: str
    """Short name, e.g. ``aerial-landcover``."""
    title: str
    """One line for people."""
    description: str
    """What it maps, on what imagery, and where it fails."""
    network: NetworkSpec
    """How to build it."""
    bands: tuple[str, ...]
    """Input bands in order."""
    scaling: tuple[BandScaling, ...]
    """One per band."""
    value_range: tuple[float, float]
    """Smallest and largest pixel value the model was made for."""
    gsd_m: float | None
    """Pixel size the network works at; None takes any scene as it is."""
    gsd_range_m: tuple[float, float] | None
    """Scenes outside are refused."""
    legend: Legend
    """Classes in channel order."""
    stride_px: int
    """Total stride; window origins and sizes are multiples of it."""
    halo_px: int
    """Context that cropped windows need, measured."""
    stitch: StitchMode
    """``crop`` where the halo covers what the network sees, else ``blend``."""
    weights_file: str
    """Name within the folder."""
    weights_sha256: str
    """Digest of the weights file."""
    weights_bytes: int
    """Size of the weights file."""
    n_parameters: int = 0
    """Number of weights."""
    activation_bytes_per_px: float = 600.0
    """Measured peak memory of a forward pass per window pixel, fp32."""
    bf16_agreement: float | None = None
    """Share of pixels with the same class in bf16 and fp32, measured."""
    temperature: float = 1.0
    """Logits are divided by it before the activation."""
    activation: Activation = "softmax"
    """``sigmoid`` for classes that were trained as a yes or no each, and may overlap; the map
    then shows the most likely of them."""
    license: str = "other"
    """SPDX identifier of the weights' licence."""
    programs: tuple[Program, ...] = ()
    """The network ready to run, one per kind at most."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Halo curve, accuracy, training data, limits: JSON values for people to read."""

    def __post_init__(self) -> None:
        try:
            self._check_parts()
            self._check_numbers()
            self._check_weights()
        except ModelError as error:
            msg = f"model {self.name!r}: {error}"
            raise ModelError(msg) from error

    def _check_parts(self) -> None:
        """Raise ModelError where bands, scalings, network and legend do not belong together."""
        if len(self.scaling) != len(self.bands) or not self.bands:
            msg = f"{len(self.bands)} bands need as many scalings, got {len(self.scaling)}"
            raise ModelError(msg)
        require_printable(self.name, self.title, *self.bands, *(c.name for c in self.legend))
        expected = 2 if self.network.n_outputs == 1 else self.network.n_outputs
        if expected != len(self.legend):
            msg = f"the network gives {expected} classes, its legend names {len(self.legend)}"
            raise ModelError(msg)
        if self.stitch not in {"crop", "blend"}:
            msg = f"stitch is {self.stitch!r}, expected crop or blend"
            raise ModelError(msg)
        if self.activation not in {"softmax", "sigmoid"}:
            msg = f"activation is {self.activation!r}, expected softmax or sigmoid"
            raise ModelError(msg)

    def _check_numbers(self) -> None:
        """Raise ModelError for a number that is not finite or outside what a model can have."""
        low, high = self.value_range
        _require("smallest value", low, -_LARGEST, _LARGEST)
        _require("largest value", high, -_LARGEST, _LARGEST)
        if low >= high:
            msg = f"value range {self.value_range} is empty"
            raise ModelError(msg)
        for size_m in (self.gsd_m, *(self.gsd_range_m or ())):
            if size_m is not None:
                _require("pixel size", size_m, 1e-6, 1e7)
        if self.gsd_range_m is not None and self.gsd_range_m[0] > self.gsd_range_m[1]:
            msg = f"range of pixel sizes {self.gsd_range_m} is empty"
            raise ModelError(msg)
        _require("stride", self.stride_px, 1, _LARGEST_STRIDE_PX)
        _require("halo", self.halo_px, 0, _LARGEST_HALO_PX)
        _require("temperature", self.temperature, 1e-6, 1e6)
        _require("memory per pixel", self.activation_bytes_per_px, 1e-6, 1e9)
        if self.bf16_agreement is not None:
            _require("bf16 agreement", self.bf16_agreement, 0, 1)
        _require("number of weights", self.n_parameters, 0, _LARGEST)

    def _check_weights(self) -> None:
        """Raise ModelError for a file outside the folder, or a digest that is none."""
        _require_file_name("weights file", self.weights_file)
        _require_sha256(self.weights_sha256)
        _require("size of the weights", self.weights_bytes, 0, _LARGEST)
        files = [self.weights_file, CARD_NAME, *(program.file for program in self.programs)]
        kinds = [program.kind for program in self.programs]
        if len(set(files)) < len(files) or len(set(kinds)) < len(kinds):
            msg = f"a file or kind stands twice in its list of files: {files}"
            raise ModelError(msg)

    def program(self, kind: ProgramKind) -> Program | None:
        """Return the program of a kind, if there is one and it was made for this very card."""
        key = self.identity_sha256
        return next((p for p in self.programs if p.kind == kind and p.made_for == key), None)

    @property
    def identity_sha256(self) -> str:
        """Digest of ``identity``; tells whether a program gives what this card describes."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return all of the card that decides a pixel's class and score, as JSON values.

        Two models with the same identity give the same map on the same device, with the
        same libraries; see ``network.predictor_identity``.
        """
        return {
            "weights_sha256": self.weights_sha256,
            "architecture": self.network.architecture,
            "encoder": self.network.encoder,
            "arguments": dict(self.network.arguments),
            "n_outputs": self.network.n_outputs,
            "bands": list(self.bands),
            "scaling": [[s.offset, s.divisor] for s in self.scaling],
            "value_range": list(self.value_range),
            "temperature": self.temperature,
            "activation": self.activation,
            "class_ids": [*self.legend.ids, self.legend.nodata_id],
            "stride_px": self.stride_px,
        }

    def to_item(self) -> dict[str, Any]:
        """Return the card as a STAC Item with the MLM extension."""
        properties = {
            "datetime": None,
            "start_datetime": "1970-01-01T00:00:00Z",
            "end_datetime": "9999-12-31T23:59:59Z",
            "title": self.title,
            # STAC allows no empty description.
            **({"description": self.description} if self.description else {}),
            "license": self.license,
            "mlm:name": self.name,
            "mlm:architecture": self.network.architecture,
            "mlm:tasks": ["semantic-segmentation"],
            "mlm:framework": "PyTorch",
            "mlm:total_parameters": self.n_parameters,
            "mlm:pretrained": False,
            "mlm:pretrained_source": None,
            "mlm:input": [self._input()],
            "mlm:output": [self._output()],
            "geoseg:network": {
                "architecture": self.network.architecture,
                "encoder": self.network.encoder,
                "arguments": dict(self.network.arguments),
                "n_outputs": self.network.n_outputs,
            },
            "geoseg:value_range": list(self.value_range),
            "geoseg:gsd_m": self.gsd_m,
            "geoseg:gsd_range_m": list(self.gsd_range_m) if self.gsd_range_m else None,
            "geoseg:stride_px": self.stride_px,
            "geoseg:halo_px": self.halo_px,
            "geoseg:stitch": self.stitch,
            "geoseg:nodata_id": self.legend.nodata_id,
            "geoseg:activation_bytes_per_px": self.activation_bytes_per_px,
            "geoseg:bf16_agreement": self.bf16_agreement,
            "geoseg:temperature": self.temperature,
            "geoseg:activation": self.activation,
            "geoseg:facts": dict(self.facts),
        }
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": [MLM_SCHEMA, CLASSIFICATION_SCHEMA, FILE_SCHEMA],
            "id": self.name,
            "geometry": None,
            "properties": properties,
            "links": [],
            "assets": {
                "weights": self._asset(),
                **{program.kind: self._program_asset(program) for program in self.programs},
            },
        }

    def _input(self) -> dict[str, Any]:
        return {
            "name": "image",
            "bands": [{"name": band} for band in self.bands],
            "input": {
                "shape": [-1, len(self.bands), -1, -1],
                "dim_order": ["batch", "bands", "height", "width"],
                "data_type": "float32",
            },
            "value_scaling": [
                {"type": "z-score", "mean": s.offset, "stddev": s.divisor} for s in self.scaling
            ],
            "resize_type": None,
            "pre_processing_function": None,
        }

    def _output(self) -> dict[str, Any]:
        return {
            "name": "scores",
            "tasks": ["semantic-segmentation"],
            "result": {
                "shape": [-1, self.network.n_outputs, -1, -1],
                "dim_order": ["batch", "classes", "height", "width"],
                "data_type": "float32",
            },
            "classification:classes": [
                {
                    "value": c.class_id,
                    "name": c.name,
                    "description": c.description or c.name,
                    "color_hint": c.colour[1:].upper(),
                }
                for c in self.legend
            ],
            "post_processing_function": None,
        }

    def _asset(self) -> dict[str, Any]:
        return {
            "href": self.weights_file,
            "type": "application/octet-stream; framework=pytorch",
            "title": f"Weights of {self.title}",
            "roles": ["mlm:model", "mlm:weights"],
            "mlm:artifact_type": "safetensors",
            "file:size": self.weights_bytes,
            "file:checksum": _SHA256_MULTIHASH + self.weights_sha256,
        }

    def _program_asset(self, program: Program) -> dict[str, Any]:
        return {
            "href": program.file,
            "type": "application/octet-stream; framework=onnx",
            "title": f"Program that gives {program.kind}, on the same weights",
            "roles": ["mlm:compiled"],
            "mlm:artifact_type": "onnx",
            "mlm:compile_method": "aot",
            "geoseg:crop_px": program.crop_px,
            "geoseg:made_for": program.made_for,
            "geoseg:merged": program.is_merged,
            "file:size": program.size_bytes,
            "file:checksum": _SHA256_MULTIHASH + program.sha256,
        }

    def write(self, folder: Path) -> None:
        """Write ``card.json`` into a model folder."""
        text = json.dumps(self.to_item(), indent=2, ensure_ascii=False, allow_nan=False)
        (folder / CARD_NAME).write_text(text + "\n", encoding="utf-8")


def _require_file_name(what: str, name: str) -> None:
    """Raise ModelError for a name that leads out of the model's folder, on any system."""
    # Backslashes and drives do so on Windows, wherever the card is from.
    if name in {"", ".", ".."} or set(name) & set("/\\:\0"):
        msg = f"{what} {name!r} leaves the folder"
        raise ModelError(msg)


def _require_sha256(text: str) -> None:
    if not _SHA256.fullmatch(text):
        msg = f"{text!r} is no SHA-256 in lower-case hex digits"
        raise ModelError(msg)


def require_printable(*texts: str) -> None:
    """Refuse names and titles that would break a line or a terminal.

    Raises:
        ModelError: One of them holds control characters.
    """
    for text in texts:
        if _CONTROL.search(text):
            msg = f"a name or title holds control characters: {text!r}"
            raise ModelError(msg)


def read_card(folder: Path) -> ModelCard:
    """Read and check the card of a model folder; the weights are not touched.

    Raises:
        ModelError: No folder, no card, or a card that does not hold what it must.
    """
    path = folder / CARD_NAME
    try:
        if not folder.is_dir():
            msg = f"there is no model folder {folder}"
            raise ModelError(msg, hint="List the models at hand with 'geoseg models list'.")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{folder} holds no {CARD_NAME}, so it is no geoseg model"
        raise ModelError(
            msg, hint="Make one from an smp folder with 'geoseg models import'."
        ) from error
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"cannot read {path}: {error}"
        raise ModelError(msg) from error
    return _parse_card(path, text)


def _parse_card(path: Path, text: str) -> ModelCard:
    hint = "Make it anew with 'geoseg models import'."
    try:
        item = json.loads(text, parse_constant=_refuse_constant)
        _require_shallow(item)
        return _from_item(item)
    except json.JSONDecodeError as error:
        msg = f"cannot read {path}: {error}"
        raise ModelError(msg) from error
    except ModelError as error:
        msg = f"{path}: {error}"
        raise ModelError(msg, hint=error.hint) from error
    except RecursionError as error:
        msg = f"{path} is nested too deeply for a model card"
        raise ModelError(msg, hint=hint) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        what = str(error)[:_LONGEST_TEXT]
        msg = f"{path} is not a complete model card: {type(error).__name__} at {what}"
        raise ModelError(msg, hint=hint) from error


def _refuse_constant(name: str) -> NoReturn:
    msg = f"{name} is no number that a card may hold"
    raise ModelError(msg)


def _require_shallow(item: object) -> None:
    """Raise ModelError for JSON that is read but could not be written or shown any more."""
    level = [item]
    for _ in range(_DEEPEST):
        level = [
            child
            for value in level
            for child in (
                value.values()
                if isinstance(value, dict)
                else value
                if isinstance(value, list)
                else ()
            )
        ]
        if not level:
            return
    msg = f"it is nested more than {_DEEPEST} levels deep"
    raise ModelError(msg)


def _require(what: str, value: float, least: float, most: float) -> None:
    """Raise ModelError unless ``least <= value <= most``; NaN never is."""
    if not least <= value <= most:
        shown = f"{value:g}" if abs(value) <= _LARGEST else str(value)
        msg = f"{what} is {shown[:_LONGEST_TEXT]}, expected {least:g} to {most:g}"
        raise ModelError(msg)


def _from_item(item: dict[str, Any]) -> ModelCard:
    properties = item["properties"]
    asset = item["assets"]["weights"]
    source, output = properties["mlm:input"][0], properties["mlm:output"][0]
    spec = properties["geoseg:network"]
    gsd_range = properties["geoseg:gsd_range_m"]
    return ModelCard(
        name=str(properties["mlm:name"]),
        title=str(properties.get("title", properties["mlm:name"])),
        description=str(properties.get("description", "")),
        network=NetworkSpec(
            architecture=str(spec["architecture"]),
            encoder=str(spec["encoder"]),
            arguments=tuple(sorted((k, _frozen(v)) for k, v in spec["arguments"].items())),
            n_outputs=_whole(spec["n_outputs"]),
        ),
        bands=tuple(str(b["name"] if isinstance(b, dict) else b) for b in source["bands"]),
        scaling=tuple(_scaling(s) for s in source["value_scaling"]),
        value_range=_pair(properties["geoseg:value_range"]),
        gsd_m=_float_or_none(properties["geoseg:gsd_m"]),
        gsd_range_m=_pair(gsd_range) if gsd_range else None,
        legend=_legend(output["classification:classes"], _whole(properties["geoseg:nodata_id"])),
        stride_px=_whole(properties["geoseg:stride_px"]),
        halo_px=_whole(properties["geoseg:halo_px"]),
        stitch=properties["geoseg:stitch"],
        weights_file=str(asset["href"]),
        weights_sha256=_checksum(asset),
        weights_bytes=_whole(asset["file:size"]),
        n_parameters=_whole(properties["mlm:total_parameters"]),
        activation_bytes_per_px=_number(properties["geoseg:activation_bytes_per_px"]),
        bf16_agreement=_float_or_none(properties.get("geoseg:bf16_agreement")),
        temperature=_number(properties.get("geoseg:temperature", 1.0)),
        activation=properties.get("geoseg:activation", "softmax"),
        license=str(properties.get("license", "other")),
        programs=tuple(
            _program(kind, item["assets"][kind])
            for kind in get_args(ProgramKind)
            if kind in item["assets"]
        ),
        facts=_facts(properties.get("geoseg:facts", {})),
    )


def _checksum(asset: dict[str, Any]) -> str:
    """Return an asset's SHA-256 as hex digits."""
    checksum = str(asset["file:checksum"])
    if not checksum.startswith(_SHA256_MULTIHASH):
        msg = f"the checksum of {asset['href']} is not a SHA-256 multihash"
        raise ModelError(msg)
    return checksum[len(_SHA256_MULTIHASH) :]


def _program(kind: ProgramKind, asset: dict[str, Any]) -> Program:
    return Program(
        kind=kind,
        file=str(asset["href"]),
        sha256=_checksum(asset),
        size_bytes=_whole(asset["file:size"]),
        crop_px=_whole(asset["geoseg:crop_px"]),
        made_for=str(asset["geoseg:made_for"]),
        is_merged=asset.get("geoseg:merged") is True,
    )


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _float_or_none(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    return None if value is None else _number(value)


def _pair(value: Any) -> tuple[float, float]:  # noqa: ANN401 - any JSON value
    low, high = value
    return _number(low), _number(high)


def _number(value: Any) -> float:  # noqa: ANN401 - any JSON value
    """Return a JSON number; text and truth values are refused, not converted."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{str(value)[:_LONGEST_TEXT]!r} stands where a number is expected"
        raise ModelError(msg)
    return float(value)


def _whole(value: Any) -> int:  # noqa: ANN401 - any JSON value
    number = _number(value)
    if not number.is_integer():
        msg = f"{value!r} stands where a whole number is expected"
        raise ModelError(msg)
    return int(value)


def _facts(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        msg = "geoseg:facts is no JSON object"
        raise ModelError(msg)
    return value


def _scaling(entry: dict[str, Any]) -> BandScaling:
    """Read one MLM value scaling; all affine kinds come down to the same form."""
    kind = entry["type"]
    if kind == "z-score":
        return BandScaling(offset=_number(entry["mean"]), divisor=_number(entry["stddev"]))
    if kind == "min-max":
        low, high = _number(entry["minimum"]), _number(entry["maximum"])
        return BandScaling(offset=low, divisor=high - low)
    if kind == "scale":
        return BandScaling(offset=0.0, divisor=_number(entry["value"]))
    if kind == "offset":
        return BandScaling(offset=_number(entry["value"]), divisor=1.0)
    msg = f"value scaling {kind!r} is unknown; known are z-score, min-max, scale, offset"
    raise ModelError(msg)


def _legend(entries: list[dict[str, Any]], nodata_id: int) -> Legend:
    return Legend(
        classes=tuple(
            LegendClass(
                class_id=_whole(e["value"]),
                name=str(e["name"]),
                colour="#" + str(e["color_hint"]).lstrip("#").lower(),
                # The extension wants one; a class without stands there with its name.
                description=""
                if e.get("description") == e["name"]
                else str(e.get("description", "")),
            )
            for e in entries
        ),
        nodata_id=nodata_id,
    )
