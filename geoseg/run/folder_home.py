"""A folder that all workers see, as the place of a batch: a disk, or a shared file system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.grid.tiling import BlockIndex
from geoseg.run.folder_lock import locked_folder
from geoseg.run.publish import RECORD_NAME, RESULT_NAMES, publish
from geoseg.run.store import Receipt, RunStore, StoreKey, unwritable, write_atomically

__all__ = ["FolderHome", "FolderRoot"]

_STATE_NAME = ".batch"


@dataclass(frozen=True, slots=True)
class FolderHome:
    """Place of a scene; pieces lie in it, and so do not move."""

    path: Path
    """Result folder."""

    @property
    def scene_id(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.path)

    @property
    def is_shared(self) -> bool:
        """True: all workers see the folder."""
        return True

    def is_finished(self) -> bool:
        """Tell whether the record of a complete result is there."""
        return (self.path / RECORD_NAME).is_file()

    def record(self) -> str | None:
        """Return the text of ``run.json``, or None."""
        return _text_of(self.path / RECORD_NAME)

    def result_names(self) -> list[str]:
        """Return which of the names that a run may leave are there."""
        return [name for name in RESULT_NAMES if (self.path / name).exists()]

    def has_rest(self) -> bool:
        """Tell whether there is a run store, or what is left of one."""
        return RunStore(self.path).folder.exists()

    def clear(self) -> None:
        """Remove the run store."""
        RunStore(self.path).remove()

    def folder(self, scratch: Path) -> Path:  # noqa: ARG002 - for places that are elsewhere
        """Return the result folder itself."""
        return self.path

    def store(self, scratch: Path, attempt: str = "") -> RunStore:  # noqa: ARG002 - the same
        """Return the run store in the folder."""
        return RunStore(self.path, attempt=attempt)

    def stored_digest(self) -> str | None:
        """Return the digest of the plan that the folder holds pieces of, or None."""
        return RunStore(self.path).stored_digest()

    def open(self, key: StoreKey, *, discard: bool) -> tuple[int, int]:
        """Make the run store, or continue the one that is there."""
        return RunStore(self.path).open(key, discard=discard)

    def receipts(self) -> dict[BlockIndex, Receipt]:
        """Return the finished blocks."""
        return RunStore(self.path).receipts()

    def prepare(self, store: RunStore, key: StoreKey) -> None:
        """Do nothing: the client has opened the store."""

    def leave(self, store: RunStore) -> None:
        """Do nothing: the store is the client's."""

    def commit(self, store: RunStore, block: BlockIndex) -> None:
        """Do nothing: the block was committed here."""

    def fetch(self, store: RunStore, suffixes: Iterable[str]) -> None:
        """Do nothing: the pieces are here."""

    def stage(self, store: RunStore, attempt: str) -> None:
        """Do nothing: the files are beside their place."""

    def publish(self, attempt: str, names: Iterable[str]) -> None:
        """Move the staged files to their names, the record last; remove the run store.

        Raises:
            OutputError: A file is missing or cannot be moved.
        """
        store = RunStore(self.path, attempt=attempt)
        missing = [name for name in names if not (store.final / name).is_file()]
        if missing:
            msg = f"{store.final} lacks {missing[0]}, which a worker said it had written"
            raise OutputError(msg, hint="Do all workers and this machine see the same folder?")
        publish(self.path, store)
        store.remove()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run store, so that no ``geoseg run`` works on the same folder."""
        with RunStore(self.path).locked():
            yield


@dataclass(frozen=True, slots=True)
class FolderRoot:
    """Place of a batch."""

    path: Path
    """Its folder."""

    @property
    def address(self) -> str:
        """The folder."""
        return str(self.path)

    def home(self, scene_id: str) -> FolderHome:
        """Return the place of a scene."""
        return FolderHome(self.path / scene_id)

    def finished(self, scene_ids: Iterable[str]) -> set[str]:
        """Return which of these scenes have the record of a complete result."""
        return {name for name in scene_ids if (self.path / name / RECORD_NAME).is_file()}

    def read_text(self, name: str) -> str | None:
        """Return a small file below the root, or None where there is none."""
        return _text_of(self.path / name)

    def write_text(self, name: str, text: str) -> None:
        """Write a small file, completely or not at all."""
        path = self.path / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error
        write_atomically(path, text)

    def names(self, prefix: str) -> list[str]:
        """Return the names below a relative folder, sorted; hidden ones are not whole."""
        try:
            found = sorted(path.name for path in (self.path / prefix).iterdir())
        except OSError:
            return []
        return [f"{prefix}/{name}" for name in found if not name.startswith(".")]

    def delete(self, name: str) -> None:
        """Remove a small file, if it is there.

        Raises:
            OutputError: It cannot be removed.
        """
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the root for this client.

        Raises:
            OutputError: Another client holds it, or it cannot be written.
        """
        if self.path.exists() and not self.path.is_dir():
            msg = f"{self.path} is a file, expected a folder for the results"
            raise OutputError(msg, hint="Choose another folder with --out.")
        with locked_folder(self.path / _STATE_NAME, self.path):
            yield


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read {path}: {error}"
        raise OutputError(msg, hint="Is the folder readable, and was the file changed?") from error
