"""Every error that geoseg raises on purpose, in one tree.

::

    GeosegError
    ├── OptionError   (ValueError)    a flag or argument that cannot be right
    ├── SceneError    (OSError)       the input raster cannot be read or used
    │   └── SceneReadError            pixels of an opened scene could not be read
    ├── ModelError    (ValueError)    a model folder, card or weights file is wrong
    │   └── MismatchError             scene and model do not fit each other
    ├── OutputError   (OSError)       a result cannot be written where asked
    │   └── StoreError                the whole place of results is out of reach, for now
    ├── BlocksFailedError             some blocks failed after every retry
    ├── RunInterruptedError           stopped by the user or a signal; resumable
    │   └── BatchInterruptedError     a batch was stopped, or lost its cluster; resumable
    │       └── TimeUpError           --time-limit was over before the batch
    ├── ScenesFailedError             a batch is over, and some of its scenes failed
    ├── ClusterError                  workers cannot be had, or are not what they should be
    ├── WorkerDiedError               a worker died while it was at a task
    ├── TaskTimeoutError              a task took longer than --task-timeout
    └── OutOfDeviceMemoryError        the device has no room for the smallest window

A message is one line: what is wrong, what was found, what was expected. What to do
about it goes into ``hint``.
"""

from __future__ import annotations

__all__ = [
    "BatchInterruptedError",
    "BlocksFailedError",
    "ClusterError",
    "GeosegError",
    "MismatchError",
    "ModelError",
    "OptionError",
    "OutOfDeviceMemoryError",
    "OutputError",
    "RunInterruptedError",
    "SceneError",
    "SceneReadError",
    "ScenesFailedError",
    "StoreError",
    "TaskTimeoutError",
    "TimeUpError",
    "WorkerDiedError",
]


class GeosegError(Exception):
    """Root of the tree: one line for the user, and optionally what to do."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep ``message`` on one line and the advice apart from it."""
        super().__init__(" ".join(message.split()))
        self.hint = " ".join(hint.split()) if hint else None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the hint, which plain exceptions would lose between processes."""
        return _rebuild, (type(self), str(self), self.hint)


def _rebuild(kind: type[GeosegError], message: str, hint: str | None) -> GeosegError:
    return kind(message, hint=hint)


class OptionError(GeosegError, ValueError):
    """A flag or argument that cannot be right, whatever the files hold."""


class SceneError(GeosegError, OSError):
    """The input raster is missing, is not a raster, or cannot be used."""


class SceneReadError(SceneError):
    """Pixels of a scene that opened well could not be read."""


class ModelError(GeosegError, ValueError):
    """A model folder, its card or its weights are missing, damaged or refused."""


class MismatchError(ModelError):
    """Scene and model are each fine but do not fit each other."""


class OutputError(GeosegError, OSError):
    """A result cannot be written where it was asked for."""


class StoreError(OutputError):
    """An object store does not answer, or is held by somebody else: no fault of a scene."""


class BlocksFailedError(GeosegError):
    """Some blocks failed after every retry; the finished ones are kept."""


class RunInterruptedError(GeosegError):
    """The run was stopped; the same command continues it."""

    exit_code = 130


class BatchInterruptedError(RunInterruptedError):
    """A batch was stopped, ran out of time or lost its cluster; the same command continues it."""

    exit_code = 4


class TimeUpError(BatchInterruptedError):
    """The time that a batch may take is over; the same command continues it."""


class ScenesFailedError(GeosegError):
    """A batch is over and some of its scenes failed; the others are complete."""

    exit_code = 3


class WorkerDiedError(GeosegError):
    """A worker died while it was at a task, which may or may not be the cause."""


class TaskTimeoutError(GeosegError):
    """A task of a batch took longer than it may; it may hang for ever, or be just large."""


class ClusterError(GeosegError):
    """Workers cannot be had, or have other versions, models or files than the client."""


class OutOfDeviceMemoryError(GeosegError):
    """Even the smallest batch and window do not fit the device."""
