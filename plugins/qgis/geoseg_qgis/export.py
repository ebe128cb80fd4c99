"""Web layers (XYZ, WMS, WMTS) as GeoTIFFs of a chosen extent and resolution."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
    QgsTask,
)
from qgis.PyQt.QtCore import pyqtSignal

from .engine import EngineError, Failure
from .text import tr

__all__ = ["ExportTask", "export_size", "free_target", "in_crs", "out_of_reach"]

MOST_PX = 400_000_000
"""What a server should be asked for at most: 20,000 x 20,000 pixels."""


def export_size(
    extent: QgsRectangle, crs: QgsCoordinateReferenceSystem, metres: float
) -> tuple[int, int]:
    """Return columns and rows that give pixels of a size on the ground.

    Web Mercator stretches: a metre of its own is half a metre on the ground at 60 degrees,
    so the size is measured on the ellipsoid.

    Raises:
        EngineError: The extent is empty, or too large for a server.
    """
    if extent.isEmpty() or not extent.isFinite():
        raise EngineError(
            tr("The area to export is empty"), tr("Zoom to a place, or draw a rectangle.")
        )
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsProject.instance().transformContext())
    measure.setEllipsoid("EPSG:7030")
    middle = extent.center()
    across = measure.measureLine(
        QgsPointXY(extent.xMinimum(), middle.y()), QgsPointXY(extent.xMaximum(), middle.y())
    )
    down = measure.measureLine(
        QgsPointXY(middle.x(), extent.yMinimum()), QgsPointXY(middle.x(), extent.yMaximum())
    )
    columns, rows = (max(1, math.ceil(length / metres)) for length in (across, down))
    if columns * rows > MOST_PX:
        raise EngineError(
            tr("{n} million pixels are too many to ask of a server").format(
                n=f"{columns * rows / 1e6:,.0f}"
            ),
            tr("Choose a smaller area or larger pixels."),
        )
    return columns, rows


def free_target(folder: Path, name: str) -> Path:
    """Return a GeoTIFF that is not there yet: ``name.tif``, or ``name_2.tif``, ..."""
    number = 1
    while True:
        path = folder / (f"{name}.tif" if number == 1 else f"{name}_{number}.tif")
        if not path.exists() and not _part_of(path).exists():
            return path
        number += 1


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.stem}.part.tif")


class ExportTask(QgsTask):
    """Draws a web layer into a file, in a thread of QGIS."""

    done = pyqtSignal(str)
    """The file."""
    failed = pyqtSignal(object)
    """A :class:`Failure`."""

    def __init__(
        self, layer: QgsRasterLayer, extent: QgsRectangle, metres: float, target: Path
    ) -> None:
        """Decide size and place.

        Args:
            layer: The web layer.
            extent: In the layer's CRS.
            metres: Size of a pixel on the ground.
            target: File to make, see :func:`free_target`; it is there once it is complete.

        Raises:
            EngineError: The extent is empty, or too large for a server.
        """
        super().__init__(tr("Exporting {layer}").format(layer=layer.name()), QgsTask.Flag.CanCancel)
        self._provider = layer.dataProvider().clone()
        self._crs = layer.crs()
        self._extent = extent
        self._size = export_size(extent, layer.crs(), metres)
        self._target = target
        self._part = _part_of(target)
        self._feedback = QgsRasterBlockFeedback()
        self._feedback.progressChanged.connect(self.setProgress)
        self._errors: list[str] = []
        self.failure: Failure | None = None

    def run(self) -> bool:
        """Ask the server for piece after piece."""
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._errors.append(error.strerror or str(error))
            return False
        pipe = QgsRasterPipe()
        pipe.set(self._provider)
        writer = QgsRasterFileWriter(str(self._part))
        writer.setOutputFormat("GTiff")
        writer.setCreateOptions(["COMPRESS=DEFLATE", "TILED=YES", "BIGTIFF=IF_SAFER"])
        columns, rows = self._size
        context = QgsProject.instance().transformContext()
        code: Any = writer.writeRaster(
            pipe, columns, rows, self._extent, self._crs, context, self._feedback
        )
        self._errors += list(self._feedback.errors())
        # Qt 5 has numbers here, Qt 6 members of an enumeration.
        succeeded = getattr(code, "value", code) == 0 and self._part.exists()
        succeeded = succeeded and not self._errors
        if not succeeded or self._feedback.isCanceled() or not _shows_something(self._part):
            return False
        try:
            os.replace(self._part, self._target)
        except OSError as error:
            self._errors.append(error.strerror or str(error))
            return False
        return True

    def cancel(self) -> None:
        """Stop asking."""
        self._feedback.cancel()
        super().cancel()

    def finished(self, result: bool) -> None:
        """Tell how it went, in the main thread."""
        if result:
            self.done.emit(str(self._target))
            return
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
        if self.isCanceled():
            self.failure = Failure(tr("The export was stopped"))
        else:
            self.failure = Failure(
                tr("The web layer cannot be exported: {text}").format(
                    text=(self._errors or [tr("the server gave no picture")])[0]
                ),
                tr("Try a smaller area or larger pixels, or look at the layer's address."),
            )
        self.failed.emit(self.failure)


def _shows_something(path: Path) -> bool:
    """Tell whether a picture is not transparent everywhere: tiles that fail leave holes."""
    dataset = gdal.Open(str(path))
    if dataset is None:
        return False
    alpha = dataset.GetRasterBand(dataset.RasterCount)
    if alpha.GetColorInterpretation() != gdal.GCI_AlphaBand:
        return True
    return alpha.ComputeRasterMinMax(False)[1] > 0


def in_crs(
    extent: QgsRectangle,
    source: QgsCoordinateReferenceSystem,
    target: QgsCoordinateReferenceSystem,
) -> QgsRectangle:
    """Return an extent in another CRS; unchanged where either is unknown.

    Raises:
        EngineError: It cannot be told in the other CRS.
    """
    if source == target or not source.isValid() or not target.isValid():
        return extent
    transform = QgsCoordinateTransform(source, target, QgsProject.instance())
    try:
        found = transform.transformBoundingBox(extent)
    except QgsCsException as error:
        raise out_of_reach() from error
    if not found.isFinite():
        raise out_of_reach()
    return found


def out_of_reach() -> EngineError:
    """Return what is told of an area that another CRS has no place for."""
    return EngineError(
        tr("The area reaches beyond what the layer's coordinate system can show"),
        tr("Zoom to the layer, or choose a smaller area."),
    )
