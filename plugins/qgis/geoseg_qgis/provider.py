"""The provider: geoseg's commands as algorithms of Processing."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms.evaluate import Evaluate
from .algorithms.model_info import ModelInfo
from .algorithms.segment import Segment
from .algorithms.train import Train
from .algorithms.vectorise import Vectorise
from .settings import plugin_folder
from .text import tr

__all__ = ["GeosegProvider"]


class GeosegProvider(QgsProcessingProvider):
    """All algorithms of the plugin."""

    def id(self) -> str:
        """Return the first half of an algorithm's id."""
        return "geoseg"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "geoseg"

    def longName(self) -> str:
        """Return the name with what it does."""
        return tr("geoseg land-cover maps")

    def icon(self) -> QIcon:
        """Return the plugin's icon."""
        return QIcon(str(plugin_folder() / "resources" / "icon.svg"))

    def loadAlgorithms(self) -> None:
        """Add the algorithms."""
        for algorithm in (Segment, Vectorise, Evaluate, Train, ModelInfo):
            self.addAlgorithm(algorithm())

    def supportsNonFileBasedOutput(self) -> bool:
        """Tell that the engine writes files only: no layer in memory, no database."""
        return False

    def supportedOutputVectorLayerExtensions(self) -> list[str]:
        """Return the endings that the engine writes."""
        return ["gpkg", "fgb", "geojson", "parquet"]

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:
        """Return the format that brings its style along."""
        del hasGeometry
        return "gpkg"
