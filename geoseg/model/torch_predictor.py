"""The predictor that runs a torch network."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.confidence import CONFIDENCE_STEPS
from geoseg.errors import GeosegError, ModelError, OutOfDeviceMemoryError
from geoseg.memory import keep_freed_pages
from geoseg.model.card import ModelCard
from geoseg.model.device import Device
from geoseg.model.focus import FocusedUnet, focused
from geoseg.model.fold import folded
from geoseg.model.lanes import Lanes, lanes_of
from geoseg.model.network import load_network
from geoseg.model.predictor import LabelBatch, Pixels, no_memory_error, not_finite_error

__all__ = ["TorchPredictor", "load_predictor"]

_Result = TypeVar("_Result")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# What networks raise for windows that they do not take.
_NETWORK_ERRORS = (RuntimeError, MemoryError, AssertionError, ValueError, IndexError, TypeError)
_LONGEST_TEXT = 200
# How backends that raise a plain RuntimeError say that memory ran out. cuDNN finds no engine
# where none of them has room for its workspace.
_NO_MEMORY = (
    "out of memory",  # CUDA, HIP, XPU and MPS
    "invalid buffer size",  # MPS, beyond its largest buffer
    "status_alloc_failed",  # cuBLAS, cuDNN
    "unable to find an engine to execute",  # cuDNN
    "unable to find a valid cudnn algorithm",
    "can't allocate memory",  # the CPU allocator on Linux
    "not enough memory",  # and on Windows
)


def load_predictor(folder: Path, card: ModelCard, device: Device) -> TorchPredictor:
    """Load a model folder onto a device.

    Raises:
        ModelError: The weights are damaged or do not fit the card.
    """
    if device.is_cpu:
        keep_freed_pages()
    elif device.name.startswith("cuda") and device.precision == "fp32":
        _forbid_tf32()
    network = load_network(card, folder)
    # PAN halves its features three times more.
    side_px = 8 * card.stride_px
    random = torch.Generator().manual_seed(0)
    example = torch.randn(1, len(card.bands), side_px, side_px, generator=random)
    try:
        lighter = folded(network, example)
        decoder = focused(lighter, example, 3 * card.stride_px)
    except _NETWORK_ERRORS as error:
        raise _failure(error, example) from error
    return TorchPredictor(lighter, card, device, decoder)


class TorchPredictor:
    """Runs a torch network; see ``Predictor`` for the contract.

    On the CPU every calling thread computes with one thread of its own: two windows side
    by side are faster than two threads that wait for each other after every layer. On
    CUDA one batch is copied while another is computed, see ``Lanes``.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        card: ModelCard,
        device: Device,
        focus: FocusedUnet | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        """Move the network to the device and prepare the normalisation.

        Args:
            network: In evaluation mode.
            card: Its card.
            device: Where it runs.
            focus: The same network, for windows whose rim is not kept.
            lanes: How many batches are under way at once; default what suits the device.
        """
        self._focus = focus
        self._precision = device.precision
        self._device = torch.device(device.name)
        self._dtype = _DTYPES[device.precision]
        frozen = network.eval().requires_grad_(requires_grad=False)
        self._network = frozen.to(self._device).to(memory_format=torch.channels_last)
        self._n_classes = len(card.legend)
        self._inverse_temperature = 1.0 / card.temperature
        self._is_sigmoid = card.activation == "sigmoid"
        offset = torch.tensor([s.offset for s in card.scaling], dtype=torch.float32)
        divisor = torch.tensor([s.divisor for s in card.scaling], dtype=torch.float32)
        self._offset = offset.view(1, -1, 1, 1).to(self._device)
        self._divisor = divisor.view(1, -1, 1, 1).to(self._device)
        self._lanes = lanes if lanes is not None else lanes_of(self._device)

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return (n, class, row, col) scores: softmax, or one sigmoid per class."""
        return self._with_room(partial(self._scores, pixels), pixels)

    def _scores(self, pixels: Pixels) -> NDArray[np.float32]:
        logits = self._logits(pixels)
        scores = logits.sigmoid_() if self._is_sigmoid else torch.softmax(logits, dim=1)
        # One class of softmax tells: a logit that is no number spoils the scores of all.
        suspect = scores if self._is_sigmoid else scores[:, 0]
        # Not through pinned memory, of which torch would keep hundreds of megabytes for good.
        (result,) = self._fetched(pixels, torch.isfinite(suspect).all(), scores.cpu())
        return result

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        """Return the best class and its score, reduced on the device."""
        return self._with_room(partial(self._labels, pixels, crop_px), pixels)

    def _labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        logits = self._logits(pixels, crop_px)
        best, channel = _best(logits)
        if self._is_sigmoid:
            finite = torch.isfinite(logits).all()
            confidence = best.sigmoid_() * CONFIDENCE_STEPS
        else:
            # The best softmax score without the others: 1 / sum(exp(l - l_best)).
            total = torch.zeros_like(best)
            for plane in logits.unbind(1):
                total += (plane - best).exp_()
            # NaN and infinity in any class end up here.
            finite = torch.isfinite(total).all()
            confidence = CONFIDENCE_STEPS / total
        steps = confidence.round_().to(torch.uint8)
        return LabelBatch(*self._fetched(pixels, finite, channel, steps))

    def _fetched(
        self, pixels: Pixels, finite: torch.Tensor, *results: torch.Tensor
    ) -> list[NDArray[Any]]:
        """Bring results to the host; the device is waited for once, after the last of them.

        Raises:
            ModelError: ``finite`` is False.
        """
        is_cuda = self._device.type == "cuda"
        # To pinned memory, which is what lets the copies queue up behind the network.
        arrived = [tensor.to("cpu", non_blocking=is_cuda) for tensor in (finite, *results)]
        if is_cuda:
            torch.cuda.current_stream(self._device).synchronize()
        if not bool(arrived[0]):
            raise not_finite_error(self._precision, pixels)
        return [tensor.numpy() for tensor in arrived[1:]]

    def _with_room(self, work: Callable[[], _Result], pixels: Pixels) -> _Result:
        """Do a batch's work; again, alone on the device, where memory ran out beside others."""
        beside = self._lanes.count
        try:
            with self._session(pixels):
                return work()
        except OutOfDeviceMemoryError:
            if beside <= 1:
                raise
        self._lanes.narrow()
        with self._session(pixels):
            return work()

    @contextmanager
    def _session(self, pixels: Pixels) -> Iterator[None]:
        """Inference mode, one CPU thread per caller, errors of the device mapped."""
        with self._lanes.take():
            if self._device.type == "cpu":
                torch.set_num_threads(1)
            try:
                with torch.inference_mode():
                    yield
            except GeosegError:
                raise
            except _NETWORK_ERRORS as error:
                if not _is_out_of_memory(error):
                    raise _failure(error, pixels) from error
                self._free_memory(error)
                raise no_memory_error(str(self._device), pixels) from error

    def _free_memory(self, error: BaseException) -> None:
        """Let go of what the failed pass has allocated."""
        # Its frames hold every tensor of it for as long as the error lives.
        traceback.clear_frames(error.__traceback__)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        elif self._device.type == "mps":
            torch.mps.empty_cache()

    def _normalised(self, pixels: Pixels) -> torch.Tensor:
        """Return what the network sees, fp32 (n, band, row, col) on the device."""
        raw = torch.from_numpy(np.ascontiguousarray(pixels))
        if self._device.type == "cuda":
            batch = raw.pin_memory().to(self._device, non_blocking=True)
        else:
            batch = raw.to(self._device)
        batch = (batch.float() - self._offset) / self._divisor
        return batch.contiguous(memory_format=torch.channels_last)

    def _logits(self, pixels: Pixels, crop_px: int = 0) -> torch.Tensor:
        """Return fp32 logits (n, class, row, col) on the device, without a rim."""
        # No cache of cast weights: it is one for all threads, and what is cast on one stream
        # is not there yet on another.
        with torch.autocast(
            self._device.type,
            dtype=self._dtype,
            enabled=self._dtype != torch.float32,
            cache_enabled=False,
        ):
            if self._focus is not None and crop_px:
                output = self._focus(self._normalised(pixels), crop_px)
            else:
                output = self._network(self._normalised(pixels))
                if crop_px:
                    output = output[..., crop_px:-crop_px, crop_px:-crop_px]
        logits: torch.Tensor = output.float()
        del output
        if logits.shape[1] == 1 and self._n_classes == 2:  # noqa: PLR2004 - binary head
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        kept = tuple(side - 2 * crop_px for side in pixels.shape[2:])
        if logits.shape[1:] != (self._n_classes, *kept):
            msg = (
                f"the network gave scores of shape {tuple(logits.shape)} for a batch of "
                f"{pixels.shape}, expected {self._n_classes} classes on the same pixels"
            )
            raise ModelError(msg)
        return logits * self._inverse_temperature if self._inverse_temperature != 1 else logits


