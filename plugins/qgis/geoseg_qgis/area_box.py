"""Which part: the whole layer, the view, a drawing, or the polygons of a layer."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsGeometry, QgsMapLayerProxyModel, QgsRasterLayer, QgsRectangle
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .area import DrawTool, box_text, geojson_area
from .engine import EngineError
from .export import in_crs
from .layers import area_file
from .settings import data_folder
from .text import tr
from .widgets import WrapLabel

__all__ = ["AreaBox"]

_DRAWN = ("rectangle", "polygon")


class AreaBox(QGroupBox):
    """What ``--aoi`` becomes."""

    changed = pyqtSignal()
    """Another area is chosen."""

    def __init__(self, canvas: Any, parent: QWidget | None = None) -> None:
        """Make the parts.

        Args:
            canvas: QGIS' map.
            parent: The panel.
        """
        super().__init__(tr("Area to map"), parent)
        self._canvas = canvas
        self._geometry: QgsGeometry | None = None
        self._tool: DrawTool | None = None
        self._before: Any = None
        self.combo = QComboBox()
        for value, text in (
            ("layer", tr("Whole layer")),
            ("view", tr("What the map shows")),
            ("rectangle", tr("A rectangle that I draw")),
            ("polygon", tr("A polygon that I draw")),
            ("polygons", tr("Polygons of a layer")),
        ):
            self.combo.addItem(text, value)
        self.draw = QPushButton(tr("Draw"))
        self.draw.setCheckable(True)
        self.polygons = QgsMapLayerComboBox()
        self.polygons.setFilters(QgsMapLayerProxyModel.Filter.PolygonLayer)
        self.polygons.setAllowEmptyLayer(True)
        self.note = WrapLabel()
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.draw)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addWidget(self.polygons)
        layout.addWidget(self.note)
        self.combo.currentIndexChanged.connect(self._choose)
        self.draw.toggled.connect(self._draw)
        self.polygons.layerChanged.connect(lambda _: self._tell())
        self._canvas.extentsChanged.connect(self._view_moved)
        self._choose()

    def mode(self) -> str:
        """Return what is chosen: ``layer``, ``view``, ``rectangle``, ``polygon``, ``polygons``."""
        return str(self.combo.currentData())

    def choose(self, mode: str) -> None:
        """Choose by name; a drawing is not brought back."""
        index = self.combo.findData(mode)
        if index >= 0 and mode not in _DRAWN:
            self.combo.setCurrentIndex(index)

    def set_drawn(self, geometry: QgsGeometry) -> None:
        """Take a drawing."""
        self._geometry = geometry
        self.draw.setChecked(False)
        self._tell()

    def value(self, layer: QgsRasterLayer) -> str | None:
        """Return what ``--aoi`` takes; None for the whole layer.

        Raises:
            EngineError: Nothing is drawn or chosen yet.
        """
        mode = self.mode()
        if mode == "layer":
            return None
        if mode == "polygons":
            return self._polygon_value()
        if mode == "polygon":
            return geojson_area(self._drawn(), self._canvas_crs(), data_folder() / "areas")
        box = self.extent(layer)
        return box_text(box)

    def extent(self, layer: QgsRasterLayer) -> QgsRectangle:
        """Return the chosen area's box in the layer's CRS.

        Raises:
            EngineError: Nothing is drawn or chosen yet.
        """
        mode = self.mode()
        if mode == "layer":
            return layer.extent()
        if mode == "polygons":
            polygons = self._polygon_layer()
            return in_crs(polygons.extent(), polygons.crs(), layer.crs())
        shown = self._canvas.extent() if mode == "view" else self._drawn().boundingBox()
        if mode == "view" and self._shows_all_of(layer, shown):
            return layer.extent()
        return in_crs(shown, self._canvas_crs(), layer.crs())

    def _shows_all_of(self, layer: QgsRasterLayer, shown: QgsRectangle) -> bool:
        """Tell whether the map shows a whole layer; the rest of the world does not matter."""
        try:
            return shown.contains(in_crs(layer.extent(), layer.crs(), self._canvas_crs()))
        except EngineError:
            return False

    def _canvas_crs(self) -> Any:
        return self._canvas.mapSettings().destinationCrs()

    def _drawn(self) -> QgsGeometry:
        if self._geometry is None:
            raise EngineError(tr("No area is drawn"), tr("Press Draw and draw it on the map."))
        return self._geometry

    def _polygon_layer(self) -> Any:
        found = self.polygons.currentLayer()
        if found is None:
            raise EngineError(
                tr("No polygon layer is chosen"), tr("Choose one, or another kind of area.")
            )
        return found

    def _polygon_value(self) -> str:
        return area_file(self._polygon_layer(), data_folder() / "areas")

    # Reacting ------------------------------------------------------------------------------

    def _choose(self) -> None:
        mode = self.mode()
        self.polygons.setVisible(mode == "polygons")
        self.draw.setVisible(mode in _DRAWN)
        self._geometry = None
        self.clear()
        if mode in _DRAWN:
            self.draw.setChecked(True)
        self._tell()

    def _tell(self) -> None:
        mode = self.mode()
        text = ""
        if mode == "rectangle" and self._geometry is None:
            text = tr("Drag a rectangle on the map.")
        elif mode == "polygon" and self._geometry is None:
            text = tr("Click the corners on the map; the right button ends the polygon.")
        self.note.tell(text)
        self.changed.emit()

    def _view_moved(self) -> None:
        if self.mode() == "view":
            self.changed.emit()

    def _draw(self, begin: bool) -> None:
        if not begin:
            if self._tool is not None and self._canvas.mapTool() is self._tool:
                self._canvas.setMapTool(self._before or self._tool)
                if self._before is None:
                    self._canvas.unsetMapTool(self._tool)
            return
        self.clear()
        self._geometry = None
        self._before = self._canvas.mapTool()
        self._tool = DrawTool(self._canvas, polygon=self.mode() == "polygon")
        self._tool.drawn.connect(self.set_drawn)
        self._canvas.setMapTool(self._tool)

    def clear(self) -> None:
        """Take the drawing off the map."""
        if self._tool is not None:
            self._tool.clear()
            if self._canvas.mapTool() is self._tool:
                self._canvas.unsetMapTool(self._tool)
            self._tool = None
        self.draw.setChecked(False)

    def leave(self) -> None:
        """QGIS ends, or the plugin is taken away."""
        self.clear()
        self._canvas.extentsChanged.disconnect(self._view_moved)
