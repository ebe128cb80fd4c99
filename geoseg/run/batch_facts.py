"""All that the reports of a batch are made from, and the sums over its scenes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args
from urllib.parse import quote

from geoseg.options import BatchOptions
from geoseg.run.moments import seconds_between
from geoseg.run.scene_job import SceneOutcome, SceneState
from geoseg.run.sessions import Session

__all__ = ["STATES", "BatchFacts", "BatchTotals", "count_states", "scene_href", "sum_outcomes"]

STATES: tuple[SceneState, ...] = get_args(SceneState)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFacts:
    """What is known of a batch at one moment."""

    address: str
    """Its root, as it may be shown."""
    at: str
    """The moment, ISO 8601 in UTC."""
    outcomes: tuple[SceneOutcome, ...]
    """Its scenes."""
    sessions: tuple[Session, ...] = ()
    """Who worked on it, oldest first."""
    options: BatchOptions | None = None
    """What it was asked for."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of geoseg and of the libraries that decide results."""
    example: Mapping[str, Any] | None = None
    """``item.json`` of one finished scene: assets, classes and colours are as there."""
    license: str = "other"
    """SPDX identifier of the maps' licence, or ``other``."""

    @property
    def name(self) -> str:
        """Last part of the address."""
        return self.address.replace("\\", "/").rstrip("/").rpartition("/")[2] or "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTotals:
    """Sums over scenes and sessions."""

    scenes: Mapping[SceneState, int]
    """Scenes by state; all states are there."""
    blocks: int
    """Blocks of the planned scenes."""
    blocks_done: int
    """Those that are done."""
    output_px: int
    """Pixels of finished scenes, nodata included."""
    valid_px: int
    """Classified pixels of finished scenes."""
    worker_s: float
    """Seconds of all workers together."""
    retries: int
    """Blocks or steps that were tried again."""
    n_polygons: int
    """Polygons of finished scenes."""
    session_s: float
    """Seconds from begin to end of the sessions that ended."""
    mpx_per_s: float | None
    """Million pixels that those sessions did per second; None where there is nothing to tell."""
    class_px: tuple[tuple[str, int], ...]
    """(class name, pixels) of finished scenes, in the order that they are met."""

    @property
    def n_scenes(self) -> int:
        """All scenes."""
        return sum(self.scenes.values())


def scene_href(scene_id: str) -> str:
    """Return the address of a scene's folder, relative to the root."""
    # Letters of all scripts stay, as readers of STAC documents take local names as they stand.
    name = "".join(
        c if c.isprintable() and not c.isascii() else quote(c, errors="replace") for c in scene_id
    )
    return f"./{name}/"


def count_states(outcomes: Iterable[SceneOutcome]) -> dict[SceneState, int]:
    """Return how many scenes are in each state; all states are there."""
    found = Counter(outcome.state for outcome in outcomes)
    return {state: found[state] for state in STATES}


def sum_outcomes(outcomes: Iterable[SceneOutcome], sessions: Iterable[Session] = ()) -> BatchTotals:
    """Add up."""
    known = list(outcomes)
    done = [o for o in known if o.state == "done"]
    class_px: Counter[str] = Counter()
    for outcome in done:
        class_px.update(dict(outcome.class_px))
    spans = [(s.px_done, seconds_between(s.started, s.ended)) for s in sessions]
    session_s = sum(seconds for _, seconds in spans if seconds is not None)
    px = sum(px for px, seconds in spans if seconds is not None)
    return BatchTotals(
        scenes=count_states(known),
        blocks=sum(o.blocks for o in known),
        blocks_done=sum(o.blocks_done for o in known),
        output_px=sum(o.output_px for o in done),
        valid_px=sum(o.valid_px for o in done),
        worker_s=sum(o.worker_s for o in known),
        retries=sum(o.retries for o in known),
        n_polygons=sum(o.n_polygons or 0 for o in done),
        session_s=session_s,
        mpx_per_s=px / 1e6 / session_s if px and session_s > 0 else None,
        class_px=tuple(class_px.items()),
    )
