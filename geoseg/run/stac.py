"""The result as a STAC 1.1 Item, with projection, raster, classification and processing.

https://github.com/radiantearth/stac-spec, v1.1.0, and the extensions named below.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.model.card import CARD_NAME
from geoseg.run.extent import extent
from geoseg.run.plan import RunPlan
from geoseg.run.report import ClassShare, RunTotals
from geoseg.version import __version__

__all__ = ["scene_item"]

_EXTENSIONS: Final = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in (
        "projection/v2.0.0", "raster/v2.0.0", "classification/v2.0.0", "processing/v1.2.0",
        "file/v2.1.0",
    )
]  # fmt: skip
_COG: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA: Final = {
    ".tif": _COG,
    ".gpkg": "application/geopackage+sqlite3",
    ".fgb": "application/vnd.flatgeobuf",
    ".parquet": "application/vnd.apache.parquet",
    ".geojson": "application/geo+json",
    ".qml": "application/xml",
}
_TITLES: Final = {
    "classes": "Land-cover classes",
    "classes_raw": "Land-cover classes before small regions were removed",
    "confidence": "Confidence of the class (0-1)",
    "scores": "Score per class (0-1)",
    "seams": "Share of overlapping windows that disagree (0-1)",
    "style": "QGIS style of the class raster",
}
_STITCHED: Final = {"crop": "cropped", "blend": "blended"}
_CHUNK_BYTES: Final = 1 << 22


def scene_item(
    plan: RunPlan, totals: RunTotals, shares: tuple[ClassShare, ...], files: dict[str, Path]
) -> dict[str, Any]:
    """Return the item that describes a finished run.

    Args:
        plan: The plan.
        totals: Counts.
        shares: Table of classes.
        files: Finished files by layer name; they lie beside the item.
    """
    grid = plan.scene.grid.subgrid(plan.output)
    place = extent(grid)
    now = _utc(datetime.now(UTC))
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": plan.out.name,
        "geometry": None,
        "properties": {
            **_when(plan, now),
            "title": f"Land cover of {plan.scene.stem}",
            **_projection(grid),
            "processing:lineage": (
                f"Classified by geoseg with model {plan.card.name} "
                f"({plan.device.text}; windows {_STITCHED[plan.stitch]})"
            ),
            "processing:software": {"geoseg": __version__},
            "processing:datetime": now,
            "geoseg:valid_px": totals.valid_px,
            "geoseg:class_share": {s.class_name: round(s.share, 6) for s in shares},
        },
        "links": [
            {"rel": "via", "href": plan.scene.label, "title": "Input scene"},
            {
                "rel": "derived_from",
                "mlm:name": plan.card.name,
                "href": (plan.model_folder / CARD_NAME).as_uri(),
                "type": "application/geo+json",
                "title": f"Model {plan.card.name}",
            },
        ],
        "assets": {name: _asset(plan, name, path) for name, path in files.items()},
    }
    if place is not None:
        item["geometry"], item["bbox"] = place
    return item


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _when(plan: RunPlan, now: str) -> dict[str, str | None]:
    """Return the scene's own time; where it has none, say so by an open interval."""
    if plan.scene.acquired is not None:
        return {"datetime": _utc(plan.scene.acquired), "created": now}
    return {
        "datetime": None,
        "start_datetime": "1970-01-01T00:00:00Z",
        "end_datetime": now,
        "created": now,
    }


def _projection(grid: PixelGrid) -> dict[str, Any]:
    t = grid.transform
    found: dict[str, Any] = {
        "proj:shape": [grid.height, grid.width],
        "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
    }
    if grid.crs is not None:
        authority = grid.crs.to_authority()
        found["proj:code"] = ":".join(authority) if authority else None
        if authority is None:
            found["proj:wkt2"] = grid.crs.to_wkt()
        found["proj:bbox"] = list(grid.bounds)
    return found


def _asset(plan: RunPlan, name: str, path: Path) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": f"./{path.name}",
        "title": _TITLES.get(name, "Land-cover polygons"),
        "type": _MEDIA[path.suffix],
        "roles": ["metadata"] if name == "style" else ["data"],
        "file:size": path.stat().st_size,
        "file:checksum": "1220" + _sha256(path),
    }
    if path.suffix != ".tif":
        return asset
    names = [c.name for c in plan.card.legend] if name == "scores" else [name]
    asset["bands"] = [_band(plan, name, band) for band in names]
    if name.startswith("classes"):
        asset["classification:classes"] = _classes(plan)
    return asset


def _band(plan: RunPlan, layer: str, name: str) -> dict[str, Any]:
    if layer.startswith("classes"):
        return {"name": name, "data_type": "uint8", "nodata": plan.card.legend.nodata_id}
    return {"name": name, "data_type": "uint8", "nodata": 255, "raster:scale": 1 / 250}


def _classes(plan: RunPlan) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "value": c.class_id,
            "name": c.name,
            "description": c.description or c.name,
            "color_hint": c.colour[1:].upper(),
        }
        for c in plan.card.legend
    ]
    nodata = plan.card.legend.nodata_id
    return [*found, {"value": nodata, "name": "nodata", "description": "nodata", "nodata": True}]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
