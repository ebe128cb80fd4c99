"""The run store: a folder of committed pieces that makes a run resumable.

``<out>/.geoseg/`` holds ``plan.json`` (what the pieces were made from), ``pieces/`` with
two files per finished block (pixels, then a receipt; the receipt is the commit), and
``final/`` where results are made before they move to their names. Nothing in it is ever
half-written: every file appears by renaming.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError
from geoseg.grid.tiling import BlockIndex
from geoseg.run.plan import RunPlan

__all__ = ["Receipt", "RunStore", "write_atomically"]

STORE_NAME = ".geoseg"


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

    @property
    def block(self) -> BlockIndex:
        """The block."""
        return BlockIndex(self.row, self.col)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that it is there completely or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}"
        raise OutputError(msg, hint="Is the disk full, or the folder read-only?") from error


class RunStore:
    """Pieces and receipts of one run."""

    def __init__(self, out: Path) -> None:
        """Name the places; nothing is touched yet."""
        self.folder = out / STORE_NAME
        self.pieces = self.folder / "pieces"
        self.final = self.folder / "final"
        self._plan = self.folder / "plan.json"

    def open(self, plan: RunPlan, *, discard: bool) -> RunPlan:
        """Make the store, or continue one that was made from the same plan.

        Returns:
            The plan, with the block layout of the pieces that are already there.

        Raises:
            OutputError: The folder cannot be written, or holds pieces of another run.
        """
        found = self._stored()
        if found is not None and (discard or found["digest"] != plan.digest):
            if not discard:
                changed = _differences(found["identity"], plan.identity())
                msg = (
                    f"{self.folder.parent} holds an unfinished run with other settings "
                    f"({', '.join(changed)})"
                )
                raise OutputError(
                    msg,
                    hint="Repeat its command to continue it, add --overwrite to start anew, "
                    "or choose another --out.",
                )
            shutil.rmtree(self.folder, ignore_errors=True)
            found = None
        if found is not None:
            rows, cols = found["block_cores"]
            tiling = replace(plan.tiling, block_rows=int(rows), block_cols=int(cols))
            return replace(plan, tiling=tiling)
        self._create(plan)
        return plan

    def _stored(self) -> dict[str, Any] | None:
        try:
            stored: dict[str, Any] = json.loads(self._plan.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stored

    def _create(self, plan: RunPlan) -> None:
        try:
            if self.folder.exists():
                for path in (self.pieces, self.final):
                    shutil.rmtree(path, ignore_errors=True)
            self.pieces.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"cannot write to {self.folder.parent}: {error.strerror or error}"
            raise OutputError(msg, hint="Choose a writable folder with --out.") from error
        record = {
            "digest": plan.digest,
            "block_cores": [plan.tiling.block_rows, plan.tiling.block_cols],
            "identity": plan.identity(),
        }
        write_atomically(self._plan, json.dumps(record, indent=1))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store for this process; a second run on the same output is refused."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            msg = f"cannot write to {self.folder.parent}: {error.strerror or error}"
            raise OutputError(msg, hint="Choose a writable folder with --out.") from error
        try:
            _lock(handle, self.folder.parent)
            yield
        finally:
            os.close(handle)

    def piece_path(self, block: BlockIndex) -> Path:
        """Return where a block's pixels are."""
        return self.pieces / f"{block.name}.tif"

    def commit(self, receipt: Receipt) -> None:
        """Record a block as finished; its pixels must be in place."""
        path = self.pieces / f"{receipt.block.name}.json"
        write_atomically(path, json.dumps(asdict(receipt)))

    def receipts(self) -> dict[BlockIndex, Receipt]:
        """Return what is finished, by block; one directory listing and small files."""
        found = {}
        for path in sorted(self.pieces.glob("r*.json")):
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
                receipt = Receipt(**{**data, "class_px": tuple(data["class_px"])})
            except (ValueError, TypeError, KeyError):
                continue  # from another version: the block is simply done again
            if receipt.empty or self.piece_path(receipt.block).is_file():
                found[receipt.block] = receipt
        return found

    def remove(self) -> None:
        """Delete the store once the results are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    fresh = json.loads(json.dumps(new))
    return [key for key in fresh if old.get(key) != fresh[key]] or ["version"]


def _lock(handle: int, out: Path) -> None:
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:  # pragma: no cover - Windows
        import msvcrt  # noqa: PLC0415

        lock: Any = lambda: msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # noqa: E731
    else:
        lock = lambda: fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
    try:
        lock()
    except OSError as error:
        msg = f"another geoseg run is writing to {out}"
        raise OutputError(msg, hint="Wait for it, or choose another --out.") from error
