"""QGIS layers as files that the engine can open, and results as layers with their styles."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt import sip

from .engine import EngineError
from .settings import data_folder
from .text import tr

__all__ = [
    "absolute",
    "add_results",
    "apply_confidence_style",
    "area_file",
    "is_web",
    "layer_source",
    "polygon_file",
    "raster_source",
    "result_layers",
    "result_style",
]

STYLES = Path(__file__).parent / "styles"


def is_web(layer: QgsMapLayer | None) -> bool:
    """Tell whether a raster layer comes from a server that draws pictures (XYZ, WMS, WMTS)."""
    return (
        isinstance(layer, QgsRasterLayer)
        and layer.dataProvider() is not None
        and layer.dataProvider().name() != "gdal"
    )


def layer_source(layer: QgsMapLayer) -> str:
    """Return a layer's file or address without what QGIS writes behind it."""
    source = str(layer.source())
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), source)
    names = ("vsiPrefix", "path", "vsiSuffix")
    found = "".join(str(parts.get(name) or "") for name in names)
    # A part of a file ("GPKG:file:table") is not put together again.
    return found if found and source.startswith(found) else source.split("|", maxsplit=1)[0]


def raster_source(layer: QgsRasterLayer | None) -> str:
    """Return what the engine opens for a raster layer.

    A CRS that the user gave to the layer, and the file does not have, travels along in a
    small file beside the plugin's settings.

    Raises:
        EngineError: The layer is no file or address that GDAL reads.
    """
    if layer is None:
        raise EngineError(tr("No layer is chosen"), tr("Choose a raster layer."))
    if not layer.isValid():
        raise EngineError(
            tr("The layer cannot be read"), tr("Repair its data source in the layer panel.")
        )
    if is_web(layer):
        raise EngineError(
            tr("{layer} is a web layer").format(layer=layer.name()),
            tr("Export it to a GeoTIFF first; the geoseg panel does so by itself."),
        )
    # "file.tif|option:X=Y" is QGIS' way of writing open options.
    source = absolute(layer_source(layer))
    # To look into a file on a server would make the interface wait.
    local = layer.crs().isValid() and Path(source).is_file()
    return _with_crs(source, layer.crs()) if local else source


def _with_crs(source: str, crs: QgsCoordinateReferenceSystem) -> str:
    dataset = gdal.Open(source)
    if dataset is None or dataset.GetProjection() or dataset.GetGCPCount():
        return source
    text = f"{source}\n{crs.toWkt()}"
    name = f"{Path(source).stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.vrt"
    target = data_folder() / "scenes" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    gdal.Translate(str(target), dataset, format="VRT", outputSRS=crs.toWkt())
    return str(target)


def absolute(source: str) -> str:
    """Return a path that holds in another folder; addresses stay as they are."""
    return str(Path(source).absolute()) if Path(source).exists() else source


def polygon_file(
    layer: QgsVectorLayer, folder: Path, name: str = "aoi", *, selected: bool = False
) -> str:
    """Return a file with what a vector layer shows: its own, or a GeoPackage in ``folder``.

    Raises:
        EngineError: The copy cannot be written.
    """
    source = layer.source()
    path = layer_source(layer)
    whole = not layer.subsetString() and not selected and not layer.isEditable()
    if layer.providerType() == "ogr" and whole and source == path and Path(path).is_file():
        return absolute(path)
    target = folder / f"{name}.gpkg"
    _write_polygons(layer, target, name, selected=selected)
    return str(target)


