"""What is handed out: the zip, its metadata, its translations and its pages."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from scripts import make_qgis_translation, make_qgis_zip

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "plugins" / "qgis" / "geoseg_qgis"
NEEDED = (
    "name", "description", "about", "version", "qgisMinimumVersion", "author", "email",
    "repository", "tracker", "homepage", "tags", "category", "icon", "hasProcessingProvider",
    "license", "supportsQt6",
)  # fmt: skip


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    return make_qgis_zip.build(tmp_path_factory.mktemp("zip"))


def test_the_zip_holds_the_plugin_and_nothing_else(archive):
    with zipfile.ZipFile(archive) as file:
        names = set(file.namelist())
    assert {n.split("/")[0] for n in names} == {"geoseg_qgis"}
    for name in ("__init__.py", "metadata.txt", "LICENSE", "resources/icon.svg", "options.json",
                 "i18n/geoseg_ko.qm", "help/index.html", "styles/confidence.qml"):  # fmt: skip
        assert f"geoseg_qgis/{name}" in names
    assert not [n for n in names if "__pycache__" in n or n.endswith((".pyc", ".ts"))]
    assert archive.stat().st_size < 1 << 20


def test_the_same_sources_give_the_same_zip(archive, tmp_path):
    assert make_qgis_zip.build(tmp_path).read_bytes() == archive.read_bytes()


def test_metadata_is_complete():
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = metadata["general"]
    assert [name for name in NEEDED if not general.get(name)] == []
    assert general["qgisMinimumVersion"] == "3.22"
    assert (PLUGIN / general["icon"]).is_file()
    ET.parse(PLUGIN / general["icon"])


def test_the_licence_is_the_project_s_and_goes_with_the_gpl():
    """Apache-2.0 code may be combined with GPL-3 code, which QGIS (GPL-2 or later) is free to be."""
    text = (PLUGIN / "LICENSE").read_text(encoding="utf-8")
    assert text == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text


def test_translations_are_current_and_complete():
    script = ROOT / "scripts" / "make_qgis_translation.py"
    done = subprocess.run([sys.executable, script, "--check"], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("language", make_qgis_translation.LANGUAGES)
def test_translations_fill_in_the_same_things(language):
    for source, translation in make_qgis_translation.known(language).items():
        fields = [set(re.findall(r"\{\w+\}", text)) for text in (source, translation)]
        assert fields[0] == fields[1], source


@pytest.mark.parametrize("page", sorted((PLUGIN / "help").glob("*.html")), ids=lambda p: p.stem)
def test_pages_are_whole_and_reach_for_nothing_outside(page):
    text = page.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    assert "http" not in text


def test_no_machine_paths_in_the_plugin():
    for path in make_qgis_zip.files():
        if path.suffix in {".py", ".json", ".txt", ".html", ".qml"}:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"(?<![\w.])/(work|tmp|root|home)/", text), path
            assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text), path
