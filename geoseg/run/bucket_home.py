"""A prefix of a bucket as the place of a batch.

Below the root, ``<scene>/.geoseg/`` holds ``plan.json``, ``pieces/`` and what is staged, and
``<scene>/`` the results, as a result folder does. A block is computed in a local run store and
sent up, its receipt last; the last steps fetch the pieces to one worker. Results go up under
``.geoseg/staged-<attempt>/`` and get their names by copies on the server, ``run.json`` last:
an object with its name is whole, and a record says that all are there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from geoseg.errors import OutputError, RunInterruptedError
from geoseg.grid.tiling import BlockIndex
from geoseg.objects.bucket import Bucket, StoredObject, bucket_at, in_parallel
from geoseg.objects.lease import DEFAULT_TIMES, Lease, LeaseTimes
from geoseg.run.publish import RECORD_NAME, RESULT_NAMES
from geoseg.run.store import (
    STORE_NAME,
    Receipt,
    RunStore,
    StoreKey,
    continues,
    receipt_of,
    stored_plan,
)

__all__ = ["BucketHome", "BucketRoot"]

_LOCK: Final = ".batch/lock.json"
_PLAN: Final = f"{STORE_NAME}/plan.json"
_PIECES: Final = f"{STORE_NAME}/pieces/"
_RECEIPT: Final = ".json"
_FEW: Final = 256
"""Up to here, asking for each record takes less time than a listing of what lies between."""
_LISTERS: Final = 16
_AFTER_SLASH: Final = "0"
"""The character behind the slash: ``a0`` comes after all names that begin with ``a/``."""


@dataclass(frozen=True, slots=True)
class BucketHome:
    """Place of a scene. Only its address travels, not the hold of the client."""

    root: Bucket
    """Place of the batch."""
    scene_id: str
    """Name of the scene's folder there."""
    lease: Lease | None = field(default=None, compare=False, repr=False)
    """The client's hold; None in workers."""

    def __reduce__(self) -> tuple[object, ...]:
        """Leave the lease with its process."""
        return BucketHome, (self.root, self.scene_id)

    @property
    def _place(self) -> Bucket:
        return self.root.child(self.scene_id)

    @property
    def address(self) -> str:
        """URL of the scene's results."""
        return self._place.address

    @property
    def is_shared(self) -> bool:
        """False: each worker has its own part of the run store."""
        return False

    # What is there --------------------------------------------------------------------------

    def is_finished(self) -> bool:
        """Tell whether the record of a complete result is there."""
        return self._place.exists(RECORD_NAME)

    def record(self) -> str | None:
        """Return the text of ``run.json``, or None."""
        return self._place.read_text(RECORD_NAME)

    def result_names(self) -> list[str]:
        """Return which of the names that a run may leave are there."""
        found = set(self._place.names())
        return [name for name in RESULT_NAMES if name in found]

    def has_rest(self) -> bool:
        """Tell whether there is a run store, or what is left of one."""
        return bool(self._place.page(f"{STORE_NAME}/")[0])

    def stored_digest(self) -> str | None:
        """Return the digest of the plan that the place holds pieces of, or None."""
        text = self._place.read_text(_PLAN)
        found = None if text is None else stored_plan(text)
        return None if found is None else str(found["digest"])

    def receipts(self) -> dict[BlockIndex, Receipt]:
        """Return the finished blocks: one listing, and a request for each receipt."""
        size_bytes = dict(self._place.objects(_PIECES))
        texts = in_parallel(
            self._place.read, [name for name in size_bytes if name.endswith(_RECEIPT)]
        )
        found = {}
        for text in texts:
            receipt = _receipt(text)
            if receipt is None:
                continue  # from another version, or gone: the block is simply done again
            pixels = size_bytes.get(f"{_PIECES}{receipt.block.name}.tif")
            if receipt.empty or pixels == receipt.piece_bytes:
                found[receipt.block] = receipt
        return found

    # Pieces ---------------------------------------------------------------------------------

    def folder(self, scratch: Path) -> Path:
        """Return the folder of the scene in the scratch folder of this process."""
        return scratch / self.scene_id

    def store(self, scratch: Path, attempt: str = "") -> RunStore:
        """Return the run store in that folder."""
        return RunStore(self.folder(scratch), attempt=attempt)

    def open(self, key: StoreKey, *, discard: bool) -> tuple[int, int]:
        """Make the place ready for pieces, or continue with those that are there.

        Returns:
            The block layout of the pieces that are already there, else that of the key.

        Raises:
            OutputError: The bucket cannot be written, or holds pieces of another run.
        """
        text = self._place.read_text(_PLAN)
        found = None if text is None else stored_plan(text)
        if found is not None and continues(found, key, self.address, discard=discard):
            down, across = found["layout"]
            return int(down), int(across)
        self._require_held()
        self._remove_pieces()
        self._place.write_text(_PLAN, json.dumps(key._asdict(), indent=1))
        return key.layout

    def prepare(self, store: RunStore, key: StoreKey) -> None:
        """Make the local run store ready for pieces of the same plan."""
        store.open(key, discard=True)

    def leave(self, store: RunStore) -> None:
        """Remove the local run store and the scene's folder here."""
        store.remove()
        with suppress(OSError):  # not there, or not empty
            store.folder.parent.rmdir()

    def commit(self, store: RunStore, block: BlockIndex) -> None:
        """Send a block's files up, its receipt last, and remove them here.

        Raises:
            OutputError: They cannot be sent.
            RunInterruptedError: The place belongs to another run by now.
        """
        pixels, traces = store.piece_path(block), store.trace_path(block)
        receipt = pixels.with_suffix(_RECEIPT)
        for path in (pixels, traces):
            if path.exists():
                self._place.upload(path, f"{_PIECES}{path.name}")
        if self.stored_digest() != store.stored_digest():
            msg = f"{self.address} belongs to another run by now"
            raise RunInterruptedError(msg)
        self._place.upload(receipt, f"{_PIECES}{receipt.name}")
        for path in (receipt, traces, pixels):
            path.unlink(missing_ok=True)

    def fetch(self, store: RunStore, suffixes: Iterable[str]) -> None:
        """Bring the pieces with these suffixes into the local run store."""
        wanted = frozenset(suffixes)

        def bring(found: StoredObject) -> None:
            path = store.pieces / PurePosixPath(found.name).name
            self._place.download(found.name, path, size_bytes=found.size_bytes)

        listed = self._place.objects(_PIECES)
        in_parallel(bring, [o for o in listed if PurePosixPath(o.name).suffix in wanted])

    # Results --------------------------------------------------------------------------------

    def stage(self, store: RunStore, attempt: str) -> None:
        """Send the files in ``store.final`` up."""

        def send(path: Path) -> None:
            self._place.upload(path, f"{_staged(attempt)}{path.name}")

        in_parallel(send, sorted(path for path in store.final.iterdir() if path.is_file()))

    def publish(self, attempt: str, names: Iterable[str]) -> None:
        """Copy the staged files to their names, the record last; remove the pieces.

        Raises:
            OutputError: A file is missing, the bucket cannot be written, or the hold is lost.
        """
        self._require_held()
        place, folder, wanted = self._place, _staged(attempt), tuple(names)
        there = {found.name for found in place.objects(folder)}
        missing = [name for name in wanted if f"{folder}{name}" not in there]
        if missing:
            msg = f"{self.address}/{folder} lacks {missing[0]}, which a worker said it had written"
            raise OutputError(msg, hint="Does something else delete objects there?")
        place.delete([RECORD_NAME])
        place.delete(name for name in RESULT_NAMES if name not in wanted)
        rest = [name for name in wanted if name != RECORD_NAME]
        in_parallel(lambda name: place.copy(f"{folder}{name}", name), rest)
        if RECORD_NAME in wanted:
            self._require_held()
            place.copy(f"{folder}{RECORD_NAME}", RECORD_NAME)
        self._remove_pieces()

    def locked(self) -> AbstractContextManager[None]:
        """Hold nothing: ``geoseg run`` writes to no bucket, and the root is held."""
        return nullcontext()

    def clear(self) -> None:
        """Remove the run store.

        Raises:
            OutputError: The bucket cannot be written, or the hold is lost.
        """
        self._require_held()
        self._remove_pieces()

    def _remove_pieces(self) -> None:
        """Remove the run store, the plan first: without it, pieces are nobody's."""
        self._place.delete([_PLAN])
        self._place.delete([found.name for found in self._place.objects(f"{STORE_NAME}/")])
        self._place.abandon_uploads(f"{STORE_NAME}/")

    def _require_held(self) -> None:
        if self.lease is not None:
            self.lease.require_held()


