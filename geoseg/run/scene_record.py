"""What the files of a finished scene tell of it, where the ledger does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from geoseg.redact import shown_address
from geoseg.run.publish import RECORD_NAME
from geoseg.run.scene_job import SceneJob, SceneOutcome, outcome_of
from geoseg.run.scene_work import utc_now

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["recorded_outcome"]

_BBOX_LENGTH: Final = 4


def recorded_outcome(root: Root, job: SceneJob) -> SceneOutcome:
    """Return the outcome of a scene that has its ``run.json``.

    What a damaged file does not tell is left out: the map is there all the same.

    Raises:
        OutputError: The root cannot be read.
    """
    base = SceneOutcome(
        scene_id=job.scene_id, scene=shown_address(job.address), state="done", at=utc_now()
    )
    record = _json(root.read_text(f"{job.scene_id}/{RECORD_NAME}"))
    item = _json(root.read_text(f"{job.scene_id}/item.json"))
    try:
        return outcome_of(base.as_json() | _facts(record, item, base.at))
    except (AttributeError, KeyError, TypeError, ValueError):
        return base


def _facts(record: dict[str, Any], item: dict[str, Any], now: str) -> dict[str, Any]:
    result, blocks = record["result"], record["blocks"]["count"]
    bbox, properties = item.get("bbox"), item.get("properties", {})
    is_placed = isinstance(bbox, list) and len(bbox) == _BBOX_LENGTH
    return {
        "at": properties.get("created") or now,
        "blocks": blocks,
        "blocks_done": blocks,
        "output_px": result["output_px"],
        "valid_px": result["valid_px"],
        "elapsed_s": record["seconds"]["elapsed"],
        "bbox": bbox if is_placed else None,
        "acquired": properties.get("datetime"),
        "class_px": [(c["class_name"], c["px_count"]) for c in result["classes"]],
        "n_polygons": result["polygons"],
    }


def _json(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
