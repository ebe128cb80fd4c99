"""Runs inside the QGIS desktop (qgis --code): opens the panel, presses Run, takes pictures.

Started by ``test_desktop.py``, which tells where things are through the environment.
"""

from __future__ import annotations

import json
import os
import time
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog
from qgis.utils import iface

OUT = Path(os.environ["GEOSEG_DESKTOP_OUT"])
SCENE = os.environ["GEOSEG_DESKTOP_SCENE"]
FACTS: dict[str, object] = {}


def wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def until(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(condition)
        wait(0.05)


def picture(name: str, widget=None) -> None:
    wait(0.4)
    (widget or iface.mainWindow()).grab().save(str(OUT / f"{name}.png"))


def main() -> None:
    window = iface.mainWindow()
    window.resize(1360, 880)
    for dock in window.findChildren(type(window.findChild(object, "Layers"))):
        if dock.objectName() in {"Browser", "MessageLog"}:
            dock.hide()
    layer = QgsRasterLayer(SCENE, "town", "gdal")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    iface.zoomToActiveLayer()
    begin = time.perf_counter()
    qgis.utils.updateAvailablePlugins()
    qgis.utils.loadPlugin("geoseg_qgis")
    qgis.utils.startPlugin("geoseg_qgis")
    FACTS["load_ms"] = 1000 * (time.perf_counter() - begin)
    plugin = qgis.utils.plugins["geoseg_qgis"]
    FACTS["dock_before_it_is_opened"] = plugin.dock is not None
    if os.environ.get("GEOSEG_DESKTOP_FIRST_RUN"):
        plugin.action.trigger()
        until(lambda: "not installed" in plugin.dock.engine_page.state.text())
        window.resizeDocks([plugin.dock], [430], 1)
        picture("first_run")
        return
    plugin.action.trigger()  # click one: the panel
    begin = time.perf_counter()
    dock = plugin.dock
    window.resizeDocks([dock], [430], __import__("qgis.PyQt.QtCore", fromlist=["Qt"]).Qt.Orientation.Horizontal)
    page = dock.map_page
    until(lambda: page.run_button.isEnabled() and "memory" in page.estimate.text())
    FACTS["estimate"] = page.estimate.text()
    picture("panel")
    picture("panel_only", dock)
    page.options.set_values({"BLOCK_PX": "256", "WINDOW_PX": "384", "WORKERS": "1"})
    page.run_button.click()  # click two: Run
    until(lambda: any("mapping" in x.name() for x in QgsProject.instance().mapLayers().values()))
    until(lambda: dock.runs.active and list(dock.runs.active.values())[0].progress.share > 0.5)
    picture("running")
    until(lambda: dock.result_page.table.rowCount() == 5)
    wait(2)
    picture("result")
    picture("result_only", dock)
    FACTS["layers"] = [x.name() for x in QgsProject.instance().mapLayers().values()]
    dock.tabs.setCurrentWidget(dock.history_page)
    picture("history", dock)
    dock.tabs.setCurrentWidget(dock.engine_page)
    dock.engine_page.examine()
    until(lambda: dock.engine_page.findings.topLevelItemCount() > 0)
    picture("doctor", dock)
    dock.tabs.setCurrentWidget(dock.map_page)
    page.options.setCollapsed(False)
    wait(0.3)
    scroll = page.findChild(__import__("qgis.PyQt.QtWidgets", fromlist=["x"]).QScrollArea)
    scroll.verticalScrollBar().setValue(scroll.verticalScrollBar().maximum())
    picture("options", dock)
    page.options.setCollapsed(True)
    page.options.set_values({"GSD": "30"})
    until(lambda: page.problem.isVisible())
    FACTS["wrong_gsd"] = page.problem.text()
    picture("wrong_gsd", dock)
    page.options.set_values({})
    import processing

    for name in ("segment", "train"):
        dialog = processing.createAlgorithmDialog(f"geoseg:{name}")
        dialog.resize(900, 640)
        dialog.show()
        picture(f"toolbox_{name}", dialog)
        dialog.close()


def go() -> None:
    try:
        main()
        FACTS["ok"] = True
    except Exception:
        FACTS["traceback"] = traceback.format_exc()
        iface.mainWindow().grab().save(str(OUT / "failed.png"))
    (OUT / "facts.json").write_text(json.dumps(FACTS, indent=1), encoding="utf-8")
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog):
            widget.close()
    plugin = qgis.utils.plugins.get("geoseg_qgis")
    if plugin is not None and plugin.dock is not None:
        plugin.dock.leave()
    # A plain quit would ask whether to save the project.
    os._exit(0)


QTimer.singleShot(1500, go)
