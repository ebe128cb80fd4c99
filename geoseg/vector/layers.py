"""Layers of a vector file."""

from __future__ import annotations

from geoseg.errors import OptionError

__all__ = ["layers_with_geometries", "several_layers"]


def layers_with_geometries(path: str) -> list[str]:
    """Return the names of a file's layers; styles and tables beside them are none."""
    import geopandas  # noqa: PLC0415 - 0.5 s

    layers = geopandas.list_layers(path)
    names: list[str] = layers["name"][layers["geometry_type"].notna()].tolist()
    return names


def several_layers(names: list[str], what: str) -> OptionError:
    """Return the error of a file in which nobody knows which layer is meant."""
    msg = f"found {len(names)} layers with geometries in {what}: {', '.join(names)}"
    return OptionError(msg, hint="Save the one that is meant as a file of its own.")
