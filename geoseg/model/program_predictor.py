"""The predictor that runs a model folder's programs, without torch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.confidence import CONFIDENCE_STEPS
from geoseg.errors import ModelError
from geoseg.model.card import ModelCard, Program, ProgramKind
from geoseg.model.device import Device
from geoseg.model.network import file_sha256, require_weights
from geoseg.model.predictor import LabelBatch, Pixels, labels_from_scores, not_finite_error

__all__ = ["ProgramPredictor"]

_Run = Callable[[NDArray[np.float32]], list[NDArray[Any]]]


class ProgramPredictor:
    """Runs ``labels.onnx`` and ``scores.onnx``; see ``Predictor`` for the contract.

    A program is read and compiled when it is first needed: most runs need one of the two.
    """

    def __init__(self, folder: Path, card: ModelCard, device: Device, streams: int) -> None:
        """Check the files; nothing is compiled yet.

        Args:
            folder: The model's folder.
            card: Its card.
            device: The CPU, a backend and a precision.
            streams: How many threads call at a time.

        Raises:
            ModelError: Weights or programs missing, damaged, or not those of the card.
        """
        require_weights(card, folder)
        self._folder, self._card, self._device = folder, card, device
        self._streams = streams
        self._guard = threading.Lock()
        self._runs: dict[ProgramKind, _Run] = {}
        for kind in ("labels", "scores"):
            self._checked(kind)

    def prepare(self, crop_px: int | None) -> None:
        """Compile the program that ``labels`` with this crop needs; with None, ``scores``."""
        self._run(self._kind(crop_px))

    def scores(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return (n, class, row, col) scores 0..1."""
        scores, check = self._call("scores", pixels)
        self._require_finite(check, pixels)
        result: NDArray[np.float32] = scores
        return result

    def labels(self, pixels: Pixels, crop_px: int) -> LabelBatch:
        """Return class and confidence of the windows without ``crop_px`` at each side."""
        if self._kind(crop_px) == "scores":
            scores = self.scores(pixels)
            inside = slice(crop_px, -crop_px or None)
            return labels_from_scores(scores[..., inside, inside])
        channel, confidence, check = self._call("labels", pixels)
        self._require_finite(check, pixels)
        return LabelBatch(channel, confidence)

    def _kind(self, crop_px: int | None) -> ProgramKind:
        """Return the program that labels with this crop come from; the one of scores for None."""
        return "labels" if crop_px == self._checked("labels").crop_px else "scores"

    def _call(self, kind: ProgramKind, pixels: Pixels) -> list[NDArray[Any]]:
        """Run a program; whoever made it, what comes out is what the contract says."""
        found = self._run(kind)(np.ascontiguousarray(pixels, np.float32))
        program, n_classes = self._checked(kind), len(self._card.legend)
        n, _, height, width = pixels.shape
        plane = (n, height - 2 * program.crop_px, width - 2 * program.crop_px)
        wanted: list[tuple[tuple[int, ...], Any]] = (
            [(plane, np.uint8), (plane, np.uint8)]
            if kind == "labels"
            else [((n, n_classes, height, width), np.float32)]
        )
        is_right = [(a.shape, a.dtype) for a in found[:-1]] == wanted
        if is_right and kind == "labels":
            is_right = (
                int(found[0].max(initial=0)) < n_classes
                and int(found[1].max(initial=0)) <= CONFIDENCE_STEPS
            )
        if not is_right:
            told = ", ".join(f"{a.dtype} {a.shape}" for a in found) or "nothing"
            msg = (
                f"{self._folder / program.file} does not give {kind} of {n_classes} classes for "
                f"windows of {width} x {height} px; it gives {told}"
            )
            raise ModelError(msg, hint="Make the folder anew, or use --backend torch.")
        return found

    def _run(self, kind: ProgramKind) -> _Run:
        with self._guard:
            if kind not in self._runs:
                self._runs[kind] = self._compiled(self._checked(kind))
            return self._runs[kind]

    def _compiled(self, program: Program) -> _Run:
        path = self._folder / program.file
        if file_sha256(path) != program.sha256:
            msg = f"model {self._card.name!r}: {path} is damaged or not the card's"
            raise ModelError(msg, hint="Copy or download the model folder again.")
        try:
            if self._device.backend == "openvino":
                from geoseg.model.openvino_backend import compile_program  # noqa: PLC0415 - 0.3 s
            else:
                from geoseg.model.onnxruntime_backend import (  # noqa: PLC0415 - 0.2 s
                    compile_program,
                )
        except (ImportError, OSError, AttributeError) as error:
            msg = f"{self._device.backend} is installed and cannot be loaded: {error}"
            raise ModelError(msg, hint="Install it again, or use --backend torch.") from error
        return compile_program(path, self._device.precision, streams=self._streams)

    def _checked(self, kind: ProgramKind) -> Program:
        program = self._card.program(kind)
        if program is None:
            msg = f"model {self._card.name!r} has no program that gives {kind}"
            raise ModelError(msg, hint="Use --backend torch.")
        return program

    def _require_finite(self, check: NDArray[Any], pixels: Pixels) -> None:
        if not np.isfinite(check).all():
            raise not_finite_error(self._device.precision, pixels)