class BucketRoot:
    """Place of a batch in a bucket; in the client it keeps the hold on it."""

    def __init__(self, bucket: Bucket, times: LeaseTimes = DEFAULT_TIMES) -> None:
        """Name the place; nothing is asked of the server yet."""
        self._bucket = bucket
        self._lease = Lease(bucket, _LOCK, times)

    @classmethod
    def at(cls, address: str) -> BucketRoot:
        """Return the root that ``s3://bucket/prefix`` names.

        Raises:
            OptionError: It is no such address.
        """
        return cls(bucket_at(address))

    def __reduce__(self) -> tuple[object, ...]:
        """Travel without the hold, which stays with the client."""
        return BucketRoot, (self._bucket,)

    @property
    def address(self) -> str:
        """``s3://bucket/prefix``."""
        return self._bucket.address

    def home(self, scene_id: str) -> BucketHome:
        """Return the place of a scene."""
        return BucketHome(self._bucket, scene_id, self._lease)

    def finished(self, scene_ids: Iterable[str]) -> set[str]:
        """Return which of these scenes have the record of a complete result.

        A few are asked for one by one. Of many, what lies between the first and the last is
        listed, a thousand names a request, in as many shares as threads.
        """
        ids = sorted(scene_ids, key=lambda scene_id: f"{scene_id}/")
        if len(ids) <= _FEW:
            found = in_parallel(lambda name: self.home(name).is_finished(), ids)
            return {name for name, is_there in zip(ids, found, strict=True) if is_there}
        share = -(-len(ids) // _LISTERS)
        shares = [ids[first : first + share] for first in range(0, len(ids), share)]
        listed = in_parallel(lambda part: self._with_record(part[0], part[-1]), shares)
        return set(ids) & set().union(*listed)

    def _with_record(self, first: str, last: str) -> set[str]:
        """Return the scenes from ``first`` to ``last`` that have a record."""
        after, end, more = f"{first}/", f"{last}{_AFTER_SLASH}", True
        found: set[str] = set()
        while more and after < end:
            page, more = self._bucket.page(after=after)
            for name, _ in page:
                scene_id, _, rest = name.partition("/")
                if rest == RECORD_NAME:
                    found.add(scene_id)
            after = _beyond_pieces(page[-1].name) if page else end
        return found

    def read_text(self, name: str) -> str | None:
        """Return a small file below the root, or None where there is none."""
        return self._bucket.read_text(name)

    def write_text(self, name: str, text: str) -> None:
        """Write a small file, completely or not at all.

        Raises:
            OutputError: It cannot be written, or the hold is lost.
        """
        self._lease.require_held()
        self._bucket.write_text(name, text)

    def names(self, prefix: str) -> list[str]:
        """Return the names below a relative folder, sorted."""
        return self._bucket.names(prefix)

    def delete(self, name: str) -> None:
        """Remove a small file, if it is there."""
        self._lease.require_held()
        self._bucket.delete([name])

    def held(self) -> bool:
        """Tell whether this client still holds the root; see :mod:`geoseg.objects.lease`."""
        return self._lease.held()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the root for this client.

        Raises:
            OutputError: Another client holds it, or it cannot be written.
        """
        with self._lease.hold():
            yield


def _staged(attempt: str) -> str:
    return f"{STORE_NAME}/staged-{attempt}/"


def _beyond_pieces(name: str) -> str:
    """Return where to go on behind a name: past a run store, which may hold many pieces."""
    scene_id, _, rest = name.partition("/")
    inside = rest.startswith(f"{STORE_NAME}/")
    return f"{scene_id}/{STORE_NAME}{_AFTER_SLASH}" if inside else name


def _receipt(data: bytes | None) -> Receipt | None:
    try:
        return None if data is None else receipt_of(json.loads(data))
    except ValueError:
        return None
