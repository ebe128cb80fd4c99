"""The fastest setting of a model on this machine: measured once, kept in the user's cache.

A setting is a backend with its precision, how many windows go at a time, and how large they
are. It is measured on request alone: what a map looks like shall not hang on how busy the
machine was when the first one was made. Precisions that the model's card does not allow are
not tried, and the automatic choice stays unless another one is clearly faster: maps of two
machines shall differ only where it pays.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final, get_args

import numpy as np

from geoseg.cores import usable_cores
from geoseg.errors import ModelError, OptionError, OutOfDeviceMemoryError, OutputError
from geoseg.grid.window import round_up
from geoseg.model.card import ModelCard
from geoseg.model.device import Backend, Device, Precision, auto_batch_size, choose_device
from geoseg.model.loading import load_predictor
from geoseg.model.network import predictor_identity
from geoseg.user_cache import user_cache_dir

__all__ = [
    "Setting",
    "automatic_setting",
    "calls_per_second",
    "forget_setting",
    "setting_place",
    "stored_setting",
    "tune",
]

logger = logging.getLogger(__name__)

_CORE_PX: Final = {"cpu": 1792, "gpu": 2048}
_SMALLEST_CORE_PX: Final = 256
# What one forward pass may take of the memory. It sets the window, and the window must
# not depend on the machine, or two machines would give different maps. OpenVINO comes
# without torch, which holds as much before the first window.
_WINDOW_BYTES: Final = {"cpu": 300e6, "gpu": 4e9, "openvino": 520e6}
_GPU_WORKERS: Final = 3
_LARGEST: Final = 65_536
# Another setting than the automatic one must be faster by this factor.
_CLEARLY: Final = 1.1
_MEASURE_S: Final = 0.8
_GPU_BATCHES: Final = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a model runs fastest on a device."""

    backend: Backend
    """What runs the network."""
    precision: Precision
    """Number format."""
    core_px: int
    """Largest side of a core."""
    workers: int
    """Blocks in the network at a time."""
    batch_size: int
    """Windows per forward pass."""
    mpx_per_s: float
    """Kept pixels per second, measured."""
    measured: str
    """Day of the measurement, ISO 8601."""

    def device(self, name: str) -> Device:
        """Return the device of that name with this backend and precision."""
        return Device(name=name, precision=self.precision, backend=self.backend)

    @property
    def text(self) -> str:
        """One line for people."""
        told = f": {self.mpx_per_s:.2f} Mpx/s, measured {self.measured}" if self.mpx_per_s else ""
        return (
            f"{self.precision} with {self.backend}, {self.workers} worker(s), batches of "
            f"{self.batch_size}, cores of {self.core_px} px{told}"
        )


def automatic_setting(card: ModelCard, device: Device) -> Setting:
    """Return the setting for a device of which nothing has been measured.

    One worker per core on a CPU, three to feed a GPU; windows as large as memory allows, on
    every machine the same.
    """
    halo_px = round_up(card.halo_px, card.stride_px)
    kind = "cpu" if device.is_cpu else "gpu"
    budget = _WINDOW_BYTES["openvino" if device.backend == "openvino" else kind]
    affordable = math.isqrt(int(budget / device.bytes_per_px(card))) - 2 * halo_px
    core_px = max(min(affordable, _CORE_PX[kind]), _SMALLEST_CORE_PX, card.stride_px)
    core_px = core_px // card.stride_px * card.stride_px
    return Setting(
        backend=device.backend,
        precision=device.precision,
        core_px=core_px,
        workers=usable_cores() if device.is_cpu else _GPU_WORKERS,
        batch_size=auto_batch_size(device, card, (core_px + 2 * halo_px) ** 2),
        mpx_per_s=0.0,
        measured="never",
    )


def stored_setting(card: ModelCard, folder: Path, device_name: str) -> Setting | None:
    """Return the setting that was measured for a model and device, if it still runs here."""
    try:
        found = json.loads(setting_place(card, device_name).read_text(encoding="utf-8"))
        setting = Setting(**found)
        _require_sound(setting, card)
        device = choose_device(
            device_name, setting.precision, card, folder, backend=setting.backend
        )
        allowed = choose_device(device_name, "auto", card, folder, backend=setting.backend)
    except (OSError, ValueError, TypeError, RecursionError, OptionError):
        return None
    return setting if device == setting.device(device_name) == allowed else None


def _require_sound(setting: Setting, card: ModelCard) -> None:
    """Raise ValueError for a note that no measurement has written."""
    sizes = (setting.core_px, setting.workers, setting.batch_size)
    is_sound = (
        all(type(n) is int and 0 < n <= _LARGEST for n in sizes)
        and setting.core_px % card.stride_px == 0
        and type(setting.mpx_per_s) is float
        and 0 < setting.mpx_per_s < float("inf")
        and isinstance(setting.measured, str)
    )
    if not is_sound:
        msg = "not a setting"
        raise ValueError(msg)


