"""``geoseg run`` in Processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputFile,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
)

from ..engine import EngineError
from ..labels import label
from ..layers import absolute, raster_source, result_style
from ..text import tr
from .base import EngineAlgorithm, crs_text, folder_of

__all__ = ["Segment"]


class Segment(EngineAlgorithm):
    """Map the land cover of a raster layer."""

    command = "run"
    front = ("MODEL", "AOI", "EXTENT", "MIN_AREA", "SMOOTH", "OVERWRITE", "LOAD", "OUT")

    def name(self) -> str:
        """Return the id."""
        return "segment"

    def title(self) -> str:
        """Return the name in the toolbox."""
        return tr("Segment raster")

    def summary(self) -> str:
        """Return the help."""
        return tr(
            "Maps the land cover of a raster layer of any size: a class raster with colours, "
            "the confidence of every pixel, and polygons, in a folder of their own. A run that "
            "was stopped continues when it is repeated with the same folder."
        )

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the parameters that are layers, folders or CRSs."""
        text = label(name, self.command)
        if name == "SCENE":
            return QgsProcessingParameterRasterLayer(name, text)
        if name == "AOI":
            polygons = QgsProcessing.SourceType.TypeVectorPolygon
            return QgsProcessingParameterFeatureSource(name, text, [polygons], optional=True)
        if name == "CRS":
            return QgsProcessingParameterCrs(name, text, optional=True)
        if name == "OUT":
            return QgsProcessingParameterFolderDestination(name, text)
        return None

    def extra(self) -> list[QgsProcessingParameterDefinition]:
        """Return what --aoi takes as numbers, and whether to show the results."""
        extent = QgsProcessingParameterExtent("EXTENT", label("EXTENT"), optional=True)
        load = QgsProcessingParameterBoolean("LOAD", label("LOAD"), defaultValue=True)
        return [extent, load]

    def declare_outputs(self) -> None:
        """Declare what later steps of a model can take."""
        self.addOutput(QgsProcessingOutputRasterLayer("CLASSES", tr("Classes")))
        self.addOutput(QgsProcessingOutputRasterLayer("CONFIDENCE_RASTER", tr("Confidence")))
        self.addOutput(QgsProcessingOutputVectorLayer("POLYGONS", tr("Polygons")))
        self.addOutput(QgsProcessingOutputFile("RECORD", tr("Record of the run")))

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: Any
    ) -> bool:
        """Remember whether the results are shown."""
        self._load = self.parameterAsBool(parameters, "LOAD", context)
        return super().prepareAlgorithm(parameters, context, feedback)

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return layers as files and extents as numbers."""
        del folder
        if name == "SCENE":
            return raster_source(self.parameterAsRasterLayer(parameters, name, context))
        if name == "CRS":
            return crs_text(self.parameterAsCrs(parameters, name, context))
        if name == "OUT":
            return folder_of(self.parameterAsString(parameters, name, context))
        return self._aoi(parameters, context)

    def _aoi(self, parameters: dict[str, Any], context: QgsProcessingContext) -> str | None:
        layer = self.parameterAsRasterLayer(parameters, "SCENE", context)
        if parameters.get("AOI"):
            formats = ["gpkg", "shp", "geojson", "fgb"]
            return absolute(
                self.parameterAsCompatibleSourceLayerPath(
                    parameters, "AOI", context, formats, "gpkg"
                )
            )
        if not parameters.get("EXTENT"):
            return None
        box = self.parameterAsExtent(parameters, "EXTENT", context, layer.crs())
        if box.isEmpty():
            raise EngineError(tr("The area of interest is empty"), tr("Choose another extent."))
        corners = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
        return ",".join(f"{corner:.15g}" for corner in corners)

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Return the files of the run."""
        finished = next(e for e in events if e.get("event") == "finished")
        files = finished["files"]
        found = {
            "CLASSES": files.get("classes"),
            "CONFIDENCE_RASTER": files.get("confidence"),
            "POLYGONS": files.get("polygons_gpkg"),
        }
        if self._load and context.project() is not None:
            self._show(found, context)
        return {"OUT": values["OUT"], "RECORD": files.get("run"), **found}

    def _show(self, found: dict[str, Any], context: QgsProcessingContext) -> None:
        """Ask for the layers to be opened, with their styles; classes.qml is found by QGIS."""
        names = {
            "CONFIDENCE_RASTER": tr("Confidence"),
            "CLASSES": tr("Classes"),
            "POLYGONS": tr("Polygons"),
        }
        hints = QgsProcessingUtils.LayerHint
        for output, name in names.items():
            path = found[output]
            if not path:
                continue
            kind = hints.Vector if output == "POLYGONS" else hints.Raster
            details = QgsProcessingContext.LayerDetails(name, context.project(), output, kind)
            if output != "CLASSES":
                details.setPostProcessor(result_style())
            context.addLayerToLoadOnCompletion(path, details)
