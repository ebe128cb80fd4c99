"""Which device, precision and backend a run uses, and how much the device holds.

Nothing here imports torch where no GPU can be there: that takes longer than mapping a small
scene.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from geoseg.errors import OptionError
from geoseg.model.card import ModelCard, ProgramKind

__all__ = [
    "Backend",
    "Device",
    "Precision",
    "auto_batch_size",
    "choose_device",
    "cpu_bf16_feature",
    "is_bf16_fast",
    "missing_program",
    "resolve_device",
]

Precision = Literal["fp32", "bf16", "fp16"]
Backend = Literal["openvino", "onnxruntime", "torch"]

# bf16 may be chosen without being asked for only where it changes this little.
_BF16_AGREEMENT: Final = 0.999
_AMPERE: Final = (8, 0)  # the first CUDA generation with bf16
# In the order of speed; the first that the processor has is worth naming.
_BF16_FEATURES: Final = ("amx_bf16", "avx512_bf16", "bf16")
_CPUINFO: Final = Path("/proc/cpuinfo")
# What the drivers of NVIDIA (also under Windows' Linux) and AMD make; without any of them
# torch finds no GPU either.
_GPU_NODES: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_MEMORY_SHARE: Final = {
    ("torch", "bf16"): 0.6, ("torch", "fp16"): 0.6,
    ("openvino", "fp32"): 0.95, ("openvino", "bf16"): 0.5,
}  # fmt: skip
# Merged programs hold neither doubled nor joined features (see `focus`).
_MEMORY_SHARE_MERGED: Final = {("openvino", "fp32"): 0.72, ("openvino", "bf16"): 0.41}
_PROGRAM_BACKENDS: Final = ("openvino", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where and how the network runs."""

    name: str
    """``cpu``, ``cuda:N`` or ``mps``."""
    precision: Precision
    """Number format of the forward pass."""
    backend: Backend = "torch"
    """The library that runs it."""

    @property
    def is_cpu(self) -> bool:
        """True for the CPU, where several windows run side by side, a thread each."""
        return self.name == "cpu"

    def bytes_per_px(self, card: ModelCard) -> float:
        """Return about how many bytes a forward pass takes per window pixel.

        The card knows it for torch in fp32; the other shares were measured on U-Nets.
        """
        key = self.backend, self.precision
        share = _MEMORY_SHARE.get(key, 1.0)
        if card.programs and all(program.is_merged for program in card.programs):
            share = _MEMORY_SHARE_MERGED.get(key, share)
        return card.activation_bytes_per_px * share

    @property
    def text(self) -> str:
        """One phrase for people."""
        return f"{self.precision} on {self.name} with {self.backend}"


def choose_device(
    name: str, precision: str, card: ModelCard, folder: Path, *, backend: str = "auto"
) -> Device:
    """Resolve ``auto`` and check what was asked for.

    Args:
        name: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``auto`` or a ``Precision``.
        card: The model.
        folder: Its folder, where its programs are.
        backend: ``auto`` or a ``Backend``.

    Raises:
        OptionError: The device or backend is not there, or cannot compute in that precision.
    """
    chosen = resolve_device(name)
    chosen_backend = _backend(chosen, backend, precision, card, folder)
    return Device(
        name=chosen,
        precision=_precision(chosen, chosen_backend, precision, card),
        backend=chosen_backend,
    )


def resolve_device(name: str) -> str:
    """Return torch's name of a device: ``cpu``, ``cuda:N`` or ``mps``.

    Args:
        name: One of these, ``cuda`` for the first, or ``auto`` for the fastest.

    Raises:
        OptionError: The device is not there.
    """
    chosen = _auto_device() if name == "auto" else name
    if chosen == "cuda":
        chosen = "cuda:0"
    if chosen.startswith("cuda"):
        import torch  # noqa: PLC0415 - 1.2 s

        count = torch.cuda.device_count()
        index = chosen.removeprefix("cuda:")
        if not index.isdigit() or int(index) >= count:
            msg = f"there is no device {chosen}; this machine has {count} CUDA device(s)"
            raise OptionError(msg, hint="See 'geoseg doctor', or use --device cpu.")
    elif chosen == "mps":
        import torch  # noqa: PLC0415 - 1.2 s

        if not torch.backends.mps.is_available():
            msg = "there is no device mps on this machine"
            raise OptionError(msg, hint="See 'geoseg doctor', or use --device cpu.")
    elif chosen != "cpu":
        msg = f"device {name!r} is unknown; expected auto, cpu, cuda, cuda:N or mps"
        raise OptionError(msg)
    return chosen


