"""The reports of a batch beside its scenes: ``batch.json``, ``collection.json``, ``index.html``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from geoseg.run.batch_collection import collection_text
from geoseg.run.batch_facts import BatchFacts, BatchTotals, sum_outcomes
from geoseg.run.batch_page import batch_page
from geoseg.run.job_file import job_values

if TYPE_CHECKING:
    from geoseg.run.place import Root

__all__ = ["batch_json", "write_reports"]

_VERSION: Final = 1


def batch_json(facts: BatchFacts) -> str:
    """Return ``batch.json``; docs/batch_json.md describes it."""
    totals = sum_outcomes(facts.outcomes, facts.sessions)
    head: dict[str, Any] = {
        "version": _VERSION,
        "root": facts.address,
        "at": facts.at,
        "totals": _totals(totals),
        "classes": _classes(totals),
        "options": None if facts.options is None else job_values(facts.options),
        "versions": dict(facts.versions),
        "sessions": [asdict(session) for session in facts.sessions],
    }
    outcomes = sorted(facts.outcomes, key=lambda o: o.scene_id)
    rows = ",\n".join(json.dumps(outcome.as_json()) for outcome in outcomes)
    # One scene per line: for grep, and for comparing two nights.
    return f'{json.dumps(head, indent=1)[:-2]},\n "scenes": [\n{rows}\n]\n}}\n'


def write_reports(root: Root, facts: BatchFacts) -> None:
    """Write all three; ``batch.json`` last, so that who waits for it finds the others.

    Where the facts have no example, the item of the first finished scene is one.

    Raises:
        OutputError: The root cannot be written.
    """
    if facts.example is None:
        facts = replace(facts, example=_example(root, facts))
    root.write_text("collection.json", collection_text(facts))
    root.write_text("index.html", batch_page(facts))
    root.write_text("batch.json", batch_json(facts))


def _example(root: Root, facts: BatchFacts) -> Mapping[str, Any] | None:
    done = sorted(o.scene_id for o in facts.outcomes if o.state == "done")
    if not done:
        return None
    try:
        found = json.loads(root.read_text(f"{done[0]}/item.json") or "null")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _totals(totals: BatchTotals) -> dict[str, Any]:
    return {
        "scenes": totals.n_scenes,
        **{str(state): n for state, n in totals.scenes.items()},
        "blocks": totals.blocks,
        "blocks_done": totals.blocks_done,
        "output_px": totals.output_px,
        "valid_px": totals.valid_px,
        "polygons": totals.n_polygons,
        "retries": totals.retries,
        "worker_s": round(totals.worker_s, 3),
        "session_s": round(totals.session_s, 3),
        "mpx_per_s": None if totals.mpx_per_s is None else round(totals.mpx_per_s, 3),
    }


def _classes(totals: BatchTotals) -> list[dict[str, Any]]:
    valid_px = max(totals.valid_px, 1)
    return [
        {"class_name": name, "px_count": px, "share": round(px / valid_px, 6)}
        for name, px in totals.class_px
    ]
