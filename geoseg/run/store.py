"""The run store: a folder of committed pieces that makes a run resumable.

A store folder holds ``plan.json`` (what the pieces were made from), ``pieces/`` with the
files of each finished block (pixels, traced outlines, then a receipt; the receipt is the
commit), and ``final/`` where results are made before they move to their names. Nothing in
it is ever half-written: every file appears by renaming.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from geoseg.errors import OutputError, RunInterruptedError
from geoseg.grid.tiling import BlockIndex
from geoseg.partial_files import replace_synced, temporary_name
from geoseg.raster.readback import DISK_HINT
from geoseg.run.folder_lock import locked_folder

if TYPE_CHECKING:
    from geoseg.vector.trace import BlockTrace

__all__ = [
    "STORE_NAME",
    "Receipt",
    "RunStore",
    "StoreKey",
    "continues",
    "place",
    "receipt_of",
    "stored_plan",
    "unwritable",
    "write_atomically",
]

_log = logging.getLogger(__name__)
STORE_NAME: Final = ".geoseg"
"""Name of the run store in the result folder."""
_REMOVALS: Final = 3
_REMOVAL_PAUSE_S: Final = 0.05


class StoreKey(NamedTuple):
    """What the pieces of a store are made from, and how they are cut."""

    identity: dict[str, Any]
    """Facts behind the digest, as JSON values."""
    digest: str
    """Digest of all that decides the pieces."""
    layout: tuple[int, int]
    """Size of a block (down, across), in the unit of whoever cuts; decides no result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is known of a finished block without opening its pixels."""

    row: int
    """Block row."""
    col: int
    """Block column."""
    empty: bool
    """True where no pixel was valid; there is no pixel file then."""
    class_px: tuple[int, ...]
    """Pixels per class, in the legend's order."""
    block_px: int
    """Pixels of the block inside the output, nodata included."""
    windows: int
    """Windows forwarded."""
    forwarded_px: int
    """Their pixels, halos included."""
    piece_bytes: int = 0
    """Size of the pixel file, which a truncated one does not have."""
    overlap_px: int = 0
    """Valid pixels seen by more than one window (only with ``seams``)."""
    disagree_px: int = 0
    """Those among them to which two windows gave different classes."""
    read_s: float = 0.0
    """Reading and resampling."""
    predict_s: float = 0.0
    """Forward passes."""
    stitch_s: float = 0.0
    """Cropping, blending, masking, counting."""
    write_s: float = 0.0
    """Encoding and committing the piece."""
    trace_s: float = 0.0
    """Tracing the outlines and committing them."""

    @property
    def block(self) -> BlockIndex:
        """The block."""
        return BlockIndex(self.row, self.col)


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Yield a name to write to; the file is then at ``path`` completely or not at all."""
    temporary = temporary_name(path)
    try:
        yield temporary
        replace_synced(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(msg, hint=DISK_HINT) from error


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is there completely or not at all."""
    with _appearing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def place(source: Path, target: Path) -> None:
    """Move a finished file to its name, which may be on another disk, all or nothing.

    Raises:
        OSError: It cannot be written there.
    """
    try:
        replace_synced(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with _appearing(target) as temporary:
            shutil.copyfile(source, temporary)


class RunStore:
    """Pieces and receipts of one run."""

    def __init__(self, out: Path, *, folder: Path | None = None, attempt: str = "") -> None:
        """Name the places; nothing is touched yet.

        Args:
            out: What is being made, as messages name it.
            folder: The store; by default ``.geoseg`` in the folder ``out``.
            attempt: Tells apart the ``final`` folders of processes that may make the same
                results at a time.
        """
        self._out = out
        self.folder = folder or out / STORE_NAME
        self.pieces = self.folder / "pieces"
        self.final = self.folder / (f"final-{attempt}" if attempt else "final")
        self._plan = self.folder / "plan.json"

    def open(self, key: StoreKey, *, discard: bool) -> tuple[int, int]:
        """Make the store, or continue one whose pieces were made from the same.

        Returns:
            The block layout of the pieces that are already there, else that of the key.

        Raises:
            OutputError: The folder cannot be written, or holds pieces of another run.
        """
        found = self._stored()
        # Equal digests give equal pieces, so even --overwrite loses nothing by keeping them,
        # and a stopped run with --overwrite continues like any other.
        if found is not None and not continues(found, key, str(self._out), discard=discard):
            # Not the folder itself: it holds the lock.
            try:
                self._plan.unlink(missing_ok=True)
            except OSError as error:
                raise unwritable(self.folder.parent, error) from error
            found = None
        if found is not None:
            down, across = found["layout"]
            return int(down), int(across)
        self._create(key)
        return key.layout

    def _stored(self) -> dict[str, Any] | None:
        try:
            return stored_plan(self._plan.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return None

    def holds(self, digest: str) -> bool:
        """Tell whether the pieces here were made from what ``digest`` stands for."""
        return self.stored_digest() == digest

    def require(self, digest: str) -> None:
        """Let nothing into the store that was made for another run.

        A block may outlive the client that asked for it, on a cluster that both lose sight of.

        Raises:
            RunInterruptedError: The store is gone, or is that of another run.
        """
        if not self.holds(digest):
            msg = f"{self._out} belongs to another run by now"
            raise RunInterruptedError(msg)

    def stored_digest(self) -> str | None:
        """Return the digest of what the pieces here were made from, or None."""
        stored = self._stored()
        return None if stored is None else str(stored["digest"])

    def _create(self, key: StoreKey) -> None:
        try:
            if self.folder.exists():
                for path in (self.pieces, *self.folder.glob("final*")):
                    shutil.rmtree(path, ignore_errors=True)
            self.pieces.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder.parent, error) from error
        write_atomically(self._plan, json.dumps(key._asdict(), indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store for this process; a second run on the same output is refused.

        A folder that holds nothing afterwards is taken away again.

        Raises:
            OutputError: Another run holds it, or the folder cannot be written.
        """
        with locked_folder(self.folder, self._out):
            try:
                yield
            finally:
                if not (self._plan.exists() or self.pieces.exists()):
                    self.remove()

    def piece_path(self, block: BlockIndex) -> Path:
        """Return where a block's pixels are."""
        return self.pieces / f"{block.name}.tif"

    def trace_path(self, block: BlockIndex) -> Path:
        """Return where a block's traced outlines are."""
        return self.pieces / f"{block.name}.npz"

    def write_traces(self, block: BlockIndex, traces: Sequence[BlockTrace]) -> None:
        """Put a block's outlines, slice by slice, in place; completely or not at all.

        Raises:
            OutputError: The file cannot be written.
        """
        from geoseg.vector.trace import save_traces  # noqa: PLC0415 - not for every store

        with _appearing(self.trace_path(block)) as temporary:
            save_traces(temporary, traces)

    def read_trace(self, block: BlockIndex, number: int) -> BlockTrace | None:
        """Return a slice of a block's outlines; None where there is none, or no whole one."""
        from geoseg.vector.trace import load_trace  # noqa: PLC0415 - not for every store

        path = self.trace_path(block)
        try:
            # numpy would leave the file open where it is not a whole zip file.
            return load_trace(path, number) if zipfile.is_zipfile(path) else None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            _log.warning("the outlines in %s are damaged (%s): traced again", path, error)
            return None

    def commit(self, receipt: Receipt) -> None:
        """Record a block as finished; its pixels must be in place."""
        self.write_record(receipt.block, asdict(receipt))

    def receipts(self) -> dict[BlockIndex, Receipt]:
        """Return what is finished, by block; one directory listing and small files."""
        found = {}
        for data in self.records():
            receipt = receipt_of(data)
            if receipt is None:
                continue  # from another version: the block is simply done again
            if receipt.empty or self._size(receipt.block) == receipt.piece_bytes:
                found[receipt.block] = receipt
        return found

    def _size(self, block: BlockIndex) -> int | None:
        try:
            return self.piece_path(block).stat().st_size
        except OSError:
            return None

    def write_record(self, block: BlockIndex, record: dict[str, Any]) -> None:
        """Write what is to be known of a finished block: the commit."""
        write_atomically(self.pieces / f"{block.name}.json", json.dumps(record))

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records of finished blocks in reading order."""
        for path in sorted(self.pieces.glob("r*.json")):
            try:
                record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            yield record

    def remove(self) -> None:
        """Delete the store once the results are in place."""
        for _ in range(_REMOVALS):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            # A block of a client that was killed has just put a file there.
            time.sleep(_REMOVAL_PAUSE_S)


def unwritable(folder: Path, error: OSError) -> OutputError:
    """Return the error of a folder that nothing can be written to."""
    msg = f"cannot write to {folder}: {error.strerror or error}"
    return OutputError(msg, hint="Choose a writable folder with --out.")


def stored_plan(text: str) -> dict[str, Any] | None:
    """Return what a ``plan.json`` says; None where it is damaged."""
    stored: dict[str, Any]
    try:
        stored = json.loads(text)
    except ValueError:
        return None
    return stored if _is_plan(stored) else None


def continues(found: dict[str, Any], key: StoreKey, place: str, *, discard: bool) -> bool:
    """Tell whether pieces of an earlier run are those of this one; if not, they may go.

    Args:
        found: What ``stored_plan`` returned.
        key: What this run's pieces are made from.
        place: Of the results, as messages name it.
        discard: Let pieces of another run go.

    Raises:
        OutputError: They are of another run and to be kept.
    """
    # Equal digests give equal pieces, so even --overwrite loses nothing by keeping them,
    # and a stopped run with --overwrite continues like any other.
    if found["digest"] == key.digest:
        return True
    if not discard:
        changed = _differences(found["identity"], key.identity)
        msg = f"{place} holds an unfinished run with other settings ({', '.join(changed)})"
        raise OutputError(
            msg,
            hint="Repeat its command to continue it, add --overwrite to start anew, "
            "or choose another --out.",
        )
    return False


def receipt_of(record: Any) -> Receipt | None:  # noqa: ANN401 - any JSON value
    """Return the receipt that ``RunStore.commit`` wrote; None where it is none."""
    try:
        return Receipt(**{**record, "class_px": tuple(record["class_px"])})
    except (TypeError, KeyError):
        return None


def _is_plan(stored: object) -> bool:
    """Tell whether ``plan.json`` has the form that ``StoreKey`` gives it."""
    match stored:
        case {"digest": str(), "identity": dict(), "layout": [int(down), int(across)]}:
            return down > 0 and across > 0
        case _:
            return False


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the settings that differ, those of a group by their own names."""
    fresh = json.loads(json.dumps(new))
    found = []
    for key, value in fresh.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            found += [name for name in value if before.get(name) != value[name]]
        elif before != value:
            found.append(key)
    return found or ["version"]
