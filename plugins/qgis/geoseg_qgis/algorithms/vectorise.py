"""``geoseg vectorise`` in Processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..labels import label
from ..layers import raster_source, result_style
from ..text import tr
from .base import EngineAlgorithm, crs_text, folder_of

__all__ = ["Vectorise"]


class Vectorise(EngineAlgorithm):
    """Turn a class raster into polygons."""

    command = "vectorise"
    front = ("MIN_AREA", "SMOOTH", "SIMPLIFY", "DISSOLVE", "OVERWRITE", "OUT")

    def name(self) -> str:
        """Return the id."""
        return "vectorise"

    def title(self) -> str:
        """Return the name in the toolbox."""
        return tr("Vectorise class raster")

    def summary(self) -> str:
        """Return the help."""
        return tr(
            "Turns any raster of whole class numbers into polygons, without gaps or overlaps and "
            "in bounded memory. Names and colours come from the raster, or from what you give."
        )

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the parameters that are layers, files or CRSs."""
        text = label(name, self.command)
        if name == "CLASSES":
            return QgsProcessingParameterRasterLayer(name, text)
        if name == "CONFIDENCE":
            return QgsProcessingParameterRasterLayer(name, text, optional=True)
        if name == "CRS":
            return QgsProcessingParameterCrs(name, text, optional=True)
        if name == "OUT":
            polygons = QgsProcessing.SourceType.TypeVectorPolygon
            return QgsProcessingParameterVectorDestination(name, text, polygons)
        return None

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return layers as files."""
        del folder
        if name == "CRS":
            return crs_text(self.parameterAsCrs(parameters, name, context))
        if name == "OUT":
            return [folder_of(self.parameterAsOutputLayer(parameters, name, context))]
        if not parameters.get(name):
            return None
        return raster_source(self.parameterAsRasterLayer(parameters, name, context))

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Return the file, which brings its style along where it is a GeoPackage."""
        del events
        out = values["OUT"][0]
        if context.willLoadLayerOnCompletion(out):
            context.layerToLoadOnCompletionDetails(out).setPostProcessor(result_style())
        return {"OUT": out}
