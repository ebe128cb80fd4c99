"""The map while it is made: finished blocks as one raster layer that grows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from osgeo import gdal
from qgis.core import QgsProject, QgsRasterLayer

from .cards import Card
from .text import tr

__all__ = ["Preview"]

_LEAST_S = 2.0
_S_PER_PIECE = 0.01
"""A large map is looked at less often: to draw it takes longer."""


class Preview:
    """A layer of the blocks that are finished."""

    def __init__(self, folder: Path, scene: str, card: Card | None, beside: str) -> None:
        """Remember what the layer will show.

        Args:
            folder: Where its file goes.
            scene: The raster that is mapped, as GDAL opens it.
            card: Colours and names; None for none.
            beside: Id of the scene's layer, which it is put above.
        """
        self._file = folder / "preview.vrt"
        self._scene = scene
        self._card = card
        self._beside = beside
        self._pieces: dict[str, tuple[int, int, int, int]] = {}
        self._grid: tuple[int, int, tuple[float, ...], str] | None = None
        self._shown_s = 0.0
        self.layer_id = ""

    def take(self, event: dict[str, Any]) -> None:
        """Add the block of an event; draw from time to time."""
        if event.get("event") != "block" or not event.get("piece"):
            return
        row, col, height, width = event["window"]
        self._pieces[event["piece"]] = (row, col, height, width)
        if time.monotonic() - self._shown_s > max(_LEAST_S, _S_PER_PIECE * len(self._pieces)):
            self._show()
            self._shown_s = time.monotonic()

    def close(self) -> None:
        """Take the layer away."""
        if self.layer_id and QgsProject.instance().mapLayer(self.layer_id) is not None:
            QgsProject.instance().removeMapLayer(self.layer_id)
        self.layer_id = ""

    def _show(self) -> None:
        self._grid = self._grid or _grid_of(self._scene, self._beside)
        if self._grid is None:
            return
        self._file.write_text(self._vrt(), encoding="utf-8")
        layer = QgsProject.instance().mapLayer(self.layer_id) if self.layer_id else None
        if layer is None:
            # Not again where the user took it away, or opened another project.
            if not self.layer_id:
                self._add()
            return
        layer.dataProvider().reloadData()
        layer.triggerRepaint()

    def _add(self) -> None:
        layer = QgsRasterLayer(str(self._file), tr("geoseg is mapping ..."), "gdal")
        if not layer.isValid():
            return
        project = QgsProject.instance()
        project.addMapLayer(layer, False)
        root = project.layerTreeRoot()
        node = root.findLayer(self._beside)
        parent = node.parent() if node is not None else root
        position = parent.children().index(node) if node is not None else 0
        parent.insertLayer(position, layer)
        self.layer_id = layer.id()

    def _vrt(self) -> str:
        width, height, transform, wkt = self._grid or (0, 0, (), "")
        place = ", ".join(f"{number:.17g}" for number in transform)
        sources = "".join(_source(path, window) for path, window in self._pieces.items())
        return (
            f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}">'
            f"<SRS>{escape(wkt)}</SRS><GeoTransform>{place}</GeoTransform>"
            '<VRTRasterBand dataType="Byte" band="1"><NoDataValue>255</NoDataValue>'
            f"<ColorInterp>Palette</ColorInterp>{self._colours()}{sources}"
            "</VRTRasterBand></VRTDataset>"
        )

    def _colours(self) -> str:
        colours = self._card.colours() if self._card is not None else {}
        names = {c.class_id: c.name for c in self._card.classes} if self._card else {}
        entries, categories = [], []
        for class_id in range(max(colours, default=-1) + 1):
            text = colours.get(class_id, "#000000").lstrip("#")
            red, green, blue = (int(text[k : k + 2], 16) for k in (0, 2, 4))
            entries.append(f'<Entry c1="{red}" c2="{green}" c3="{blue}" c4="255"/>')
            categories.append(f"<Category>{escape(names.get(class_id, ''))}</Category>")
        return (
            f"<ColorTable>{''.join(entries)}</ColorTable>"
            f"<CategoryNames>{''.join(categories)}</CategoryNames>"
        )


def _source(path: str, window: tuple[int, int, int, int]) -> str:
    row, col, height, width = window
    size = f'xSize="{width}" ySize="{height}"'
    return (
        f'<ComplexSource><SourceFilename relativeToVRT="0">{escape(path)}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" {size}/>'
        f'<DstRect xOff="{col}" yOff="{row}" {size}/><NODATA>255</NODATA></ComplexSource>'
    )


def _grid_of(scene: str, layer_id: str) -> tuple[int, int, tuple[float, ...], str] | None:
    """Return width, height, transform and CRS.

    From the file, because layers hide rotation; of a scene on a server, which would make the
    interface wait, from its layer.
    """
    layer = QgsProject.instance().mapLayer(layer_id)
    if not Path(scene).exists() and isinstance(layer, QgsRasterLayer):
        box = layer.extent()
        across, down = layer.rasterUnitsPerPixelX(), layer.rasterUnitsPerPixelY()
        place = (box.xMinimum(), across, 0.0, box.yMaximum(), 0.0, -down)
        return layer.width(), layer.height(), place, layer.crs().toWkt()
    dataset = gdal.Open(scene)
    if dataset is None:
        return None
    transform = dataset.GetGeoTransform()
    return dataset.RasterXSize, dataset.RasterYSize, transform, dataset.GetProjection()
