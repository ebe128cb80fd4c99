"""Where a batch keeps its pieces and puts its results: a folder, or a prefix of a bucket.

Two protocols. A ``Root`` belongs to the client: it holds the lock, the ledger and the reports.
A ``SceneHome`` is a frozen value that travels to workers: it names the place of one scene and
moves that scene's files between there and the local run store that blocks are computed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from geoseg.grid.tiling import BlockIndex
from geoseg.run.store import Receipt, RunStore, StoreKey

__all__ = ["Root", "SceneHome", "WorkerContext"]


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """What a task is told of the process that it runs in."""

    slots: int
    """Blocks that may be in the network at a time."""
    scratch: Path
    """Folder for files of this process."""


class SceneHome(Protocol):
    """Place of one scene. Pickled to workers, so it holds an address and no handle."""

    @property
    def scene_id(self) -> str:
        """Name of the scene's folder below the root."""

    @property
    def address(self) -> str:
        """Folder or URL of the scene's results, as it may be shown."""

    @property
    def is_shared(self) -> bool:
        """True where all workers see the run store itself, and can share the last steps."""

    def is_finished(self) -> bool:
        """Tell whether the record of a complete result is there."""

    def record(self) -> str | None:
        """Return the text of ``run.json``, or None."""

    def result_names(self) -> list[str]:
        """Return which of the names that a run may leave are there."""

    def has_rest(self) -> bool:
        """Tell whether there is a run store, or what is left of one."""

    def clear(self) -> None:
        """Remove the run store. Only the client that holds the root's lock calls it."""

    def folder(self, scratch: Path) -> Path:
        """Return the local result folder that a process works in.

        Args:
            scratch: Folder of this process for what lives elsewhere; a home in a folder that
                all workers see does not need it.
        """

    def store(self, scratch: Path, attempt: str = "") -> RunStore:
        """Return the run store in ``folder``; ``attempt`` tells its ``final`` folders apart."""

    def stored_digest(self) -> str | None:
        """Return the digest of the plan that the place holds pieces of, or None."""

    def open(self, key: StoreKey, *, discard: bool) -> tuple[int, int]:
        """Prepare the place for pieces; the client calls it. As ``RunStore.open``."""

    def receipts(self) -> dict[BlockIndex, Receipt]:
        """Return the finished blocks."""

    def prepare(self, store: RunStore, key: StoreKey) -> None:
        """Make the local ``store`` ready for pieces, in a worker, where it is not the place."""

    def leave(self, store: RunStore) -> None:
        """Remove the local ``store`` where it is not the place: no task here needs it now."""

    def commit(self, store: RunStore, block: BlockIndex) -> None:
        """Bring a block that was committed to the local ``store`` here; receipt last.

        A local copy is not kept where the place is elsewhere.
        """

    def fetch(self, store: RunStore, suffixes: Iterable[str]) -> None:
        """Bring the pieces with these suffixes (``.tif``, ``.npz``) into the local ``store``."""

    def stage(self, store: RunStore, attempt: str) -> None:
        """Bring the files in ``store.final`` to where ``publish`` takes them from."""

    def publish(self, attempt: str, names: Iterable[str]) -> None:
        """Give the staged files their names, the record ``run.json`` last; remove the pieces.

        Only the client that holds the root's lock calls it. Names that a run may leave and
        that are not among ``names`` go away: they are of an older run.
        """

    def locked(self) -> AbstractContextManager[None]:
        """Hold the scene against a ``geoseg run`` on the same folder, where that can be."""


class Root(Protocol):
    """Place of a whole batch. The client uses it; workers only to show that they see it.

    Pickled to workers, so it holds an address and no handle.
    """

    @property
    def address(self) -> str:
        """Folder or URL, as it may be shown."""

    def home(self, scene_id: str) -> SceneHome:
        """Return the place of a scene."""

    def finished(self, scene_ids: Iterable[str]) -> set[str]:
        """Return which of these scenes have the record of a complete result."""

    def read_text(self, name: str) -> str | None:
        """Return a small file below the root, or None where there is none.

        Args:
            name: Relative, with ``/``, e.g. ``batch.json`` or ``.batch/job.json``.
        """

    def write_text(self, name: str, text: str) -> None:
        """Write a small file, completely or not at all."""

    def names(self, prefix: str) -> list[str]:
        """Return the names below a relative folder such as ``.batch/ledger``, sorted."""

    def delete(self, name: str) -> None:
        """Remove a small file, if it is there."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the root for this client.

        Raises:
            OutputError: Another client holds it, or it cannot be written.
        """