def _auto_device() -> str:
    if not _may_have_gpu():
        return "cpu"
    import torch  # noqa: PLC0415 - 1.2 s

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _may_have_gpu() -> bool:
    """Tell whether it is worth asking torch; only a Linux without a driver is sure."""
    return not sys.platform.startswith("linux") or any(Path(p).exists() for p in _GPU_NODES)


def _backend(device: str, wanted: str, precision: str, card: ModelCard, folder: Path) -> Backend:
    if wanted not in {"auto", *get_args(Backend)}:
        msg = f"backend {wanted!r} is unknown; expected auto, {', '.join(get_args(Backend))}"
        raise OptionError(msg)
    if wanted == "auto":
        return _auto_backend(precision, card, folder) if device == "cpu" else "torch"
    if wanted in _PROGRAM_BACKENDS:
        if device != "cpu":
            msg = f"backend {wanted} runs on the CPU, not on {device}"
            raise OptionError(msg, hint="Use --backend torch, or --device cpu.")
        if find_spec(wanted) is None:
            msg = f"backend {wanted} is not installed"
            raise OptionError(msg, hint=f"Install it with 'pip install {wanted}'.")
        missing = missing_program(card, folder)
        if missing:
            msg = f"model {card.name!r} has no program for {wanted}: {missing}"
            raise OptionError(msg, hint="Use --backend torch, or make the folder anew.")
    return cast("Backend", wanted)


def _auto_backend(precision: str, card: ModelCard, folder: Path) -> Backend:
    """Return the fastest backend that is installed and serves the model on the CPU."""
    if missing_program(card, folder) or precision == "fp16":
        return "torch"
    if find_spec("openvino") is not None:
        return "openvino"
    # ONNX Runtime multiplies in fp32 only, which is slower than bf16 with torch.
    is_half = _precision("cpu", "torch", precision, card) == "bf16"
    return "torch" if is_half or find_spec("onnxruntime") is None else "onnxruntime"


def missing_program(card: ModelCard, folder: Path) -> str | None:
    """Return why a model cannot run without torch; None if it can. Files are only looked for."""
    for kind in get_args(ProgramKind):
        program = card.program(kind)
        if program is None:
            made = any(p.kind == kind for p in card.programs)
            return f"that for {kind} was made for another card" if made else "none was made"
        if not (folder / program.file).is_file():
            return f"there is no file {program.file}"
    return None


def _precision(device: str, backend: Backend, wanted: str, card: ModelCard) -> Precision:
    if wanted != "auto":
        if wanted == "fp16" and device == "cpu":
            msg = "fp16 on the CPU is slower than fp32 and less exact"
            raise OptionError(msg, hint="Use --precision fp32 or bf16.")
        if wanted != "fp32" and backend == "onnxruntime":
            msg = f"backend onnxruntime computes in fp32 on the CPU, not in {wanted}"
            raise OptionError(msg, hint="Use --precision fp32, or --backend openvino.")
        return cast("Precision", wanted)
    if (card.bf16_agreement or 0.0) < _BF16_AGREEMENT or backend == "onnxruntime":
        return "fp32"
    return "bf16" if is_bf16_fast(device) else "fp32"


def is_bf16_fast(device: str) -> bool:
    """Tell whether a device of torch's has bf16 in hardware."""
    if device.startswith("cuda"):
        import torch  # noqa: PLC0415 - 1.2 s

        return torch.cuda.get_device_capability(device) >= _AMPERE
    return device == "cpu" and cpu_bf16_feature() is not None


@cache
def cpu_bf16_feature() -> str | None:
    """Return the processor's feature that multiplies bf16; emulation would be slower."""
    found = _cpu_flags()
    return next((name for name in _BF16_FEATURES if name in found), None)


def _cpu_flags() -> frozenset[str]:
    """Return the processor's features; on Linux without importing torch."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        import torch  # noqa: PLC0415 - 1.2 s

        known: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return frozenset(name for name, there in known.items() if there)
    # "flags" on x86, "Features" on ARM.
    rows = [line.split(":", 1)[1] for line in lines if line.lower().startswith(("flags", "feat"))]
    return frozenset(rows[0].split()) if rows else frozenset()


def auto_batch_size(device: Device, card: ModelCard, window_px: int) -> int:
    """Return how many windows one forward pass takes.

    One on the CPU, where a batch gains nothing and costs memory; on a GPU, where two batches
    are under way at once, as many as fit four tenths of what is free now, at most 16.
    """
    if not device.name.startswith("cuda"):
        return 1
    import torch  # noqa: PLC0415 - 1.2 s

    free_bytes, _ = torch.cuda.mem_get_info(device.name)
    each = device.bytes_per_px(card) * window_px
    return int(min(max(free_bytes * 0.4 // each, 1), 16))
