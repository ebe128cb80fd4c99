"""geoseg in QGIS: land-cover maps of layers of any size, computed by the geoseg command."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802, ANN401 - QGIS asks for this name
    """Return the plugin; nothing else is imported when QGIS starts."""
    from .plugin import GeosegPlugin  # noqa: PLC0415 - not before QGIS asks

    return GeosegPlugin(iface)
