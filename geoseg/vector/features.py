"""The table of polygons: one schema for every file format."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoseg.confidence import CONFIDENCE_STEPS, NO_CONFIDENCE

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import Bounds
    from geoseg.legend import Legend

__all__ = ["Features", "LayerInfo", "feature_schema", "to_record_batch"]

GEOMETRY = "geometry"
_CONFIDENCE_DECIMALS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerInfo:
    """What a writer must know of a layer before its first polygon."""

    name: str
    """Layer name, where the format has one."""
    crs_wkt: str | None
    """CRS of the vertices, or None."""
    legend: Legend
    """Classes of the polygons."""
    bounds: Bounds
    """Outer box of the raster in world units."""
    pixel_size: float
    """Shortest side of a pixel in world units."""
    temp_dir: Path
    """Existing folder for what a format puts aside while it is written."""
    multi: bool = False
    """Geometries are MultiPolygons, all of them, and not Polygons."""

    @property
    def geometry_type(self) -> str:
        """Name of the geometry type as formats write it."""
        return "MultiPolygon" if self.multi else "Polygon"


class Features(NamedTuple):
    """Polygons with their attributes, as arrays of one length n."""

    offsets: NDArray[np.int32]
    """(n + 1,) first byte of each geometry, and the end."""
    data: NDArray[np.uint8]
    """Geometries as WKB in world coordinates, exterior rings counter-clockwise."""
    bounds: NDArray[np.float64]
    """(n, 4) left, bottom, right, top in world units."""
    class_id: NDArray[np.int32]
    area_m2: NDArray[np.float64] | None
    """Square metres on the ground, or None without a CRS."""
    stats: NDArray[np.int64]
    """(n, 4) pixels, sum of stored confidence, pixels with one, 255 minus the least."""

    @property
    def wkb(self) -> pa.Array:
        """The geometries as an Arrow column, without a copy."""
        import pyarrow as pa

        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.binary(), len(self.offsets) - 1, buffers)


def feature_schema() -> pa.Schema:
    """Return the Arrow schema: geometry, its box, then the attributes in order."""
    import pyarrow as pa

    box = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])
    return pa.schema(
        [
            pa.field(GEOMETRY, pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"}),
            ("bbox", box),
            ("class_id", pa.int32()),
            ("class_name", pa.string()),
            ("area_m2", pa.float64()),
            ("confidence_mean", pa.float64()),
            ("px_count", pa.int64()),
            ("confidence_min", pa.float64()),
        ]
    )


def to_record_batch(features: Features, legend: Legend) -> pa.RecordBatch:
    """Return features as one Arrow batch of :func:`feature_schema`."""
    import pyarrow as pa

    schema = feature_schema()
    named = sorted((item.class_id, item.name) for item in legend)
    place = np.searchsorted([class_id for class_id, _ in named], features.class_id)
    count = len(features.class_id)
    area = pa.nulls(count, pa.float64()) if features.area_m2 is None else features.area_m2
    columns = [
        features.wkb,
        pa.StructArray.from_arrays(
            [pa.array(side) for side in features.bounds.T],
            fields=list(schema.field("bbox").type),
        ),
        pa.array(features.class_id),
        pa.array([name for _, name in named], pa.string()).take(pa.array(place)),
        pa.array(area),
        pa.array(confidence_mean(features.stats), from_pandas=True),
        pa.array(features.stats[:, 0]),
        pa.array(confidence_min(features.stats), from_pandas=True),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def confidence_mean(stats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean confidence in 0..1 from counts (n, 4); NaN where no pixel has one."""
    total, known = stats[:, 1], stats[:, 2]
    mean = np.full(len(stats), np.nan)
    np.divide(total, known * CONFIDENCE_STEPS, out=mean, where=known > 0)
    return np.round(mean, _CONFIDENCE_DECIMALS)


def confidence_min(stats: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the least confidence in 0..1 from counts (n, 4); NaN where no pixel has one."""
    least = (NO_CONFIDENCE - stats[:, 3]) / CONFIDENCE_STEPS
    return np.where(stats[:, 2] > 0, least, np.nan)
