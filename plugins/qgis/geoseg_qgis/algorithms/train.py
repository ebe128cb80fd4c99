"""``geoseg train`` in Processing."""

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
    QgsProcessingParameterMultipleLayers,
    QgsRasterLayer,
)

from ..engine import EngineError
from ..labels import label
from ..layers import polygon_file, raster_source
from ..text import tr
from .base import EngineAlgorithm, folder_of

__all__ = ["Train"]


class Train(EngineAlgorithm):
    """Train a model on labelled layers."""

    command = "train"
    front = ("LABELS", "COLUMN", "CLASSES", "MINUTES", "FROM", "OVERWRITE", "OUT")

    def name(self) -> str:
        """Return the id."""
        return "train"

    def title(self) -> str:
        """Return the name in the toolbox."""
        return tr("Train model from layers")

    def summary(self) -> str:
        """Return the help."""
        return tr(
            "Trains a model of your own classes on raster layers and what is known of them: "
            "class rasters or polygons, one for each scene and in the same order. Ground that "
            "is not labelled is ignored. The folder can be chosen as a model afterwards."
        )

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the parameters that are layers or folders."""
        text = label(name, self.command)
        kinds = QgsProcessing.SourceType
        if name == "SCENE":
            return QgsProcessingParameterMultipleLayers(name, text, kinds.TypeRaster)
        if name == "LABELS":
            return QgsProcessingParameterMultipleLayers(name, text, kinds.TypeMapLayer)
        if name == "OUT":
            return QgsProcessingParameterFolderDestination(name, text)
        return None

    def declare_outputs(self) -> None:
        """Declare the report and the accuracy."""
        self.addOutput(QgsProcessingOutputHtml("REPORT", tr("Report")))
        self.addOutput(QgsProcessingOutputNumber("MEAN_IOU", tr("Mean IoU")))

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return layers as files."""
        if name == "OUT":
            return folder_of(self.parameterAsString(parameters, name, context))
        layers = self.parameterAsLayerList(parameters, name, context)
        if name == "SCENE":
            return [raster_source(layer) for layer in layers]
        scenes = self.parameterAsLayerList(parameters, "SCENE", context)
        if len(layers) != len(scenes):
            raise EngineError(
                tr("{scenes} scenes and {labels} layers of labels were chosen").format(
                    scenes=len(scenes), labels=len(layers)
                ),
                tr("Choose one layer of labels for each scene, in the same order."),
            )
        return [
            raster_source(layer)
            if isinstance(layer, QgsRasterLayer)
            else polygon_file(layer, folder, f"labels_{number}")
            for number, layer in enumerate(layers, 1)
        ]

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Return the model folder, its report and how good it is on unseen ground."""
        del context
        found = next(e for e in events if e.get("event") == "trained")
        accuracy = found.get("accuracy") or {}
        part = accuracy.get("test") or accuracy.get("validation") or {}
        outputs = {"OUT": values["OUT"], "REPORT": str(Path(values["OUT"]) / "report.html")}
        iou = part.get("mean_iou")
        return outputs if iou is None else {**outputs, "MEAN_IOU": iou}
