"""Styles are well-formed, complete and free of nodata."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from geoseg.vector.style import polygon_qml, polygon_sld, raster_qml
from tests.vector.maps import LEGEND


def test_polygon_qml_has_one_coloured_category_per_class() -> None:
    root = ET.fromstring(polygon_qml(LEGEND))
    categories = root.findall("./renderer-v2/categories/category")
    assert [c.get("value") for c in categories] == [str(c.class_id) for c in LEGEND]
    assert [c.get("label") for c in categories] == [c.name for c in LEGEND]
    symbols = {s.get("name"): s for s in root.findall("./renderer-v2/symbols/symbol")}
    for category, item in zip(categories, LEGEND, strict=True):
        colour = symbols[category.get("symbol")].find(".//Option[@name='color']")
        assert colour is not None
        assert colour.get("value") == ",".join(map(str, (*item.rgb, 255)))


def test_raster_qml_leaves_nodata_out() -> None:
    entries = ET.fromstring(raster_qml(LEGEND)).findall(".//paletteEntry")
    assert [e.get("value") for e in entries] == [str(c.class_id) for c in LEGEND]
    assert entries[3].get("color") == "#1003f0"


def test_sld_names_the_layer_and_filters_by_class() -> None:
    root = ET.fromstring(polygon_sld(LEGEND, layer="cover"))
    names = {
        "sld": "http://www.opengis.net/sld",
        "se": "http://www.opengis.net/se",
        "ogc": "http://www.opengis.net/ogc",
    }
    assert root.findtext("./sld:NamedLayer/se:Name", namespaces=names) == "cover"
    literals = root.findall(".//ogc:Literal", names)
    assert [e.text for e in literals] == [str(c.class_id) for c in LEGEND]
