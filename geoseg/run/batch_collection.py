"""A batch's results as one STAC 1.1 Collection.

https://github.com/radiantearth/stac-spec/blob/v1.1.0/collection-spec/collection-spec.md

The collection links to the items that each scene's result holds, and the items do not link back:
they are the same files, byte for byte, that ``geoseg run`` writes, and stay true when a scene's
folder is taken out of the batch. STAC asks for ``collection`` in an item only beside such a link.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from geoseg.run.batch_facts import BatchFacts, scene_href
from geoseg.run.moments import moment_of, utc_text
from geoseg.run.scene_job import SceneOutcome

__all__ = ["class_colours", "collection_text"]

_OF_ONE_FILE: Final = frozenset({"href", "file:size", "file:checksum"})
_EXTENSIONS: Final = ("/classification/", "/raster/")
_LEAST_FIELDS: Final = 2
_HINT: Final = re.compile(r"[0-9A-Fa-f]{6}")
_WORLD: Final = [-180.0, -90.0, 180.0, 90.0]


def collection_text(facts: BatchFacts) -> str:
    """Return ``collection.json``: extent, classes and items of all finished scenes."""
    done = sorted((o for o in facts.outcomes if o.state == "done"), key=lambda o: o.scene_id)
    classes = _classes(facts.example)
    head: dict[str, Any] = {
        "type": "Collection",
        "stac_version": "1.1.0",
        "stac_extensions": _extensions(facts.example),
        "id": facts.name,
        "title": f"Land cover: {facts.name}",
        "description": _description(facts, done),
        "license": facts.license,
        "extent": {
            "spatial": {"bbox": [_bbox(done)]},
            "temporal": {"interval": [_interval(done)]},
        },
        "summaries": {"classification:classes": classes} if classes else {},
        "item_assets": _item_assets(facts.example),
    }
    links = [
        {"rel": "root", "href": "./collection.json", "type": "application/json"},
        {"rel": "alternate", "href": "./index.html", "type": "text/html", "title": "Summary"},
        *(
            {
                "rel": "item",
                "href": f"{scene_href(o.scene_id)}item.json",
                "type": "application/geo+json",
                "title": o.scene_id,
            }
            for o in done
        ),
    ]
    rows = ",\n".join(json.dumps(link) for link in links)
    # One link per line: ten thousand of them can still be read, and compared.
    return f'{json.dumps(head, indent=1)[:-2]},\n "links": [\n{rows}\n]\n}}\n'


def class_colours(example: Mapping[str, Any] | None) -> dict[str, str]:
    """Return ``#rrggbb`` by class name, as a scene's item tells them."""
    found = {c["name"]: c.get("color_hint") for c in _classes(example)}
    return {
        name: f"#{hint}"
        for name, hint in found.items()
        if isinstance(hint, str) and _HINT.fullmatch(hint)
    }


def _description(facts: BatchFacts, done: list[SceneOutcome]) -> str:
    text = f"Land-cover maps of {len(done):,} scene{'s' * (len(done) != 1)}, made by geoseg"
    if facts.options is not None:
        text += f" with model {_last_part(facts.options.scene.model)}"
    unplaced = sum(o.bbox is None for o in done)
    return f"{text}. {unplaced:,} of them have no place on Earth." if unplaced else f"{text}."


def _last_part(model: str) -> str:
    """Return the name of a model; where it lies on somebody's disk is nobody's concern."""
    return model.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _bbox(done: Iterable[SceneOutcome]) -> list[float]:
    """Return the box around all scenes; the world where none has a place."""
    boxes = [o.bbox for o in done if o.bbox is not None]
    if not boxes:
        return _WORLD
    # West of a scene across the date line is greater than its east (RFC 7946, 5.2).
    crosses = any(west > east for west, _, east, _ in boxes)
    return [
        -180.0 if crosses else min(b[0] for b in boxes),
        min(b[1] for b in boxes),
        180.0 if crosses else max(b[2] for b in boxes),
        max(b[3] for b in boxes),
    ]


def _interval(done: Iterable[SceneOutcome]) -> list[str | None]:
    """Return first and last time of acquisition, of the scenes that tell it."""
    times = [t for o in done if (t := moment_of(o.acquired)) is not None]
    return [utc_text(min(times)), utc_text(max(times))] if times else [None, None]


def _assets(example: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the assets of an item, which is a file that anyone may have changed."""
    found = (example or {}).get("assets")
    if not isinstance(found, dict):
        return {}
    return {str(name): asset for name, asset in found.items() if isinstance(asset, dict)}


def _item_assets(example: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what assets items have; core of STAC since 1.1, an extension before."""
    found = {
        name: {key: value for key, value in asset.items() if key not in _OF_ONE_FILE}
        for name, asset in _assets(example).items()
    }
    return {name: asset for name, asset in found.items() if len(asset) >= _LEAST_FIELDS}


def _classes(example: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    found = _assets(example).get("classes", {}).get("classification:classes")
    rows = [c for c in (found if isinstance(found, list) else []) if isinstance(c, dict)]
    return [c for c in rows if isinstance(c.get("value"), int) and isinstance(c.get("name"), str)]


def _extensions(example: Mapping[str, Any] | None) -> list[str]:
    found = (example or {}).get("stac_extensions")
    return [
        address
        for address in (found if isinstance(found, list) else [])
        if isinstance(address, str) and any(part in address for part in _EXTENSIONS)
    ]