def _best(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the highest logit and the first channel that has it, (n, row, col) each.

    Plane by plane: torch's argmax over the class axis is several times slower.
    """
    planes: Iterator[torch.Tensor] = iter(logits.unbind(1))
    best = next(planes).clone(memory_format=torch.contiguous_format)
    channel = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    for index, plane in enumerate(planes, 1):
        channel.masked_fill_(plane > best, index)
        torch.maximum(best, plane, out=best)
    return best, channel


def _failure(error: Exception, windows: torch.Tensor | Pixels) -> ModelError:
    """Return the error of a network that does not take windows (n, band, row, col)."""
    height, width = windows.shape[2:]
    what = " ".join(str(error).strip().splitlines()[:1])[:_LONGEST_TEXT]
    msg = f"the network fails on a window of {width} x {height} px: {what}"
    return ModelError(msg, hint="It may need larger windows (--window-px).")


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error).lower()
    return any(phrase in text for phrase in _NO_MEMORY)


def _forbid_tf32() -> None:
    """Make fp32 mean fp32 on CUDA, for the whole process.

    torch lets cuDNN round the factors of a convolution to TF32's 10 bits unless told not
    to, which changes classes; a halo and a class map measured in fp32 would not hold. Who
    wants speed asks for bf16, which has the same range and is faster still.
    """
    backends: Any = torch.backends
    # The old switches first: torch refuses to read them where they and the new ones differ.
    backends.cudnn.allow_tf32 = False
    backends.cuda.matmul.allow_tf32 = False
    if hasattr(backends.cudnn, "conv"):  # torch >= 2.9; "ieee" also beats a wider setting
        for operation in (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul):
            operation.fp32_precision = "ieee"