def forget_setting(card: ModelCard, device_name: str) -> bool:
    """Remove what was measured; tell whether there was anything.

    Raises:
        OutputError: It cannot be removed.
    """
    path = setting_place(card, device_name)
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        msg = f"cannot remove {path}: {error.strerror or error}"
        raise OutputError(msg) from error
    return True


def tune(card: ModelCard, folder: Path, first: Setting, device_name: str) -> Setting:
    """Measure, keep and return the fastest setting.

    Args:
        card: The model.
        folder: Its folder.
        first: The automatic choice, which wins unless another one is clearly faster.
        device_name: ``cpu``, ``cuda:N`` or ``mps``.

    Raises:
        ModelError: The model cannot be loaded or run.
        OutOfDeviceMemoryError: The automatic choice does not fit the device.
        OutputError: The cache cannot be written.
    """
    best = _measured(card, folder, first, device_name)
    others = []
    for candidate in _candidates(card, folder, best, device_name):
        try:
            others.append(_measured(card, folder, candidate, device_name))
        except (OutOfDeviceMemoryError, ModelError) as error:
            logger.info("%s: %s", candidate.text, error)
    # Again: a machine that was busy at the start would make all others look fast.
    again = _measured(card, folder, first, device_name)
    best = max(best, again, key=lambda setting: setting.mpx_per_s)
    fastest = max(others, key=lambda setting: setting.mpx_per_s, default=best)
    if fastest.mpx_per_s > best.mpx_per_s * _CLEARLY:
        best = _measured(card, folder, fastest, device_name)
    _store(card, device_name, best)
    return best


def _candidates(
    card: ModelCard, folder: Path, first: Setting, device_name: str
) -> Iterator[Setting]:
    """Yield what else is worth a try; each differs from the automatic choice in one thing."""
    for backend in get_args(Backend):
        if backend == first.backend:
            continue
        try:
            device = choose_device(device_name, "auto", card, folder, backend=backend)
        except OptionError:
            continue
        yield replace(first, backend=backend, precision=device.precision)
    half = round_up(first.core_px // 2, card.stride_px)
    if half < first.core_px:
        yield replace(first, core_px=half)
    if device_name == "cpu":
        # Two threads on one core share what multiplies.
        if first.workers > 1:
            yield replace(first, workers=math.ceil(first.workers / 2))
        return
    yield from (replace(first, batch_size=n) for n in _GPU_BATCHES if n != first.batch_size)


def _measured(card: ModelCard, folder: Path, setting: Setting, device_name: str) -> Setting:
    """Return the setting with its speed."""
    halo_px = round_up(card.halo_px, card.stride_px) if card.stitch == "crop" else 0
    side_px = setting.core_px + 2 * halo_px
    shape = (setting.batch_size, len(card.bands), side_px, side_px)
    low, high = card.value_range
    pixels = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    device = setting.device(device_name)
    predictor = load_predictor(folder, card, device, threads=setting.workers)
    calls = calls_per_second(
        partial(predictor.labels, pixels, halo_px), setting.workers, _MEASURE_S
    )
    speed = calls * setting.batch_size * setting.core_px**2 / 1e6
    done = replace(
        setting, mpx_per_s=round(speed, 3), measured=datetime.now(UTC).date().isoformat()
    )
    logger.info("%s", done.text)
    return done


def calls_per_second(call: Callable[[], object], threads: int, seconds: float) -> float:
    """Return how often a call ends per second, made by several threads at a time.

    Args:
        call: What is measured; each thread makes it once before.
        threads: How many make it side by side.
        seconds: How long.
    """
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: call(), range(threads)))  # compiles, and takes the memory
        start = time.perf_counter()
        end = start + seconds

        def work(_: int) -> int:
            count = 0
            while time.perf_counter() < end:
                call()
                count += 1
            return count

        done = sum(pool.map(work, range(threads)))
        return done / (time.perf_counter() - start)


def setting_place(card: ModelCard, device_name: str) -> Path:
    """Return the file of a model's setting on this machine, device and libraries."""
    facts = {
        "models": [predictor_identity(card, backend) for backend in get_args(Backend)],
        "halo_px": card.halo_px,
        "stitch": card.stitch,
        "device": device_name,
        "machine": [platform.node(), platform.machine(), usable_cores()],
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return user_cache_dir() / "settings" / f"{key[:32]}.json"


def _store(card: ModelCard, device_name: str, setting: Setting) -> None:
    """Keep a setting; raise OutputError where the cache cannot be written."""
    path = setting_place(card, device_name)
    part = path.with_name(f"{path.name}.{time.time_ns()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(asdict(setting), indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        msg = f"cannot keep the setting in {path}: {error.strerror or error}"
        raise OutputError(msg, hint="Name another folder with GEOSEG_CACHE_DIR.") from error
