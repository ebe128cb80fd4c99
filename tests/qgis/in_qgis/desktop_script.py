"""Runs inside the QGIS desktop (qgis --code): opens the panel, presses Run, takes pictures.

Started by ``test_desktop.py``, which says through the environment where things are and which
of the stories below is to be played.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDockWidget, QScrollArea
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
            message = f"not in {seconds} s: {condition}"
            raise TimeoutError(message)
        wait(0.05)


def picture(name: str, widget=None) -> None:
    wait(0.4)
    (widget or iface.mainWindow()).grab().save(str(OUT / f"{name}.png"))


def open_scene() -> None:
    window = iface.mainWindow()
    window.resize(1280, 820)
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() in {"Browser", "Browser2", "MessageLog"}:
            dock.hide()
    layer = QgsRasterLayer(SCENE, Path(SCENE).stem, "gdal")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    iface.zoomToActiveLayer()


def load_plugin():
    """Load the plugin as QGIS does at its start; return it."""
    begin = time.perf_counter()
    qgis.utils.updateAvailablePlugins()
    qgis.utils.loadPlugin("geoseg_qgis")
    qgis.utils.startPlugin("geoseg_qgis")
    FACTS["load_ms"] = 1000 * (time.perf_counter() - begin)
    FACTS["loaded"] = sorted(m for m in sys.modules if m.startswith("geoseg_qgis."))
    return qgis.utils.plugins["geoseg_qgis"]


def open_panel(plugin):
    plugin.action.trigger()  # click one: the panel
    dock = plugin.dock
    iface.mainWindow().resizeDocks([dock], [420], Qt.Orientation.Horizontal)
    iface.messageBar().clearWidgets()
    return dock


def first_run(plugin) -> None:
    """There is no engine yet."""
    dock = open_panel(plugin)
    until(lambda: dock.engine_page.engine is None and dock.engine_page.state.text())
    FACTS["state"] = dock.engine_page.state.text()
    picture("first_run", dock)


def look_around(plugin) -> None:
    """All pages, and no run."""
    dock = open_panel(plugin)
    page = dock.map_page
    until(lambda: page.run_button.isEnabled() and page.estimate.text().count("·") == 3)
    FACTS["estimate"] = page.estimate.text()
    FACTS["tabs"] = [dock.tabs.tabText(k) for k in range(dock.tabs.count())]
    picture("panel")
    wrong_pixel_size(dock)
    toolbox()


def whole_way(plugin) -> None:
    """From the button to the map, and around the pages."""
    dock = open_panel(plugin)
    page = dock.map_page
    until(lambda: page.run_button.isEnabled() and page.estimate.text().count("·") == 3)
    FACTS["estimate"] = page.estimate.text()
    picture("panel")
    page.options.set_values({"BLOCK_PX": "256", "WINDOW_PX": "384", "WORKERS": "1"})
    page.run_button.click()  # click two: Run
    until(lambda: dock.map_page.progress.value() > 500)
    picture("running")
    until(lambda: dock.result_page.table.rowCount() == 5)
    wait(2)
    picture("result")
    FACTS["layers"] = [x.name() for x in QgsProject.instance().mapLayers().values()]
    other_pages(dock)
    wrong_pixel_size(dock)
    toolbox()


def other_pages(dock) -> None:
    dock.tabs.setCurrentWidget(dock.history_page)
    picture("history", dock)
    dock.tabs.setCurrentWidget(dock.engine_page)
    dock.engine_page.examine()
    until(dock.engine_page.findings.toPlainText)
    picture("doctor", dock)


def wrong_pixel_size(dock) -> None:
    dock.tabs.setCurrentWidget(dock.map_page)
    page = dock.map_page
    page.options.set_values({"GSD": "30"})
    until(page.problem.isVisible)
    FACTS["wrong_gsd"] = page.problem.text()
    FACTS["wrong_gsd_runs"] = page.run_button.isEnabled()
    page.options.setCollapsed(False)
    wait(0.3)
    bar = page.findChild(QScrollArea).verticalScrollBar()
    bar.setValue(bar.maximum())
    picture("wrong_gsd", dock)
    page.options.set_values({})


def toolbox() -> None:
    import processing

    for name in ("segment", "train"):
        dialog = processing.createAlgorithmDialog(f"geoseg:{name}")
        dialog.resize(820, 600)
        dialog.show()
        picture(f"toolbox_{name}", dialog)
        dialog.close()


def go() -> None:
    try:
        open_scene()
        story = {"first_run": first_run, "look_around": look_around, "whole_way": whole_way}
        story[os.environ.get("GEOSEG_DESKTOP_STORY", "whole_way")](load_plugin())
        FACTS["ok"] = True
    except Exception:  # noqa: BLE001 - whatever it is, the test wants to read it
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
