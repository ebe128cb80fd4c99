"""QGIS with a profile of its own, and the real engine beside it.

These tests run with the Python that QGIS uses: ``python scripts/check qgis``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REQUIRED = os.environ.get("GEOSEG_REQUIRE_ALL") == "1"
# A copy: QGIS leaves statistics beside every raster that it shows.
SAMPLES = Path(tempfile.mkdtemp(prefix="geoseg-qgis-samples-")) / "sample_tiles"
if importlib.util.find_spec("qgis") is None:
    # Another Python than that of QGIS: tests/qgis/test_in_qgis.py tells so by name.
    collect_ignore_glob = ["test_*.py"]
else:
    shutil.copytree(ROOT / "sample_tiles", SAMPLES)
    # Before QGIS is imported: it must not see the profile of whoever runs the tests.
    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = tempfile.mkdtemp(prefix="geoseg-qgis-profile-")
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    usr = Path(os.environ.get("QGIS_PREFIX_PATH", "/usr"))
    # The last for tests that take something from one another.
    here = Path(__file__).parent
    for folder in (ROOT / "plugins" / "qgis", usr / "share/qgis/python/plugins", here):
        sys.path.insert(0, str(folder))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, pytest.TestReport]:
    """Let no test be skipped where GEOSEG_REQUIRE_ALL=1 says that it must run.

    But for those that mount a disk, which many containers do not allow.
    """
    report = yield
    if REQUIRED and report.skipped and not item.get_closest_marker("needs_mount"):
        report.outcome = "failed"
        report.longrepr = f"GEOSEG_REQUIRE_ALL=1, but it was skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def engine() -> Path:
    """The real geoseg command."""
    found = os.environ.get("GEOSEG_ENGINE")
    if not found:
        pytest.skip("no engine: set GEOSEG_ENGINE to the geoseg program")
    return Path(found)


@pytest.fixture
def settings(qgis_app, tmp_path, monkeypatch) -> object:
    """The plugin's settings and folders, new for every test."""
    from geoseg_qgis import settings as module
    from qgis.core import QgsSettings

    for name in QgsSettings().allKeys():
        if name.startswith("geoseg/"):
            QgsSettings().remove(name)
    monkeypatch.setattr(module, "data_folder", lambda: tmp_path / "profile geoseg")
    for other in ("layers", "area_box", "map_page"):
        monkeypatch.setattr(f"geoseg_qgis.{other}.data_folder", module.data_folder)
    return module.Settings()


class Iface:
    """As much of QGIS' interface as the panel uses, with real widgets."""

    def __init__(self) -> None:
        from qgis.gui import QgsMapCanvas, QgsMessageBar
        from qgis.PyQt.QtWidgets import QMainWindow

        self.window = QMainWindow()
        self.canvas = QgsMapCanvas(self.window)
        self.window.setCentralWidget(self.canvas)
        self.bar = QgsMessageBar(self.window)
        self.active = None

    def mainWindow(self):
        return self.window

    def mapCanvas(self):
        return self.canvas

    def messageBar(self):
        return self.bar

    def activeLayer(self):
        return self.active

    def setActiveLayer(self, layer):
        self.active = layer

    def zoomToActiveLayer(self):
        self.canvas.setExtent(self.active.extent())

    def addRasterLayer(self, path, name):
        return add_raster(path, name)

    def addDockWidget(self, area, dock):
        self.window.addDockWidget(area, dock)

    def removeDockWidget(self, dock):
        self.window.removeDockWidget(dock)

    def messages(self) -> list[str]:
        return [item.text() for item in self.bar.items()]


def add_raster(path: object, name: str = ""):
    from qgis.core import QgsProject, QgsRasterLayer

    layer = QgsRasterLayer(str(path), name or Path(str(path)).stem, "gdal")
    assert layer.isValid(), path
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def iface(qgis_app) -> Iterator[Iface]:
    from qgis.core import QgsProject

    QgsProject.instance().clear()
    made = Iface()
    made.window.resize(1200, 800)
    made.window.show()
    yield made
    QgsProject.instance().clear()
    made.window.close()


@pytest.fixture
def make_dock(iface, settings, engine) -> Iterator[Callable[..., object]]:
    """Return a function that opens the panel with the real engine."""
    made = []

    def make(program: object = engine, *, wait: bool = True):
        from geoseg_qgis.dock import GeosegDock
        from qgis.PyQt.QtCore import Qt

        settings.set("engine", str(program))
        dock = GeosegDock(iface)
        iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
        made.append(dock)
        if wait:
            until(lambda: dock.map_page.run_button.isEnabled() or dock.map_page.layer() is None)
        return dock

    yield make
    for dock in made:
        dock.leave()


def until(condition: Callable[[], object], seconds: float = 90, what: str = "") -> None:
    """Let QGIS work until something is so."""
    from qgis.PyQt.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what or "it did not happen in time"
        QApplication.processEvents()
        time.sleep(0.01)
