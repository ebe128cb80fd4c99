"""Make a geoseg model folder from what smp's ``save_pretrained`` writes."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoseg.errors import GeosegError, ModelError, OutputError
from geoseg.grid.window import round_up
from geoseg.legend import Legend
from geoseg.model.card import (
    CARD_NAME,
    PROGRAM_FILES,
    Activation,
    BandScaling,
    ModelCard,
    NetworkSpec,
    read_card,
)
from geoseg.model.device import Device
from geoseg.model.footprint import activation_bytes_per_px
from geoseg.model.halo import agreement, image_side_px, measure_halo, patchwork_image
from geoseg.model.network import build_network, file_sha256, load_weights, network_stride_px
from geoseg.model.predictor import Pixels
from geoseg.partial_files import sync_file, sync_folder

__all__ = [
    "REPORT_NAMES",
    "ImportRequest",
    "import_smp_folder",
    "make_model_folder",
    "require_free",
]

_WEIGHTS = "model.safetensors"
REPORT_NAMES = ("report.html", "training.json")
"""What a training leaves in a model folder beside card and weights."""
# Handled here or fixed by geoseg; the rest of the config goes to smp's constructor.
_NOT_ARGUMENTS = frozenset(
    {"_model_class", "encoder_name", "encoder_weights", "in_channels", "classes", "activation",
     "aux_params", "dataset", "metrics"}
)  # fmt: skip
_CONFIG_ERRORS = (
    OSError, KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
_FALLBACK_HALO_PX = 128
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What an smp folder does not tell."""

    name: str
    """Name of the new model."""
    title: str
    """One line for people."""
    description: str
    """What it maps and where it fails."""
    bands: tuple[str, ...]
    """Input bands in order."""
    scaling: tuple[BandScaling, ...]
    """One per band."""
    value_range: tuple[float, float]
    """Pixel values the model was made for."""
    gsd_m: float | None
    """Pixel size it was trained at."""
    gsd_range_m: tuple[float, float] | None
    """Pixel sizes it may be used at."""
    legend: Legend
    """Classes in channel order."""
    license: str = "other"
    """SPDX identifier."""
    temperature: float = 1.0
    """What logits are divided by."""
    activation: Activation = "softmax"
    """How logits become scores."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Accuracy, training data, limits."""


def import_smp_folder(
    source: Path,
    out: Path,
    request: ImportRequest,
    *,
    images: Sequence[Pixels] = (),
    overwrite: bool = False,
) -> ModelCard:
    """Write a model folder with weights, card and measured halo.

    Args:
        source: Folder with ``config.json`` and ``model.safetensors``.
        out: Folder to make; it appears complete or not at all.
        request: Bands, classes and the rest.
        images: (band, row, col) raw pixels to measure the halo on, at least
            ``image_side_px`` on a side; synthetic ones where none are given.
        overwrite: Replace an existing model folder; a folder that holds anything else stays.

    Raises:
        ModelError: The folder is not smp's, or its parts do not fit each other.
        OutputError: ``out`` exists, is no model folder, or cannot be written.
    """
    require_free(out, overwrite=overwrite)
    spec = _read_spec(source)
    with _placed(out, overwrite=overwrite) as staging:
        _copy_weights(source, staging)
        card = _measured(_draft(spec, staging / _WEIGHTS, request), staging, images)
        card = _with_programs(card, staging)
        card.write(staging)
    return card


def make_model_folder(
    network: tuple[NetworkSpec, Mapping[str, Any]],
    out: Path,
    request: ImportRequest,
    *,
    images: Sequence[Pixels] = (),
    texts: Mapping[str, str],
    overwrite: bool = False,
) -> ModelCard:
    """Write a model folder from weights at hand, with its halo measured.

    Args:
        network: How it is built, and its tensors by name.
        out: Folder to make; it appears complete or not at all.
        request: Bands, classes and the rest.
        images: As for ``import_smp_folder``.
        texts: Further files by name, of ``REPORT_NAMES``.
        overwrite: Replace an existing model folder.

    Raises:
        ModelError: The parts do not fit each other.
        OutputError: ``out`` exists, is no model folder, or cannot be written.
    """
    from safetensors.torch import save_file  # noqa: PLC0415 - with torch

    require_free(out, overwrite=overwrite)
    spec, tensors = network
    with _placed(out, overwrite=overwrite) as staging:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(plain, staging / _WEIGHTS)
        draft = _draft((spec, len(request.bands)), staging / _WEIGHTS, request)
        card = _with_programs(_measured(draft, staging, images), staging)
        card.write(staging)
        for name, text in texts.items():
            (staging / name).write_text(text, encoding="utf-8")
    return card


