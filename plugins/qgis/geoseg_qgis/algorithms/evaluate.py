"""``geoseg evaluate`` in Processing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterRasterLayer,
    QgsRasterLayer,
)

from ..engine import EngineError
from ..labels import label
from ..layers import polygon_file, raster_source
from ..text import tr
from .base import EngineAlgorithm, folder_of

__all__ = ["Evaluate"]


class Evaluate(EngineAlgorithm):
    """Tell how right a map is."""

    command = "evaluate"
    front = ("REFERENCE", "COLUMN", "MATCH", "OVERWRITE", "OUT")

    def name(self) -> str:
        """Return the id."""
        return "evaluate"

    def title(self) -> str:
        """Return the name in the toolbox."""
        return tr("Evaluate against reference")

    def summary(self) -> str:
        """Return the help."""
        return tr(
            "Compares a class raster with a reference raster, polygons or labelled points: "
            "confusion matrix, IoU, F1, borders and calibration, and with points the accuracy "
            "and area of every class with confidence intervals."
        )

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the parameters that are layers or folders."""
        text = label(name, self.command)
        if name == "MAP":
            return QgsProcessingParameterRasterLayer(name, text)
        if name == "REFERENCE":
            sources = QgsProcessing.SourceType
            kinds = [sources.TypeRaster, sources.TypeVectorAnyGeometry]
            return QgsProcessingParameterMapLayer(name, text, types=kinds)
        if name == "CONFIDENCE":
            return QgsProcessingParameterRasterLayer(name, text, optional=True)
        if name == "OUT":
            return QgsProcessingParameterFolderDestination(name, text, optional=True)
        return None

    def declare_outputs(self) -> None:
        """Declare the report and the numbers."""
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))
        self.addOutput(QgsProcessingOutputNumber("OVERALL_ACCURACY", tr("Overall accuracy")))
        self.addOutput(QgsProcessingOutputNumber("MEAN_IOU", tr("Mean IoU")))
        self.addOutput(QgsProcessingOutputNumber("MEAN_F1", tr("Mean F1")))

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return layers as files."""
        if name == "OUT":
            return folder_of(self.parameterAsString(parameters, name, context)) or None
        if name == "REFERENCE":
            return [self._reference(parameters, context, folder)]
        if not parameters.get(name):
            return None
        return raster_source(self.parameterAsRasterLayer(parameters, name, context))

    def _reference(
        self, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> str:
        layer = self.parameterAsLayer(parameters, "REFERENCE", context)
        if layer is None:
            raise EngineError(tr("The reference cannot be read"), tr("Choose another layer."))
        if isinstance(layer, QgsRasterLayer):
            return raster_source(layer)
        return polygon_file(layer, folder, "reference")

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Return the report and the numbers."""
        del context
        found = next(e for e in events if e.get("event") == "evaluation")
        numbers = {
            "OVERALL_ACCURACY": found.get("overall_accuracy"),
            "MEAN_IOU": found.get("mean_iou"),
            "MEAN_F1": found.get("mean_f1"),
        }
        out = values["OUT"]
        report = {"OUT": out, "REPORT": str(Path(out) / "report.html")} if out else {}
        return {**report, **{k: v for k, v in numbers.items() if v is not None}}
