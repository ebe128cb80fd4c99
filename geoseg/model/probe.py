"""What torch finds on this machine, and whether the bundled models are whole."""

from __future__ import annotations

import os
import platform
import warnings
from dataclasses import dataclass
from pathlib import Path

from geoseg.cores import usable_cores
from geoseg.errors import ModelError
from geoseg.model.card import Program, read_card
from geoseg.model.device import cpu_bf16_feature, is_bf16_fast
from geoseg.model.network import file_sha256
from geoseg.model.registry import bundled_models

__all__ = ["DeviceFacts", "ModelState", "check_bundled_models", "check_model", "probe_devices"]

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """One place where a network could run."""

    name: str
    """``cpu``, ``cuda:N``, ``cuda`` (none found) or ``mps``."""
    available: bool
    """True where ``--device NAME`` would work."""
    description: str
    """Model of the processor or GPU, or why it cannot be used."""
    cores: int | None = None
    """CPU cores that this process may use."""
    memory_bytes: int | None = None
    """Memory of the device itself."""
    free_bytes: int | None = None
    """Part of it that is free now."""
    bf16: bool | None = None
    """True where the device multiplies bf16 in hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """Whether a model folder can be trusted."""

    name: str
    """Name of the model."""
    folder: Path
    """Where it is."""
    problem: str | None
    """One line, or None where card and weights belong together."""


def probe_devices() -> tuple[DeviceFacts, ...]:
    """Return every kind of device, also those that are missing, with the reason."""
    return (_cpu(), *_cuda(), _mps())


def _cpu() -> DeviceFacts:
    import torch  # noqa: PLC0415 - 1.2 s

    feature = cpu_bf16_feature()
    instructions = torch.backends.cpu.get_cpu_capability()
    return DeviceFacts(
        name="cpu",
        available=True,
        description=f"{_processor()}, {instructions}" + (f", {feature}" if feature else ""),
        cores=usable_cores(),
        bf16=feature is not None,
    )


def _processor() -> str:
    """Return the processor's model name; Linux hides it in a file."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cuda() -> tuple[DeviceFacts, ...]:
    import torch  # noqa: PLC0415 - 1.2 s

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    if not available:
        complaint = " ".join(str(caught[0].message).split()) if caught else None
        return (DeviceFacts(name="cuda", available=False, description=_why_no_cuda(complaint)),)
    return tuple(_cuda_device(index) for index in range(torch.cuda.device_count()))


def _cuda_device(index: int) -> DeviceFacts:
    import torch  # noqa: PLC0415 - 1.2 s

    free, total = torch.cuda.mem_get_info(index)
    major, minor = torch.cuda.get_device_capability(index)
    return DeviceFacts(
        name=f"cuda:{index}",
        available=True,
        description=f"{torch.cuda.get_device_name(index)}, compute capability {major}.{minor}, "
        f"CUDA {torch.version.cuda}",
        memory_bytes=total,
        free_bytes=free,
        bf16=is_bf16_fast(f"cuda:{index}"),
    )


def _why_no_cuda(complaint: str | None) -> str:
    """Return the reason in the order in which a person would mend it."""
    import torch  # noqa: PLC0415 - 1.2 s

    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    if complaint:
        return complaint
    if os.name == "posix" and not Path("/dev/nvidiactl").exists():
        return f"torch is built for CUDA {torch.version.cuda}, but there is no NVIDIA driver here"
    return f"torch is built for CUDA {torch.version.cuda}, but the driver shows no GPU"


def _mps() -> DeviceFacts:
    import torch  # noqa: PLC0415 - 1.2 s

    available = torch.backends.mps.is_available()
    if available:
        text = f"Apple GPU, macOS {platform.mac_ver()[0]}"
    elif torch.backends.mps.is_built():
        text = "torch is built for it, but this Mac or macOS has none"
    else:
        text = "this build of torch has no MPS (Apple GPUs only)"
    return DeviceFacts(name="mps", available=available, description=text)


def check_bundled_models() -> tuple[ModelState, ...]:
    """Read every bundled card and compare the weights with its digest."""
    return tuple(check_model(name, folder) for name, folder in bundled_models().items())


def check_model(name: str, folder: Path) -> ModelState:
    """Read a model's card and compare its weights with the digest; nothing is loaded."""
    return ModelState(name=name, folder=folder, problem=_problem(folder))


def _problem(folder: Path) -> str | None:
    try:
        card = read_card(folder)
    except ModelError as error:
        return str(error)
    weights = folder / card.weights_file
    try:
        if not weights.is_file():
            return f"there is no weights file {weights.name}"
        found = file_sha256(weights)
    except (ModelError, OSError) as error:
        return str(error)
    if found != card.weights_sha256:
        return (
            f"{weights.name} is damaged or not the card's (SHA-256 {found[:12]}..., "
            f"expected {card.weights_sha256[:12]}...)"
        )
    return next(filter(None, (_program_problem(folder, p) for p in card.programs)), None)


def _program_problem(folder: Path, program: Program) -> str | None:
    """Return what is wrong with a program's file; one that is not there is not needed."""
    path = folder / program.file
    try:
        if path.is_file() and file_sha256(path) != program.sha256:
            return f"{program.file} is damaged or not the card's"
    except (ModelError, OSError) as error:
        return str(error)
    return None