def require_free(out: Path, *, overwrite: bool) -> None:
    """Raise OutputError unless ``out`` is not there, or is a model folder that may go away."""
    try:
        if not os.path.lexists(out):
            return
        if not overwrite:
            msg = f"{out} exists already"
            raise OutputError(msg, hint="Choose another --out, or add --overwrite.")
        foreign = _what_is_no_model(out)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        msg = f"cannot look into {out}: {error.strerror or error}"
        raise OutputError(msg) from error
    if foreign:
        msg = f"--overwrite replaces model folders only, and {out} {foreign}"
        raise OutputError(msg, hint="Choose another --out, or remove it yourself.")


def _what_is_no_model(folder: Path) -> str | None:
    """Return what tells that a folder is more, less or other than a model; None if nothing."""
    if folder.is_symlink() or not folder.is_dir():
        return "is no folder"
    names = {path.name for path in folder.iterdir()}
    if CARD_NAME not in names:
        return f"holds no {CARD_NAME}"
    try:
        weights = read_card(folder).weights_file
    except ModelError:
        weights = _WEIGHTS  # a damaged card may be replaced too
    own = {CARD_NAME, _WEIGHTS, weights, *PROGRAM_FILES.values(), *REPORT_NAMES}
    foreign = sorted(names - own)
    return f"also holds {foreign[0]!r}" if foreign else None


