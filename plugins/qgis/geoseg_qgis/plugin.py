"""What QGIS sees of the plugin: a button, and algorithms; everything else comes when asked."""

from __future__ import annotations
