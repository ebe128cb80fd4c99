"""The ledger: what became of each scene of a batch, in a few files however many scenes.

``.batch/ledger`` below the root holds segments of JSON lines, one line per scene. A session
rewrites its own newest segment as a whole, so that a line is there completely or not at all on
object stores too, where nothing can be appended. Segments are read in the order of their names;
a later line about a scene replaces an earlier one.

The ledger is an index. Whether a scene is complete is told by its own ``run.json``, so losing
the last second of the ledger costs a look at a few scenes and nothing else.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from geoseg.errors import OutputError
from geoseg.run.scene_job import SceneOutcome, outcome_of
from geoseg.run.scene_names import portable_name

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["Ledger", "ledger_sessions"]

_log = logging.getLogger(__name__)
_FOLDER: Final = ".batch/ledger"
_SEGMENT: Final = re.compile(r"(?P<session>[0-9]{6}-[0-9A-Za-z]+)-(?P<number>[0-9]{6})\.jsonl")
_SEGMENT_LINES: Final = 500
"""A full segment is about 300 kB: what is rewritten each second while scenes finish."""
_INTERVAL_S: Final = 1.0
_LOOKS: Final = 5
# A name leads to the scene's folder; whoever writes the ledger must not choose another one.
_UNREADABLE: Final = "\0"
_TEXTS: Final = ("scene_id", "scene", "at")
_OPTIONAL_TEXTS: Final = ("reason", "hint", "acquired")
_COUNTS: Final = ("blocks", "blocks_done", "output_px", "valid_px", "retries")
_SECONDS: Final = ("elapsed_s", "worker_s")
_BBOX_LENGTH: Final = 4


class Ledger:
    """Outcomes of a batch's scenes by id. One thread of the client that holds the root uses it."""

    def __init__(
        self, root: Root, session: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read what earlier sessions left.

        Args:
            root: Place of the batch.
            session: Name of this session, as :func:`geoseg.run.sessions.begin_session` gives it.
            clock: Seconds that never go back.
        """
        self._root, self._session, self._clock = root, session, clock
        self._outcomes, self._old, self.damaged = _read(root)
        self._number = 1 + max(
            (_number(name) for name in self._old if _session(name) == session), default=0
        )
        self._segment: dict[str, str] = {}
        self._is_changed = False
        self._flushed_s = -math.inf

    @classmethod
    def read(cls, root: Root) -> Ledger:
        """Return the ledger for looking only; a session may be writing to it meanwhile."""
        return cls(root, "")

    damaged: int
    """Lines that could not be read, and were left out."""

    def __len__(self) -> int:
        return len(self._outcomes)

    def __iter__(self) -> Iterator[SceneOutcome]:
        """Yield all outcomes by scene id."""
        for scene_id in sorted(self._outcomes):
            yield self._outcomes[scene_id]

    def __contains__(self, scene_id: str) -> bool:
        return scene_id in self._outcomes

    def get(self, scene_id: str) -> SceneOutcome | None:
        """Return what is known of a scene, or None."""
        return self._outcomes.get(scene_id)

    def put(self, outcome: SceneOutcome) -> None:
        """Note what became of a scene; written within a second if ``flush`` is called on."""
        self._outcomes[outcome.scene_id] = _lean(outcome)
        self._segment.pop(outcome.scene_id, None)  # the newest line goes last
        self._segment[outcome.scene_id] = _line(outcome)
        self._is_changed = True
        self.flush()

    def flush(self, *, force: bool = False) -> None:
        """Write what changed, at most once a second; the driver calls it now and then.

        Args:
            force: Write at once, as at the end of a session.

        Raises:
            OutputError: With ``force``, it cannot be written. Without, that is logged and the
                next call tries again: a batch does not stop for its index.
        """
        if not self._is_changed or not (force or self._clock() - self._flushed_s >= _INTERVAL_S):
            return
        self._flushed_s = self._clock()
        try:
            self._root.write_text(self._name(), "".join(self._segment.values()))
        except OutputError as error:
            if force:
                raise
            _log.warning("the ledger is behind, to be tried again: %s", error)
            return
        self._is_changed = False
        if len(self._segment) >= _SEGMENT_LINES:
            self._close_segment()

    def compact(self) -> None:
        """Bring everything into one segment, at the end of a session.

        The new segment is complete before the first old one goes, and sorts after all of
        them: whenever this is killed, reading gives the same.

        Raises:
            OutputError: It cannot be written.
        """
        self.flush(force=True)
        if self._segment:
            self._close_segment()
        if len(self._old) <= 1:
            return
        self._root.write_text(self._name(), "".join(_line(outcome) for outcome in self))
        for name in self._old:
            self._root.delete(name)
        self._old = []
        self._close_segment()

    def _close_segment(self) -> None:
        self._old.append(self._name())
        self._segment = {}
        self._number += 1

    def _name(self) -> str:
        return f"{_FOLDER}/{self._session}-{self._number:06d}.jsonl"


def ledger_sessions(root: Root) -> list[str]:
    """Return the names of the sessions that left segments, oldest first."""
    return sorted({_session(name) for name in _segments(root)})


def _segments(root: Root) -> list[str]:
    """Return the names of all segments below the root, in the order that they were made."""
    found = (name.rpartition("/")[2] for name in root.names(_FOLDER))
    return [f"{_FOLDER}/{name}" for name in sorted(found) if _SEGMENT.fullmatch(name)]


def _session(name: str) -> str:
    return name.rpartition("/")[2].rpartition("-")[0]


def _number(name: str) -> int:
    return int(name.rpartition("-")[2].removesuffix(".jsonl"))


def _read(root: Root) -> tuple[dict[str, SceneOutcome], list[str], int]:
    """Return outcomes by scene, the segments that hold them, and how many lines were damaged."""
    for _ in range(_LOOKS):
        names = _segments(root)
        texts = [_text(root, name) for name in names]
        if None not in texts:
            break
        # A session that ends brought them together meanwhile; what they held is in a new one.
    outcomes: dict[str, SceneOutcome] = {}
    damaged = sum(text == _UNREADABLE for text in texts)
    # What was not read is not brought together either: its file stays for who can read it.
    names = [name for name, text in zip(names, texts, strict=True) if text != _UNREADABLE]
    for text in texts:
        for line in (text or "").splitlines() if text != _UNREADABLE else ():
            outcome = _parsed(line)
            if outcome is None:
                damaged += 1
            else:
                outcomes[outcome.scene_id] = outcome
    if damaged:
        _log.warning("the ledger of %s: damaged lines left out: %d", root.address, damaged)
    return outcomes, names, damaged


def _text(root: Root, name: str) -> str | None:
    try:
        return root.read_text(name)
    except OutputError as error:
        _log.warning("a part of the ledger is left out: %s", error)
        return _UNREADABLE


def _line(outcome: SceneOutcome) -> str:
    return json.dumps(outcome.as_json(), separators=(",", ":")) + "\n"


def _parsed(line: str) -> SceneOutcome | None:
    try:
        data = json.loads(line)
        found = outcome_of(data) if isinstance(data, dict) else None
    except (ValueError, RecursionError):
        return None
    return _lean(found) if found is not None and _is_sound(found) else None


def _is_sound(found: SceneOutcome) -> bool:
    """Tell whether the values are what reports and folders count on.

    The id becomes a folder that is written to, and others may have written the ledger: only
    a name that this batch could have given stays below the root.
    """
    return (
        all(isinstance(getattr(found, name), str) for name in _TEXTS)
        and portable_name(found.scene_id) == found.scene_id
        and all(isinstance(getattr(found, name), str | None) for name in _OPTIONAL_TEXTS)
        and all(_is_count(getattr(found, name)) for name in _COUNTS)
        and (found.n_polygons is None or _is_count(found.n_polygons))
        and all(_is_number(getattr(found, name)) for name in _SECONDS)
        and (found.bbox is None or _is_bbox(found.bbox))
        and all(isinstance(text, str) for text in found.warnings)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _is_bbox(bbox: tuple[Any, ...]) -> bool:
    return len(bbox) == _BBOX_LENGTH and all(_is_number(value) for value in bbox)


def _lean(outcome: SceneOutcome) -> SceneOutcome:
    """Return the same with the few names of classes shared by all scenes."""
    return replace(outcome, class_px=tuple((sys.intern(name), px) for name, px in outcome.class_px))
