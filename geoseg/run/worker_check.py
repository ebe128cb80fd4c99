"""Before workers get work: have they the same geoseg, model and files as the client?"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from geoseg.errors import ClusterError, GeosegError, OutputError
from geoseg.model.registry import find_model
from geoseg.run.fleet import Fleet
from geoseg.run.place import Root
from geoseg.run.questions import GoneWorkerError, SilentWorkerError
from geoseg.run.scene_tasks import WorkerFacts, worker_facts
from geoseg.version import __version__

__all__ = ["WorkerCheck"]

_FILES: Final = 3
"""Scenes that every worker is asked about: a file system that is missing lacks all of them."""


class WorkerCheck:
    """Asks workers that have come since it last asked."""

    def __init__(
        self,
        fleet: Fleet,
        root: Root,
        model: str,
        scenes: Iterable[str],
        *,
        warn: Callable[[str], None],
    ) -> None:
        """Leave a mark in the root, which workers must find.

        Args:
            fleet: The workers.
            root: Where the results go.
            model: Name or folder of the model.
            scenes: Addresses of scenes; the first few that are files here are asked for.
            warn: Called with one line about workers that do not answer.

        Raises:
            ModelError: There is no such model.
            OutputError: The root cannot be written.
        """
        self._fleet, self._root, self._model, self._warn = fleet, root, model, warn
        self._files = tuple(_files(scenes))
        self._weights = find_model(model)[1].weights_sha256
        # One name for all sessions, of which one at a time holds the root: a client that was
        # killed leaves a mark that the next one replaces and takes away.
        self._name = ".batch/mark"
        self._text = secrets.token_hex(8)
        self._known: set[str] = set()
        root.write_text(self._name, self._text)

    def __call__(self) -> None:
        """Ask the workers that are new, and hear those that owed an answer.

        The first time, all are waited for: none gets work unseen. Later ones are heard when
        they answer, so that one that is frozen does not hold up the others.

        Raises:
            ClusterError: One of them is unfit, in one line which and why; or none answers.
        """
        new = set(self._fleet.workers) - self._known
        asked = (self._model, self._files, self._root, self._name)
        silent = []
        answers = self._fleet.ask(worker_facts, asked, new, patient=not self._known)
        for worker, found in answers.items():
            if isinstance(found, WorkerFacts):
                self._judge(worker, found)
                self._known.add(worker)
            elif isinstance(found, SilentWorkerError):
                silent.append(worker)
            elif not isinstance(found, GoneWorkerError):
                raise _unfit(worker, found)
        if silent:
            self._tell_of(sorted(silent))

    def _tell_of(self, silent: list[str]) -> None:
        """Warn of workers that do not answer; the scheduler takes them off in the end."""
        told = f"{len(silent)} worker(s) do not answer, {silent[0]} among them"
        if not self._known:
            msg = f"no worker is ready: {told}"
            raise ClusterError(
                msg, hint="Is its machine overloaded, or a file system of it out of reach?"
            )
        self._warn(f"{told}; their work is done again by others when the scheduler gives them up")

    def close(self) -> None:
        """Take the mark away."""
        with suppress(OutputError):
            self._root.delete(self._name)

    def _judge(self, worker: str, found: WorkerFacts) -> None:
        if found.geoseg != __version__:
            msg = f"worker {worker} has geoseg {found.geoseg}, this machine has {__version__}"
            raise ClusterError(msg, hint="Install the same version everywhere.")
        if found.weights_sha256 != self._weights:
            msg = (
                f"worker {worker} has another model {self._model!r}: weights "
                f"{found.weights_sha256[:12]}, here {self._weights[:12]}"
            )
            raise ClusterError(msg, hint="Copy the model folder, or name it by one shared path.")
        if found.mark != self._text:
            msg = f"worker {worker} does not see what this machine writes to {self._root.address}"
            raise ClusterError(
                msg, hint="Choose an --out on a file system that all of them share, or s3://."
            )
        for name, is_seen in zip(self._files, found.seen, strict=True):
            if not is_seen:
                msg = f"worker {worker} does not see {name}, which is on this machine"
                raise ClusterError(msg, hint="Put scenes where all workers see them by one path.")


def _files(scenes: Iterable[str]) -> Iterable[str]:
    count = 0
    for scene in scenes:
        if count == _FILES:
            return
        if "://" not in scene and not scene.startswith("/vsi") and Path(scene).is_file():
            count += 1
            yield str(Path(scene).absolute())


def _unfit(worker: str, error: Any) -> ClusterError:  # noqa: ANN401 - the same
    if isinstance(error, GeosegError):
        return ClusterError(f"worker {worker}: {error}", hint=error.hint)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    msg = f"worker {worker} cannot run geoseg: {text}"
    return ClusterError(msg, hint="Install the same geoseg in its environment.")