def area_file(layer: QgsVectorLayer, folder: Path) -> str:
    """Return a file with the polygons of a layer; the same polygons give the same file.

    Raises:
        EngineError: The layer is empty, or the copy cannot be written.
    """
    shapes = sorted(
        bytes(feature.geometry().asWkb())
        for feature in layer.getFeatures()
        if feature.hasGeometry() and not feature.geometry().isEmpty()
    )
    if not shapes:
        raise EngineError(
            tr("The polygon layer is empty"), tr("Choose another layer, or clear its filter.")
        )
    source = layer.source()
    whole = not layer.subsetString() and not layer.isEditable() and source == layer_source(layer)
    if layer.providerType() == "ogr" and whole and Path(source).is_file():
        return absolute(source)
    text = b"".join((layer.crs().toWkt().encode(), *shapes))
    target = folder / f"layer-{hashlib.sha256(text).hexdigest()[:12]}.gpkg"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{target.stem}.part.gpkg"
        _write_polygons(layer, part, "aoi")
        os.replace(part, target)
    return str(target)


def _write_polygons(
    layer: QgsVectorLayer, target: Path, name: str, *, selected: bool = False
) -> None:
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = name
    options.onlySelectedFeatures = selected
    code, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, str(target), QgsCoordinateTransformContext(), options
    )
    if code != QgsVectorFileWriter.WriterError.NoError:
        raise EngineError(
            tr("The area cannot be written to {file}: {text}").format(file=target, text=message),
            tr("Free space on that disk, or check who may write there."),
        )


def result_layers(files: dict[str, Any]) -> list[QgsMapLayer]:
    """Return a run's results as layers, the topmost first.

    Class raster and polygons bring their styles along (classes.qml, and the table of styles
    in the GeoPackage), so what is seen here is what anybody sees who opens the files.
    """
    layers: list[QgsMapLayer] = []
    if "polygons_gpkg" in files:
        layers.append(QgsVectorLayer(files["polygons_gpkg"], tr("Polygons"), "ogr"))
    layers.append(QgsRasterLayer(files["classes"], tr("Classes"), "gdal"))
    if "confidence" in files:
        confidence = QgsRasterLayer(files["confidence"], tr("Confidence"), "gdal")
        apply_confidence_style(confidence)
        layers.append(confidence)
    return [layer for layer in layers if layer.isValid()]


def apply_confidence_style(layer: QgsRasterLayer) -> None:
    """Colour a confidence raster: bright where the model is sure, dark where it guesses."""
    layer.loadNamedStyle(str(STYLES / "confidence.qml"))


class _ResultStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives a result of Processing its style once it is open."""

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: Any
    ) -> None:
        """Colour confidence by the plugin's style, polygons by the file's own."""
        del context, feedback
        if isinstance(layer, QgsRasterLayer):
            apply_confidence_style(layer)
        elif layer is not None:
            layer.loadDefaultStyle()


_styles: list[_ResultStyle] = []
"""They live longer than the algorithm: QGIS asks for them when it is gone."""


def result_style() -> QgsProcessingLayerPostProcessorInterface:
    """Return what styles one layer of Processing, a new one for each.

    The context deletes it, once for every layer; until then its Python half must stay.
    """
    _styles[:] = [style for style in _styles if not sip.isdeleted(style)]
    style = _ResultStyle()
    sip.transferto(style, None)
    _styles.append(style)
    return style


def add_results(files: dict[str, Any], title: str, *, beside: str = "") -> list[QgsMapLayer]:
    """Add a run's results to the project in a group of their own, above the scene.

    Args:
        files: Layer name to path, as the run's last event has them.
        title: Name of the group.
        beside: Id of the layer that the group goes above; the top where it is gone.
    """
    project = QgsProject.instance()
    root = project.layerTreeRoot()
    parent, position = root, 0
    node = root.findLayer(beside) if beside else None
    if node is not None:
        parent = node.parent()
        position = parent.children().index(node)
    group = parent.insertGroup(position, title)
    layers = result_layers(files)
    for layer in layers:
        project.addMapLayer(layer, False)
        tree = group.addLayer(layer)
        # Polygons and classes show the same: one of them visible is enough to start with.
        hidden = isinstance(layer, QgsVectorLayer) or layer.name() == tr("Confidence")
        tree.setItemVisibilityChecked(not hidden)
    return layers
