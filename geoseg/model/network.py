"""Build the network that a card names and load its weights strictly."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from geoseg.errors import ModelError
from geoseg.model.card import ModelCard, NetworkSpec
from geoseg.model.device import Backend

if TYPE_CHECKING:
    import torch

__all__ = [
    "build_network",
    "file_sha256",
    "library_versions",
    "load_network",
    "network_stride_px",
    "predictor_identity",
    "require_weights",
]

# What builds the network and runs it: another release may round differently.
_LIBRARIES: Final = {
    "torch": ("torch", "segmentation-models-pytorch", "timm"),
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime",),
}
_LONGEST_TEXT: Final = 200
# What smp, timm and torch raise for arguments that make no network, or one too large.
_BUILD_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip

# What a card may say to smp's constructors. Everything else is refused: a card is data
# from anywhere, and arguments such as encoder_weights would reach for the network.
_ALLOWED_ARGUMENTS = frozenset(
    {
        "decoder_aspp_dropout", "decoder_aspp_separable", "decoder_atrous_rates",
        "decoder_attention_type", "decoder_channels", "decoder_dropout",
        "decoder_fusion_channels", "decoder_intermediate_channels", "decoder_interpolation",
        "decoder_merge_policy", "decoder_pab_channels", "decoder_pyramid_channels",
        "decoder_readout", "decoder_segmentation_channels", "decoder_use_norm",
        "dynamic_img_size", "encoder_depth", "encoder_output_indices", "encoder_output_stride",
        "psp_dropout", "psp_out_channels", "upsampling",
    }
)  # fmt: skip


def predictor_identity(card: ModelCard, backend: Backend) -> dict[str, Any]:
    """Return everything but the device that decides what a model gives, as JSON values.

    The card's part (``ModelCard.identity``) and the versions of the libraries that build
    and run the network. Nothing is imported or opened for it.
    """
    facts = card.identity()
    if backend != "torch":
        facts["programs"] = [[p.kind, p.sha256] for p in card.programs]
    return {**facts, "libraries": library_versions(backend)}


def library_versions(backend: Backend = "torch") -> dict[str, str | None]:
    """Return the versions of the libraries that build a network and run it."""
    return {name: _version(name) for name in _LIBRARIES[backend]}


@cache
def _version(name: str) -> str | None:
    """Return a library's version; None for one that was not installed by a package manager."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits.

    Raises:
        ModelError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(msg) from error


def network_stride_px(network: torch.nn.Module) -> int:
    """Return the total stride: window origins and sizes must be multiples of it."""
    return int(getattr(getattr(network, "encoder", None), "output_stride", None) or 32)


def build_network(spec: NetworkSpec, n_bands: int) -> torch.nn.Module:
    """Return the network with fresh weights, in evaluation mode.

    Raises:
        ModelError: Unknown architecture, encoder or argument.
    """
    import segmentation_models_pytorch as smp  # noqa: PLC0415 - 2.4 s

    refused = sorted({name for name, _ in spec.arguments} - _ALLOWED_ARGUMENTS)
    if refused:
        msg = f"the card asks for network arguments that geoseg does not pass on: {refused}"
        raise ModelError(msg)
    if ":" in spec.encoder or "/" in spec.encoder:
        msg = f"encoder {spec.encoder!r} is an address; only names of smp and timm are allowed"
        raise ModelError(msg)
    arguments = {name: _plain(value) for name, value in spec.arguments}
    try:
        network: torch.nn.Module
        if spec.architecture == "fcn":  # smp has none
            from geoseg.model.fcn import Fcn  # noqa: PLC0415 - needs torch

            network = Fcn(spec.encoder, in_channels=n_bands, classes=spec.n_outputs, **arguments)
        else:
            network = smp.create_model(
                spec.architecture,
                encoder_name=spec.encoder,
                encoder_weights=None,
                in_channels=n_bands,
                classes=spec.n_outputs,
                **arguments,
            )
    except _BUILD_ERRORS as error:
        # smp lists every encoder that it knows, a page of them.
        what = " ".join(str(error).split())[:_LONGEST_TEXT]
        msg = f"smp cannot build {spec.architecture} with encoder {spec.encoder}: {what}"
        hint = "Encoders are called as in smp, or tu- and the name in timm."
        if spec.architecture == "dpt":
            hint = "dpt takes vision transformers only, e.g. tu-vit_tiny_patch16_224."
        raise ModelError(msg, hint=hint) from error
    return network.eval()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return list(value) if isinstance(value, tuple) else value


def require_weights(card: ModelCard, folder: Path) -> Path:
    """Return the file of a card's weights.

    Raises:
        ModelError: It is missing, damaged, or not that of the card.
    """
    path = folder / card.weights_file
    try:
        is_there = path.is_file()
    except OSError as error:
        msg = f"model {card.name!r}: cannot read {path}: {error.strerror or error}"
        raise ModelError(msg) from error
    if not is_there:
        msg = f"model {card.name!r}: there is no weights file {path}"
        raise ModelError(msg, hint="Copy the whole model folder, not the card alone.")
    found = file_sha256(path)
    if found != card.weights_sha256:
        msg = (
            f"model {card.name!r}: {path} is damaged or not the card's "
            f"(SHA-256 {found[:12]}..., expected {card.weights_sha256[:12]}...)"
        )
        raise ModelError(msg, hint="Copy or download the model folder again.")
    return path


def load_network(card: ModelCard, folder: Path) -> torch.nn.Module:
    """Build the card's network and load its weights, all of them or none.

    Raises:
        ModelError: Weights missing, damaged, or not those of the card; or windows of the
            card's stride do not fit the network.
    """
    path = require_weights(card, folder)
    network = build_network(card.network, len(card.bands))
    stride_px = network_stride_px(network)
    if card.stride_px % stride_px:
        msg = (
            f"model {card.name!r}: the card's stride is {card.stride_px} px, the network's is "
            f"{stride_px} px; expected a multiple of it"
        )
        raise ModelError(msg, hint="Make the folder anew with 'geoseg models import'.")
    load_weights(network, path)
    return network


def load_weights(network: torch.nn.Module, path: Path) -> None:
    """Load a safetensors file strictly: no missing, no spare, no misshapen tensor.

    Raises:
        ModelError: The file is not safetensors or does not fit the network.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - with torch only
    from safetensors.torch import load_file  # noqa: PLC0415 - with torch only

    try:
        state = {name: tensor.float() if tensor.is_floating_point() else tensor
                 for name, tensor in load_file(path).items()}  # fmt: skip
        network.load_state_dict(state, strict=True)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}"
        raise ModelError(msg) from error
    except (SafetensorError, ValueError, MemoryError) as error:
        msg = f"{path} is not a readable safetensors file: {error}"
        raise ModelError(msg, hint="Pickled checkpoints are refused on purpose.") from error
    except RuntimeError as error:
        msg = f"{path} does not fit the network of its card: {str(error).splitlines()[-1]}"
        raise ModelError(msg) from error
