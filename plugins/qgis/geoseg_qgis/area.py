"""Which part of a scene is mapped: drawn, seen, or given by a layer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapToolEmitPoint, QgsRubberBand
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor

from .export import out_of_reach

__all__ = ["DrawTool", "box_text", "geojson_area"]

_FILL = QColor(200, 69, 45, 50)
_LINE = QColor(200, 69, 45)
_CORNERS = 3
_POLYGON = QgsGeometry.fromRect(QgsRectangle(0, 0, 1, 1)).type()
"""The type of polygons, whose name changes from one QGIS to the next."""


class DrawTool(QgsMapToolEmitPoint):
    """Draws one rectangle by dragging, or one polygon by clicking; right click ends it."""

    drawn = pyqtSignal(QgsGeometry)
    """What was drawn, in the canvas' CRS."""

    def __init__(self, canvas: Any, *, polygon: bool) -> None:
        """Prepare the rubber band."""
        super().__init__(canvas)
        self._polygon = polygon
        self._points: list[QgsPointXY] = []
        self.band = QgsRubberBand(canvas, _POLYGON)
        self.band.setFillColor(_FILL)
        self.band.setStrokeColor(_LINE)
        self.band.setWidth(2)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def canvasPressEvent(self, event: Any) -> None:
        """Begin a rectangle."""
        if not self._polygon:
            self._points = [self.toMapCoordinates(event.pos())] * 2
            self._show()

    def canvasMoveEvent(self, event: Any) -> None:
        """Follow the mouse."""
        if not self._points:
            return
        here = self.toMapCoordinates(event.pos())
        if self._polygon:
            self._show([*self._points, here])
        else:
            self._points[1] = here
            self._show()

    def canvasReleaseEvent(self, event: Any) -> None:
        """End a rectangle, or add a corner; with the right button, end a polygon."""
        if not self._polygon:
            self._end(QgsGeometry.fromRect(QgsRectangle(*self._points)))
        elif event.button() == Qt.MouseButton.RightButton:
            if len(self._points) >= _CORNERS:
                self._end(QgsGeometry.fromPolygonXY([self._points]))
        else:
            self._points.append(self.toMapCoordinates(event.pos()))
            self._show()

    def canvasDoubleClickEvent(self, event: Any) -> None:
        """End a polygon."""
        del event
        if self._polygon and len(self._points) >= _CORNERS:
            self._end(QgsGeometry.fromPolygonXY([self._points]))

    def clear(self) -> None:
        """Forget what was drawn."""
        self._points = []
        self.band.reset(_POLYGON)

    def show_geometry(self, geometry: QgsGeometry) -> None:
        """Show something that was drawn before."""
        self.band.setToGeometry(geometry, None)

    def _show(self, points: list[QgsPointXY] | None = None) -> None:
        shown = points or self._points
        shape = (
            QgsGeometry.fromPolygonXY([shown])
            if self._polygon
            else QgsGeometry.fromRect(QgsRectangle(*shown))
        )
        self.band.setToGeometry(shape, None)

    def _end(self, geometry: QgsGeometry) -> None:
        self._points = []
        if geometry.isEmpty() or not geometry.area():
            self.clear()
            return
        self.band.setToGeometry(geometry, None)
        self.drawn.emit(geometry)


def box_text(box: QgsRectangle) -> str:
    """Return a box as ``--aoi`` takes it."""
    corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
    return ",".join(f"{corner:.15g}" for corner in corners)


def geojson_area(geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, folder: Path) -> str:
    """Write a polygon as GeoJSON; the same polygon gives the same file.

    So a run that was stopped continues, and the history can repeat it after a restart.

    Raises:
        EngineError: The polygon reaches beyond the world.
    """
    world = QgsCoordinateReferenceSystem("EPSG:4326")
    shape = QgsGeometry(geometry)
    try:
        shape.transform(QgsCoordinateTransform(crs, world, QgsProject.instance()))
    except QgsCsException as error:
        raise out_of_reach() from error
    if not shape.boundingBox().isFinite():
        raise out_of_reach()
    feature = {
        "type": "Feature",
        "properties": {},
        "geometry": json.loads(shape.asJson(9)),
    }
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    path = folder / f"area-{hashlib.sha256(text.encode()).hexdigest()[:12]}.geojson"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(path)
