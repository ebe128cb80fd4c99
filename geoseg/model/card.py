"""The model card: what a model needs, gives, and is worth.

On disk it is ``card.json``, a STAC Item with the Machine Learning Model extension
(https://github.com/stac-extensions/mlm, 1.5.x) beside the weights; what the extension
has no field for is kept under ``geoseg:`` names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from geoseg.errors import ModelError
from geoseg.legend import Legend, LegendClass

__all__ = ["CARD_NAME", "BandScaling", "ModelCard", "NetworkSpec", "StitchMode", "read_card"]

CARD_NAME = "card.json"
MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.5.1/schema.json"
CLASSIFICATION_SCHEMA = "https://stac-extensions.github.io/classification/v2.0.0/schema.json"
FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_SHA256_MULTIHASH = "1220"

StitchMode = Literal["crop", "blend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandScaling:
    """What the network sees: ``(pixel - offset) / divisor``."""

    offset: float
    """Subtracted first; also the value put in place of nodata."""
    divisor: float
    """Divided by; not 0."""

    def __post_init__(self) -> None:
        if not self.divisor:
            msg = "a band's scaling divides by 0"
            raise ModelError(msg)


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
    """Logits are divided by it before the softmax."""
    license: str = "other"
    """SPDX identifier of the weights' licence."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Halo curve, accuracy, training data, limits: JSON values for people to read."""

    def __post_init__(self) -> None:
        if len(self.scaling) != len(self.bands) or not self.bands:
            msg = f"{len(self.bands)} bands need as many scalings, got {len(self.scaling)}"
            raise ModelError(msg)
        expected = 2 if self.network.n_outputs == 1 else self.network.n_outputs
        if expected != len(self.legend):
            msg = (
                f"model {self.name!r} gives {expected} classes, its legend names {len(self.legend)}"
            )
            raise ModelError(msg)
        if self.stride_px < 1 or self.halo_px < 0 or self.temperature <= 0:
            msg = f"model {self.name!r}: stride, halo or temperature out of range"
            raise ModelError(msg)
        if self.value_range[0] >= self.value_range[1]:
            msg = f"model {self.name!r}: value range {self.value_range} is empty"
            raise ModelError(msg)
        if Path(self.weights_file).name != self.weights_file:
            msg = f"model {self.name!r}: weights file {self.weights_file!r} leaves the folder"
            raise ModelError(msg)

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
            "assets": {"weights": self._asset()},
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

    def write(self, folder: Path) -> None:
        """Write ``card.json`` into a model folder."""
        text = json.dumps(self.to_item(), indent=2, ensure_ascii=False, sort_keys=False)
        (folder / CARD_NAME).write_text(text + "\n", encoding="utf-8")


def read_card(folder: Path) -> ModelCard:
    """Read and check the card of a model folder; the weights are not touched.

    Raises:
        ModelError: No folder, no card, or a card that does not hold what it must.
    """
    path = folder / CARD_NAME
    if not folder.is_dir():
        msg = f"there is no model folder {folder}"
        raise ModelError(msg, hint="List the models at hand with 'geoseg models list'.")
    try:
        item = json.loads(path.read_text(encoding="utf-8"))
        return _from_item(item)
    except FileNotFoundError as error:
        msg = f"{folder} holds no {CARD_NAME}, so it is no geoseg model"
        raise ModelError(
            msg, hint="Make one from an smp folder with 'geoseg models import'."
        ) from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise ModelError(msg) from error
    except ModelError as error:
        msg = f"{path}: {error}"
        raise ModelError(msg, hint=error.hint) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        msg = f"{path} is not a complete model card: {type(error).__name__} at {error}"
        raise ModelError(msg, hint="Make it anew with 'geoseg models import'.") from error


def _from_item(item: dict[str, Any]) -> ModelCard:
    properties = item["properties"]
    asset = item["assets"]["weights"]
    source, output = properties["mlm:input"][0], properties["mlm:output"][0]
    spec = properties["geoseg:network"]
    gsd_range = properties["geoseg:gsd_range_m"]
    checksum = str(asset["file:checksum"])
    if not checksum.startswith(_SHA256_MULTIHASH):
        msg = "the weights' checksum is not a SHA-256 multihash"
        raise ModelError(msg)
    return ModelCard(
        name=str(properties["mlm:name"]),
        title=str(properties.get("title", properties["mlm:name"])),
        description=str(properties.get("description", "")),
        network=NetworkSpec(
            architecture=str(spec["architecture"]),
            encoder=str(spec["encoder"]),
            arguments=tuple(sorted((k, _frozen(v)) for k, v in spec["arguments"].items())),
            n_outputs=int(spec["n_outputs"]),
        ),
        bands=tuple(str(b["name"] if isinstance(b, dict) else b) for b in source["bands"]),
        scaling=tuple(_scaling(s) for s in source["value_scaling"]),
        value_range=_pair(properties["geoseg:value_range"]),
        gsd_m=_float_or_none(properties["geoseg:gsd_m"]),
        gsd_range_m=_pair(gsd_range) if gsd_range else None,
        legend=_legend(output["classification:classes"], int(properties["geoseg:nodata_id"])),
        stride_px=int(properties["geoseg:stride_px"]),
        halo_px=int(properties["geoseg:halo_px"]),
        stitch="blend" if properties["geoseg:stitch"] == "blend" else "crop",
        weights_file=str(asset["href"]),
        weights_sha256=checksum[len(_SHA256_MULTIHASH) :],
        weights_bytes=int(asset["file:size"]),
        n_parameters=int(properties["mlm:total_parameters"]),
        activation_bytes_per_px=float(properties["geoseg:activation_bytes_per_px"]),
        bf16_agreement=_float_or_none(properties.get("geoseg:bf16_agreement")),
        temperature=float(properties.get("geoseg:temperature", 1.0)),
        license=str(properties.get("license", "other")),
        facts=properties.get("geoseg:facts", {}),
    )


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _float_or_none(value: Any) -> float | None:  # noqa: ANN401 - any JSON value
    return None if value is None else float(value)


def _pair(value: Any) -> tuple[float, float]:  # noqa: ANN401 - any JSON value
    low, high = value
    return float(low), float(high)


def _scaling(entry: dict[str, Any]) -> BandScaling:
    """Read one MLM value scaling; all affine kinds come down to the same form."""
    kind = entry["type"]
    if kind == "z-score":
        return BandScaling(offset=float(entry["mean"]), divisor=float(entry["stddev"]))
    if kind == "min-max":
        low, high = float(entry["minimum"]), float(entry["maximum"])
        return BandScaling(offset=low, divisor=high - low)
    if kind == "scale":
        return BandScaling(offset=0.0, divisor=float(entry["value"]))
    if kind == "offset":
        return BandScaling(offset=float(entry["value"]), divisor=1.0)
    msg = f"value scaling {kind!r} is unknown; known are z-score, min-max, scale, offset"
    raise ModelError(msg)


def _legend(entries: list[dict[str, Any]], nodata_id: int) -> Legend:
    return Legend(
        classes=tuple(
            LegendClass(
                class_id=int(e["value"]),
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
