"""Run a program with OpenVINO on the CPU."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ModelError
from geoseg.model.no_telemetry import keep_quiet
from geoseg.model.predictor import program_error

keep_quiet()
import openvino  # noqa: E402 - quietly
from openvino import opset13  # noqa: E402

__all__ = ["compile_program"]

_PRECISIONS: Final = {"fp32": "f32", "bf16": "bf16"}
_LONGEST_TEXT: Final = 200
_LAYERS_KEPT: Final = 400
_preparing: Final = threading.Lock()
_NO_MEMORY: Final = ("bad_alloc", "not enough memory", "can't allocate", "cannot allocate")


def compile_program(
    path: Path, precision: str, *, streams: int
) -> Callable[[NDArray[np.float32]], list[NDArray[Any]]]:
    """Return a function from pixels (n, band, row, col) to the program's outputs.

    It may be called from ``streams`` threads at a time; each call computes with one thread.
    Two windows side by side are faster than two threads on one, and what a window gives
    depends neither on its neighbours nor on their number.

    Raises:
        ModelError: The file is no program.
    """
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
        # Other runs on the machine would be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
        # What is compiled for a shape of window takes 2 MiB; a scene with slanted edges has
        # a hundred shapes. Counted in layers, for each stream.
        "CPU_RUNTIME_CACHE_CAPACITY": _LAYERS_KEPT,
    }
    with _preparing:
        _prepare_bindings()
    try:
        core = openvino.Core()
        compiled = core.compile_model(core.read_model(path), "CPU", options)
    except RuntimeError as error:
        msg = f"OpenVINO cannot read {path}: {_cause(error)}"
        raise ModelError(msg, hint="Make the folder anew, or use --backend torch.") from error
    # A request holds the memory of a pass: as many as there are passes at a time, whoever
    # makes them.
    idle: deque[Any] = deque()

    def run(pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        try:
            request = idle.pop()
        except IndexError:
            request = compiled.create_infer_request()
        try:
            # Outputs are copied: the next call would write into the same memory.
            results = request.infer({0: pixels}, share_inputs=True)
        except RuntimeError as error:
            raise program_error(error, _cause(error), pixels, _NO_MEMORY) from error
        idle.append(request)
        return [results[output] for output in compiled.outputs]

    return run


@cache
def _prepare_bindings() -> None:
    """Run a network of one layer, alone, before threads run any.

    OpenVINO's bindings fill tables of types on first use, under a lock of C++ and with
    Python's in the hand. Two threads whose first calls meet wait for each other for ever.
    """
    image = opset13.parameter([1], np.float32)
    outputs = [opset13.relu(image), opset13.convert(image, np.uint8)]
    request = openvino.Core().compile_model(openvino.Model(outputs, [image]), "CPU")
    results = request.create_infer_request().infer({0: np.zeros(1, np.float32)}, share_inputs=True)
    _ = [np.asarray(results[output]) for output in request.outputs]


def _cause(error: Exception) -> str:
    """Return the last line of OpenVINO's report; the first ones name its source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:_LONGEST_TEXT]
