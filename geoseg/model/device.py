"""Which device and precision a run uses, and how much the device holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from geoseg.errors import OptionError
from geoseg.model.card import ModelCard

__all__ = [
    "Device",
    "Precision",
    "auto_batch_size",
    "choose_device",
    "cpu_bf16_feature",
    "is_bf16_fast",
    "resolve_device",
]

Precision = Literal["fp32", "bf16", "fp16"]

# bf16 may be chosen without being asked for only where it changes this little.
_BF16_AGREEMENT = 0.999
_AMPERE = (8, 0)  # the first CUDA generation with bf16
# In the order of speed; the first that the processor has is worth naming.
_BF16_FEATURES = ("amx_bf16", "avx512_bf16", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Where and how the network runs."""

    name: str
    """``cpu``, ``cuda:N`` or ``mps``."""
    precision: Precision
    """Number format of the forward pass."""

    @property
    def is_cpu(self) -> bool:
        """True for the CPU, where several windows run side by side, a thread each."""
        return self.name == "cpu"


def choose_device(name: str, precision: str, card: ModelCard) -> Device:
    """Resolve ``auto`` and check what was asked for.

    Raises:
        OptionError: The device is not there, or cannot compute in that precision.
    """
    chosen = resolve_device(name)
    return Device(name=chosen, precision=_precision(chosen, precision, card))


def resolve_device(name: str) -> str:
    """Return torch's name of a device: ``cpu``, ``cuda:N`` or ``mps``.

    Args:
        name: One of these, ``cuda`` for the first, or ``auto`` for the fastest.

    Raises:
        OptionError: The device is not there.
    """
    import torch  # noqa: PLC0415 - 1.2 s

    chosen = _auto_device() if name == "auto" else name
    if chosen == "cuda":
        chosen = "cuda:0"
    if chosen.startswith("cuda"):
        count = torch.cuda.device_count()
        index = chosen.removeprefix("cuda:")
        if not index.isdigit() or int(index) >= count:
            msg = f"there is no device {chosen}; this machine has {count} CUDA device(s)"
            raise OptionError(msg, hint="See 'geoseg doctor', or use --device cpu.")
    elif chosen == "mps":
        if not torch.backends.mps.is_available():
            msg = "there is no device mps on this machine"
            raise OptionError(msg, hint="See 'geoseg doctor', or use --device cpu.")
    elif chosen != "cpu":
        msg = f"device {name!r} is unknown; expected auto, cpu, cuda, cuda:N or mps"
        raise OptionError(msg)
    return chosen


def _auto_device() -> str:
    import torch  # noqa: PLC0415 - 1.2 s

    if torch.cuda.is_available():
        return "cuda:0"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _precision(device: str, wanted: str, card: ModelCard) -> Precision:
    if wanted != "auto":
        if wanted == "fp16" and device == "cpu":
            msg = "fp16 on the CPU is slower than fp32 and less exact"
            raise OptionError(msg, hint="Use --precision fp32 or bf16.")
        return cast("Precision", wanted)
    if (card.bf16_agreement or 0.0) < _BF16_AGREEMENT:
        return "fp32"
    return "bf16" if is_bf16_fast(device) else "fp32"


def is_bf16_fast(device: str) -> bool:
    """Tell whether a device of torch's has bf16 in hardware."""
    import torch  # noqa: PLC0415 - 1.2 s

    if device.startswith("cuda"):
        return torch.cuda.get_device_capability(device) >= _AMPERE
    return device == "cpu" and cpu_bf16_feature() is not None


def cpu_bf16_feature() -> str | None:
    """Return the processor's feature that multiplies bf16; emulation would be slower."""
    import torch  # noqa: PLC0415 - 1.2 s

    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return next((name for name in _BF16_FEATURES if capabilities.get(name)), None)


def auto_batch_size(device: Device, card: ModelCard, window_px: int) -> int:
    """Return how many windows one forward pass takes.

    One on the CPU, where a batch gains nothing and costs memory; on a GPU as many as
    fit half of what is free now, at most 16.
    """
    import torch  # noqa: PLC0415 - 1.2 s

    if not device.name.startswith("cuda"):
        return 1
    free_bytes, _ = torch.cuda.mem_get_info(device.name)
    each = card.activation_bytes_per_px * window_px
    return int(min(max(free_bytes * 0.5 // each, 1), 16))
