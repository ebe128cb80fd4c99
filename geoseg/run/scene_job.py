"""What a batch knows of one scene: what to do before it starts, what became of it after."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, get_args

from geoseg.options import RunOptions

__all__ = ["SceneJob", "SceneOutcome", "SceneState", "outcome_of"]

SceneState = Literal["waiting", "running", "done", "failed"]
"""Where a scene stands. A stopped batch leaves scenes ``waiting``, with finished blocks or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneJob:
    """One scene that a batch is to map."""

    scene_id: str
    """Name of its result folder below the batch's root; unique in the batch."""
    options: RunOptions
    """What to do with it; ``out`` is None, the batch decides the place."""
    changed: datetime | None = None
    """When the scene was made or changed, as far as its source tells (UTC)."""

    @property
    def address(self) -> str:
        """Path or URL of the raster."""
        return self.options.scene


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOutcome:
    """What became of a scene; JSON values only, as the ledger keeps it."""

    scene_id: str
    """Name of the result folder."""
    scene: str
    """Address as it may be shown, without secrets."""
    state: SceneState
    """Where it stands."""
    at: str
    """When that became so, ISO 8601 in UTC."""
    reason: str | None = None
    """Why it failed, in one line."""
    hint: str | None = None
    """What to do about it."""
    blocks: int = 0
    """Blocks of the scene; 0 before it is planned."""
    blocks_done: int = 0
    """Blocks that are in the run store or in the result."""
    output_px: int = 0
    """Pixels of the result."""
    valid_px: int = 0
    """Pixels that were classified."""
    elapsed_s: float = 0.0
    """From the first block's submission to the last file, wall clock."""
    worker_s: float = 0.0
    """Seconds of all workers together spent on blocks."""
    retries: int = 0
    """Blocks or steps that were tried again."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees (CRS84)."""
    acquired: str | None = None
    """When the scene was taken, ISO 8601, where its file tells."""
    class_px: tuple[tuple[str, int], ...] = ()
    """(class name, pixels) in the legend's order."""
    n_polygons: int | None = None
    """Polygons written; None where none were asked for."""
    warnings: tuple[str, ...] = ()
    """What the user should know."""

    def as_json(self) -> dict[str, Any]:
        """Return JSON values."""
        # dataclasses.asdict copies every value deeply: 0.1 ms, for each scene of every night.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def failed(self, at: str, reason: str, hint: str | None) -> SceneOutcome:
        """Return the outcome of a scene that cannot be mapped."""
        return replace(self, state="failed", at=at, reason=reason, hint=hint)


def outcome_of(data: dict[str, Any]) -> SceneOutcome:
    """Return the outcome that ``as_json`` wrote.

    Raises:
        ValueError: It is not one, or one of another version of geoseg.
    """
    try:
        found = SceneOutcome(
            **{
                **data,
                "bbox": None if data.get("bbox") is None else tuple(data["bbox"]),
                "class_px": tuple((str(k), int(v)) for k, v in data.get("class_px", ())),
                "warnings": tuple(data.get("warnings", ())),
            }
        )
    except TypeError as error:
        raise ValueError(str(error)) from error
    if found.state not in get_args(SceneState):
        msg = f"unknown state {found.state!r}"
        raise ValueError(msg)
    return found
