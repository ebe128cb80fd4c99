"""Run a program with ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import ModelError
from geoseg.model.no_telemetry import keep_quiet
from geoseg.model.predictor import program_error

keep_quiet()
import onnxruntime  # noqa: E402 - quietly

__all__ = ["compile_program"]

_LONGEST_TEXT: Final = 200
_NO_MEMORY: Final = ("failed to allocate", "bad_alloc", "not enough memory")
_ERRORS_ONLY: Final = 3


def compile_program(
    path: Path, precision: str, *, streams: int
) -> Callable[[NDArray[np.float32]], list[NDArray[Any]]]:
    """Return a function from pixels (n, band, row, col) to the program's outputs.

    It may be called from any number of threads; each call computes with one thread.

    Args:
        path: The program.
        precision: ``fp32``; there is no other on the CPU.
        streams: How many threads call; taken as it comes.

    Raises:
        ModelError: The file is no program.
    """
    del precision, streams
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own classes share no other base
        msg = f"ONNX Runtime cannot read {path}: {_text(error)}"
        raise ModelError(msg, hint="Make the folder anew, or use --backend torch.") from error

    def run(pixels: NDArray[np.float32]) -> list[NDArray[Any]]:
        try:
            found: list[NDArray[Any]] = session.run(None, {"pixels": pixels})
        except Exception as error:
            raise program_error(error, _text(error), pixels, _NO_MEMORY) from error
        return found

    return run


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:_LONGEST_TEXT]
