"""Names of scenes in a batch: portable, unique, and the same every night."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from geoseg.errors import OptionError
from geoseg.redact import shown_address
from geoseg.run.addresses import file_name
from geoseg.run.scene_job import SceneJob

__all__ = ["assign_ids", "portable_name"]

# Folder names reach 255 bytes; a hash, and what stores and files add, must fit behind them.
_MOST_BYTES: Final = 160
_HASH_DIGITS: Final = 8
_KEPT: Final = frozenset("._-")
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
# A batch writes files of these kinds beside the folders of its scenes.
_FILES: Final = (".json", ".jsonl", ".html", ".tmp", ".lock")


def portable_name(text: str) -> str:
    """Return a text as a folder name that every system and object store takes.

    Letters and digits of all scripts, ``.``, ``_`` and ``-`` stay, the rest becomes ``_``. The
    result is not empty, begins with neither ``.`` nor ``-``, and is its own portable name.
    """
    kept = "".join(
        c if c in _KEPT or unicodedata.category(c)[0] in "LMN" else "_"
        for c in unicodedata.normalize("NFC", text)
    )
    name = _shortened(re.sub(r"_{2,}", "_", kept).lstrip(".-")).rstrip(".")
    # A mark without its letter would join what is written before the name.
    while name and unicodedata.category(name[0])[0] == "M":
        name = name[1:].lstrip(".-")
    if _DEVICES.match(name):
        name = f"_{name}"
    if name.casefold().endswith(_FILES):
        stem, _, suffix = name.rpartition(".")
        name = f"{stem}_{suffix}"
    return name if name.strip("_") else "scene"


def _shortened(name: str) -> str:
    return name.encode()[:_MOST_BYTES].decode(errors="ignore")


def assign_ids(jobs: Sequence[SceneJob], known: Mapping[str, str]) -> tuple[SceneJob, ...]:
    """Give every scene its name in the batch.

    A name that a list or STAC item gives stays. Otherwise a scene keeps the name of earlier
    nights; a new one is called after its file, with eight digits of its address's SHA-256
    where another scene has or wants that name. The order of the scenes does not matter, nor
    do names that differ in case only count as different.

    Args:
        jobs: Scenes; ``scene_id`` is empty where none was given.
        known: Names of earlier nights by address, as :func:`geoseg.redact.shown_address`
            shows it: signatures of URLs change from night to night.

    Raises:
        OptionError: Two scenes have the same given name, or one has the name under which
            another of the batch is known.
    """
    keys = [shown_address(job.address) for job in jobs]
    ids = [job.scene_id or known.get(key, "") for job, key in zip(jobs, keys, strict=True)]
    _refuse_doubles(jobs, ids)
    taken = {_folded(name) for name in (*known.values(), *ids) if name}
    stems = {
        key: portable_name(PurePosixPath(file_name(key)).stem)
        for key, job in zip(keys, jobs, strict=True)
        if not job.scene_id
    }
    # Those with a name count, too: what is known may be a part of what was there, after a kill.
    wanted = Counter(map(_folded, stems.values()))
    named = _distinct({key: stem for key, stem in stems.items() if key not in known}, taken, wanted)
    return tuple(
        replace(job, scene_id=name or named[key])
        for job, key, name in zip(jobs, keys, ids, strict=True)
    )


def _distinct(
    stems: Mapping[str, str], taken: Iterable[str], wanted: Mapping[str, int]
) -> dict[str, str]:
    """Return a name for each address, none of them taken.

    Args:
        stems: New addresses, and what they are called.
        taken: Names that are gone.
        wanted: How many scenes of the batch are called so.
    """
    gone = set(taken)
    hashed: dict[str, str] = {}
    while True:
        # A file may be called as another one is with its hash; then it takes its own.
        used = gone | {_folded(name) for name in hashed.values()}
        more = [
            key
            for key, stem in stems.items()
            if key not in hashed and (wanted[_folded(stem)] > 1 or _folded(stem) in used)
        ]
        if not more:
            return {**stems, **hashed}
        for key in sorted(more):
            hashed[key] = _with_hash(stems[key], key, gone)


def _with_hash(stem: str, key: str, gone: set[str]) -> str:
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
    for digits in range(_HASH_DIGITS, len(digest) + 1, _HASH_DIGITS):
        name = f"{stem}_{digest[:digits]}"
        if _folded(name) not in gone:
            break
    gone.add(_folded(name))
    return name


def _folded(name: str) -> str:
    """Return what file systems that ignore case compare."""
    return unicodedata.normalize("NFC", name.casefold())


def _refuse_again(shown: str, seen: set[str]) -> None:
    if shown in seen:
        msg = f"{shown} is named twice without an id"
        raise OptionError(msg, hint="Give each an id of its own in the column id of a CSV.")
    seen.add(shown)


def _refuse_doubles(jobs: Sequence[SceneJob], ids: Sequence[str]) -> None:
    first: dict[str, SceneJob] = {}
    nameless: set[str] = set()
    for job, name in zip(jobs, ids, strict=True):
        if not name:
            _refuse_again(shown_address(job.address), nameless)
            continue
        other = first.setdefault(_folded(name), job)
        if other is not job:
            msg = (
                f"two scenes have the id {name!r}: {shown_address(other.address)} and "
                f"{shown_address(job.address)}"
            )
            raise OptionError(msg, hint="Give them ids of their own in the column id of a CSV.")
