"""A batch's sign of life: one small file that its client writes every few seconds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

from geoseg.errors import OutputError
from geoseg.run.scene_job import SceneState

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["Progress", "read_progress", "write_progress"]

_FILE: Final = ".batch/progress.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a session stands. Counts of blocks and pixels are those of this session."""

    at: str
    """When that was so, ISO 8601 in UTC."""
    session: str
    """Name of the session."""
    host: str
    """Machine of the client."""
    pid: int
    """Its process there."""
    scenes: Mapping[SceneState, int] = field(default_factory=dict)
    """Scenes that the session was asked for, by state."""
    blocks_done: int = 0
    """Blocks that it finished."""
    blocks_known: int = 0
    """Those, and the blocks that its planned scenes still need."""
    in_flight: int = 0
    """Blocks that workers have now."""
    workers: int = 0
    """Workers of the cluster now."""
    px_done: int = 0
    """Pixels of the blocks that it finished."""
    elapsed_s: float = 0.0
    """Since it began."""


def write_progress(root: Root, progress: Progress) -> None:
    """Replace the sign of life.

    Raises:
        OutputError: The root cannot be written.
    """
    root.write_text(_FILE, json.dumps(asdict(progress)) + "\n")


def read_progress(root: Root) -> Progress | None:
    """Return the last sign of life, or None where there is none that can be read."""
    try:
        found = Progress(**json.loads(root.read_text(_FILE) or "null"))
    except (OutputError, ValueError, TypeError):
        return None
    return found if _is_sound(found) else None


def _is_sound(found: Progress) -> bool:
    """Tell whether the values are of the types that reports count on."""
    texts = (found.at, found.session, found.host)
    counts = (
        found.pid, found.blocks_done, found.blocks_known, found.in_flight, found.workers,
        found.px_done,
    )  # fmt: skip
    return (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(count, int) for count in counts)
        and isinstance(found.elapsed_s, int | float)
        and math.isfinite(found.elapsed_s)
        and isinstance(found.scenes, dict)
        and all(isinstance(count, int) for count in found.scenes.values())
    )