@contextmanager
def _placed(out: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder beside ``out`` that takes its place when the block ends well."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        msg = f"cannot write {out}: {error.strerror or error}"
        raise OutputError(msg) from error
    try:
        yield staging
        for path in staging.iterdir():
            os.chmod(path, 0o644)
            sync_file(path)
        os.chmod(staging, 0o755)  # noqa: S103 - mkdtemp makes it private
        # Measuring took minutes: something else may be there by now.
        require_free(out, overwrite=overwrite)
        _swap(staging, out)
        sync_folder(out.parent)
    except OSError as error:
        if isinstance(error, GeosegError):
            raise
        msg = f"cannot write {out}: {error.strerror or error}"
        raise OutputError(msg, hint="Nothing has changed there.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(staging: Path, out: Path) -> None:
    """Put one folder in the place of another, which stays whole until the new one is there."""
    if not out.exists():
        os.replace(staging, out)
        return
    old = staging.with_name(f"{staging.name}.old")
    os.replace(out, old)
    try:
        os.replace(staging, out)
    except BaseException:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _copy_weights(source: Path, folder: Path) -> None:
    try:
        weights = (source / _WEIGHTS).open("rb")
    except FileNotFoundError as error:
        msg = f"{source} holds no {_WEIGHTS}"
        raise ModelError(
            msg, hint="Save it with model.save_pretrained(FOLDER) of smp >= 0.4."
        ) from error
    except OSError as error:
        msg = f"cannot read {source / _WEIGHTS}: {error.strerror or error}"
        raise ModelError(msg) from error
    with weights, (folder / _WEIGHTS).open("wb") as copy:
        shutil.copyfileobj(weights, copy)


def _read_spec(source: Path) -> tuple[NetworkSpec, int]:
    """Return the network and its number of bands from smp's ``config.json``."""
    try:
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        arguments = _arguments(config)
        spec = NetworkSpec(
            architecture=str(config["_model_class"]).lower(),
            encoder=str(config["encoder_name"]),
            arguments=tuple(sorted((k, _frozen(v)) for k, v in arguments.items())),
            n_outputs=int(config["classes"]),
        )
        return spec, int(config["in_channels"])
    except _CONFIG_ERRORS as error:
        what = getattr(error, "strerror", None) or str(error)[:_LONGEST_TEXT]
        msg = f"{source} is not a folder that smp's save_pretrained wrote: {what}"
        raise ModelError(msg, hint="It must hold config.json and model.safetensors.") from error


def _arguments(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the config says to smp's constructor, in the words of smp 0.5 and later."""
    arguments = {k: v for k, v in config.items() if k not in _NOT_ARGUMENTS}
    for old in ("decoder_use_batchnorm", "psp_use_batchnorm"):
        if old in arguments:
            arguments.setdefault("decoder_use_norm", arguments.pop(old))
    if str(config["_model_class"]).lower() == "dpt":
        # Else it takes windows of one size only; the weights are the same.
        arguments["dynamic_img_size"] = True
    return arguments


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _draft(
    spec_and_bands: tuple[NetworkSpec, int], weights: Path, request: ImportRequest
) -> ModelCard:
    """Return the card with everything that need not be measured; weights are tried."""
    spec, n_bands = spec_and_bands
    if n_bands != len(request.bands):
        msg = f"the network takes {n_bands} bands, --bands names {len(request.bands)}"
        raise ModelError(msg, hint="Name every input band in order, e.g. --bands red,green,blue.")
    network = build_network(spec, n_bands)
    load_weights(network, weights)
    return ModelCard(
        name=request.name,
        title=request.title,
        description=request.description,
        network=spec,
        bands=request.bands,
        scaling=request.scaling,
        value_range=request.value_range,
        gsd_m=request.gsd_m,
        gsd_range_m=request.gsd_range_m,
        legend=request.legend,
        stride_px=network_stride_px(network),
        halo_px=0,
        stitch="crop",
        weights_file=weights.name,
        weights_sha256=file_sha256(weights),
        weights_bytes=weights.stat().st_size,
        n_parameters=sum(p.numel() for p in network.parameters()),
        temperature=request.temperature,
        activation=request.activation,
        license=request.license,
        facts=request.facts,
    )


def _measured(draft: ModelCard, folder: Path, images: Sequence[Pixels]) -> ModelCard:
    """Return the card with memory, halo and bf16 agreement measured on the CPU."""
    from geoseg.model.torch_predictor import load_predictor  # noqa: PLC0415 - needs torch

    side = image_side_px(draft.stride_px)
    n_bands = len(draft.bands)
    given = [i[:, :side, :side] for i in images if min(i.shape[1:]) >= side]
    chosen = given or [patchwork_image(seed, n_bands, side, draft.value_range) for seed in (1, 2)]
    exact = load_predictor(folder, draft, Device(name="cpu", precision="fp32"))
    halo = measure_halo(exact, draft.stride_px, chosen)
    half = load_predictor(folder, draft, Device(name="cpu", precision="bf16"))
    facts = {
        **draft.facts,
        "halo_curve": [{"halo_px": h, "differing_share": round(d, 7)} for h, d in halo.curve],
        "halo_measured_on": "given images" if given else "synthetic patchwork",
        "halo_second_class_share": round(halo.second_class_share, 6),
    }
    fallback = round_up(_FALLBACK_HALO_PX, draft.stride_px)
    same = agreement(exact, half, chosen) if halo.tells else None
    return replace(
        draft,
        halo_px=fallback if halo.halo_px is None else halo.halo_px,
        stitch="blend" if halo.halo_px is None else "crop",
        activation_bytes_per_px=round(activation_bytes_per_px(folder, draft), 1),
        bf16_agreement=None if same is None else round(same, 6),
        facts=facts,
    )


def _with_programs(card: ModelCard, folder: Path) -> ModelCard:
    """Return the card with programs beside its weights, where the network has any."""
    from geoseg.model.exporting import with_programs  # noqa: PLC0415 - needs torch

    return with_programs(card, folder)


def tiles_of(pixels: Pixels, side_px: int, count: int) -> list[Pixels]:
    """Cut up to ``count`` squares of ``side_px`` out of (band, row, col) pixels."""
    _, height, width = pixels.shape
    places = [
        (row, col)
        for row in range(0, height - side_px + 1, side_px)
        for col in range(0, width - side_px + 1, side_px)
    ]
    return [pixels[:, r : r + side_px, c : c + side_px].copy() for r, c in places[:count]]
