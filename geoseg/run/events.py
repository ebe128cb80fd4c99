"""What a run tells while it works: one frozen value per event, the same for all listeners.

The JSON form (``as_json``) is what ``--json`` prints, one object per line; its fields are
documented in ``docs/json_events.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = [
    "BatchDone",
    "BatchFinished",
    "BatchReady",
    "BlockDone",
    "Event",
    "Finished",
    "GroundRead",
    "GroundSplit",
    "Looked",
    "PlanReady",
    "Progress",
    "SceneChanged",
    "ScenesSoFar",
    "StageStarted",
    "TrainReady",
    "Trained",
    "VectoriseReady",
    "Warned",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    @property
    def kind(self) -> str:
        """Name of the event in JSON."""
        return _KINDS[type(self)]

    def as_json(self) -> dict[str, Any]:
        """Return the event as JSON values, ``event`` first."""
        return {"event": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReady(Event):
    """The plan is made; nothing has been computed yet."""

    scene: str
    out: str
    model: str
    device: str
    precision: str
    backend: str
    blocks: int
    blocks_done: int
    """Blocks already finished by an interrupted run."""
    windows: int
    window_px: tuple[int, int]
    halo_px: int
    redundancy: float
    output_px: int
    """Pixels of the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectoriseReady(Event):
    """A class raster is open and fits; nothing has been traced yet."""

    raster: str
    out: list[str]
    """Files to make."""
    blocks: int
    blocks_done: int
    """Blocks already finished by an interrupted run."""
    block_px: tuple[int, int]
    """(height, width) of a block."""
    output_px: int
    """Pixels of the raster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDone(Event):
    """One block is committed."""

    blocks_done: int
    blocks: int
    px_done: int
    """Pixels of the result so far, nodata included."""
    output_px: int
    elapsed_s: float
    piece: str | None = None
    """File of the block's pixels; None where nothing was valid, and from ``vectorise``."""
    window: tuple[int, int, int, int] | None = None
    """Scene pixels that the piece covers: first row, first column, height, width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage after the blocks: ``polygons`` or ``sieve``, ``mosaic``, ``metadata``."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """Something the user should know; the run goes on."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReady(Event):
    """Scenes and labels are open and fit; nothing has been computed yet."""

    out: str
    scenes: int
    classes: list[str]
    network: str
    device: str
    precision: str
    gsd_m: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundRead(Event):
    """Labelled ground is being read."""

    blocks_done: int
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundSplit(Event):
    """The ground is dealt out."""

    block_px: int
    blocks: dict[str, int]
    """Blocks by part: train, validation, test."""
    class_px: dict[str, dict[str, int]]
    """Labelled pixels by part and class."""
    steps: int
    """Batches to come, those of an interrupted training included."""
    steps_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDone(Event):
    """The weights have moved once."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked(Event):
    """The averaged weights were tried on the validation ground."""

    step: int
    mean_iou: float
    overall: float
    loss: float
    """Mean training loss since the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained(Event):
    """The model folder is in place."""

    out: str
    elapsed_s: float
    best_step: int
    temperature: float
    accuracy: dict[str, dict[str, Any]]
    """By part of the ground: mean_iou, overall_accuracy, expected_calibration_error, classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """All files are in place."""

    out: str
    elapsed_s: float
    files: dict[str, str]
    """Layer name to path."""
    classes: list[dict[str, Any]]
    """Per class: class_id, class_name, px_count, area_m2, share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReady(Event):
    """The scenes of a batch are listed, its place is held; no worker has been asked yet."""

    out: str
    """Root of the results."""
    session: str
    scenes: int
    """Scenes asked for."""
    to_do: int
    """Those that are neither done nor given up."""
    done_before: int
    failed_before: int
    """Scenes that failed in an earlier session and are left alone."""
    older: int
    """Scenes that ``--since`` leaves out."""
    scheduler: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneChanged(Event):
    """A scene of a batch is begun, planned, done or given up."""

    scene_id: str
    scene: str
    state: str
    """``running``, ``done`` or ``failed``."""
    reason: str | None
    hint: str | None
    blocks: int
    """0 before it is planned."""
    blocks_done: int
    output_px: int
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenesSoFar(Event):
    """Where a batch stands; about once a second."""

    done: int
    """Scenes of this session."""
    failed: int
    running: int
    waiting: int
    blocks: int
    """Blocks of the scenes planned so far."""
    blocks_done: int
    px_done: int
    in_flight: int
    """Tasks that the workers have."""
    workers: int
    threads: int
    """Tasks that they run at a time."""
    elapsed_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchFinished(Event):
    """A session of a batch is over and its reports are written."""

    out: str
    done: int
    """Scenes that are complete, those of earlier sessions included."""
    failed: int
    """Scenes that are not, those of earlier sessions included."""
    elapsed_s: float
    px_done: int
    """Pixels of this session."""


_KINDS: dict[type[Event], str] = {
    PlanReady: "plan",
    VectoriseReady: "vectorise",
    BlockDone: "block",
    StageStarted: "stage",
    Warned: "warning",
    Finished: "finished",
    TrainReady: "train",
    GroundRead: "ground",
    GroundSplit: "split",
    BatchDone: "batch",
    Looked: "look",
    Trained: "trained",
    BatchReady: "batch_ready",
    SceneChanged: "scene",
    ScenesSoFar: "progress",
    BatchFinished: "batch_finished",
}

Progress = Callable[[Event], None]
"""Called from the thread that started the run."""
