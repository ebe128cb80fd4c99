"""geoseg in QGIS: land-cover maps of layers of any size, computed by the geoseg command."""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:
    """Return the plugin; nothing else is imported when QGIS starts."""
    from .plugin import GeosegPlugin

    return GeosegPlugin(iface)
