"""What the vector libraries are, and a look at a polygon layer for the self-test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geoseg.errors import OutputError

__all__ = ["VectorFacts", "layer_px_count", "vector_facts"]

_WRITTEN: Final = ("GPKG", "FlatGeobuf", "GeoJSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFacts:
    """The libraries behind polygons; their GDAL may be another than the raster one."""

    gdal: str
    """Version of the GDAL that writes layers."""
    geos: str
    """Version of the GEOS that checks geometry."""
    drivers: tuple[str, ...]
    """Formats that can be written through GDAL."""
    missing: tuple[str, ...]
    """Formats that geoseg offers and this GDAL cannot write."""


def vector_facts() -> VectorFacts:
    """Return versions and drivers of the vector libraries."""
    import pyogrio  # noqa: PLC0415 - 0.3 s
    import shapely  # noqa: PLC0415 - 0.1 s

    known = pyogrio.list_drivers(write=True)
    return VectorFacts(
        gdal=".".join(map(str, pyogrio.__gdal_version__)),
        geos=".".join(map(str, shapely.geos_version)),
        drivers=tuple(d for d in _WRITTEN if d in known),
        missing=tuple(d for d in _WRITTEN if d not in known),
    )


def layer_px_count(path: Path) -> tuple[int, int]:
    """Return (number of polygons, sum of their ``px_count``) of a polygon file.

    Raises:
        OutputError: The file cannot be read back.
    """
    import pyogrio  # noqa: PLC0415 - 0.3 s
    from pyogrio.errors import DataLayerError, DataSourceError  # noqa: PLC0415

    try:
        _, _, _, columns = pyogrio.raw.read(
            path, layer=0, columns=["px_count"], read_geometry=False
        )
    except (DataSourceError, DataLayerError) as error:
        msg = f"cannot read {path}: {error}"
        raise OutputError(msg) from error
    if not columns:
        msg = f"{path} has no attribute px_count"
        raise OutputError(msg)
    return len(columns[0]), int(columns[0].sum())
