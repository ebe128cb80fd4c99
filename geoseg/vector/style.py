"""QGIS and OGC styles of a legend, as text.

The same legend gives the same bytes: nothing here depends on time, order of hashing or
the version of QGIS that reads it (3.22 to 3.40 do).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from geoseg.legend import Legend, LegendClass


__all__ = ["polygon_qml", "polygon_sld", "raster_qml"]

_QGIS_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_QGIS_VERSION = "3.22.0"
_OUTLINE_RGBA = "60,60,60,110"
_OUTLINE_MM = "0.1"
_SLD = "http://www.opengis.net/sld"
_SE = "http://www.opengis.net/se"
_OGC = "http://www.opengis.net/ogc"


def polygon_qml(legend: Legend, *, field: str = "class_id") -> str:
    """Return a QGIS style for the polygons: one fill per class.

    Args:
        legend: Classes with names and colours.
        field: Attribute that holds the class id.
    """
    root = _qgis_root()
    renderer = ET.SubElement(
        root,
        "renderer-v2",
        type="categorizedSymbol",
        attr=field,
        enableorderby="0",
        forceraster="0",
        symbollevels="0",
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for number, item in enumerate(legend):
        ET.SubElement(
            categories,
            "category",
            value=str(item.class_id),
            label=item.name,
            symbol=str(number),
            render="true",
            type="long",
        )
        _fill_symbol(symbols, str(number), item)
    ET.SubElement(root, "blendMode").text = "0"
    ET.SubElement(root, "featureBlendMode").text = "0"
    ET.SubElement(root, "layerGeometryType").text = "2"
    return _QGIS_DOCTYPE + _text(root)


def raster_qml(legend: Legend) -> str:
    """Return a QGIS style for the class raster: a palette without the nodata id."""
    root = _qgis_root()
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
    )
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for item in legend:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(item.class_id),
            color=item.colour.lower(),
            alpha="255",
            label=item.name,
        )
    ET.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    ET.SubElement(pipe, "huesaturation", saturation="0", grayscaleMode="0", colorizeOn="0")
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")
    ET.SubElement(root, "blendMode").text = "0"
    return _QGIS_DOCTYPE + _text(root)


def polygon_sld(legend: Legend, *, layer: str = "polygons", field: str = "class_id") -> str:
    """Return an OGC SLD 1.1.0 style for the polygons: one rule per class.

    Args:
        legend: Classes with names and colours.
        layer: Name of the layer that the style is for.
        field: Attribute that holds the class id.
    """
    root = ET.Element(
        "StyledLayerDescriptor",
        {"version": "1.1.0", "xmlns": _SLD, "xmlns:se": _SE, "xmlns:ogc": _OGC},
    )
    named = ET.SubElement(root, "NamedLayer")
    ET.SubElement(named, "se:Name").text = layer
    style = ET.SubElement(named, "UserStyle")
    ET.SubElement(style, "se:Name").text = layer
    feature_style = ET.SubElement(style, "se:FeatureTypeStyle")
    for item in legend:
        _sld_rule(feature_style, item, field)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _text(root)


def _qgis_root() -> ET.Element:
    return ET.Element("qgis", version=_QGIS_VERSION, styleCategories="Symbology")


def _text(root: ET.Element) -> str:
    ET.indent(root, space=" ")
    return ET.tostring(root, encoding="unicode") + "\n"


def _fill_symbol(parent: ET.Element, name: str, item: LegendClass) -> None:
    symbol = ET.SubElement(
        parent, "symbol", name=name, type="fill", alpha="1", clip_to_extent="1", force_rhr="0"
    )
    fill = ET.SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    red, green, blue = item.rgb
    options = ET.SubElement(fill, "Option", type="Map")
    for key, value in (
        ("color", f"{red},{green},{blue},255"),
        ("style", "solid"),
        ("outline_color", _OUTLINE_RGBA),
        ("outline_style", "solid"),
        ("outline_width", _OUTLINE_MM),
        ("outline_width_unit", "MM"),
        ("joinstyle", "bevel"),
    ):
        ET.SubElement(options, "Option", name=key, type="QString", value=value)


def _sld_rule(parent: ET.Element, item: LegendClass, field: str) -> None:
    rule = ET.SubElement(parent, "se:Rule")
    ET.SubElement(rule, "se:Name").text = item.name
    description = ET.SubElement(rule, "se:Description")
    ET.SubElement(description, "se:Title").text = item.name
    equal = ET.SubElement(ET.SubElement(rule, "ogc:Filter"), "ogc:PropertyIsEqualTo")
    ET.SubElement(equal, "ogc:PropertyName").text = field
    ET.SubElement(equal, "ogc:Literal").text = str(item.class_id)
    symbolizer = ET.SubElement(rule, "se:PolygonSymbolizer")
    fill = ET.SubElement(symbolizer, "se:Fill")
    ET.SubElement(fill, "se:SvgParameter", name="fill").text = item.colour.lower()
