"""The page where a map is ordered: layer, model, area, options, estimate, Run."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsMapLayerProxyModel,
    QgsProject,
    QgsRasterLayer,
    QgsUnitTypes,
)
from qgis.gui import QgsFileWidget, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .area_box import AreaBox
from .asking import Ask, describe
from .engine import EngineError, Failure
from .estimate import judged
from .export import ExportTask, export_size, free_target
from .history import free_folder
from .labels import in_panel_words
from .layers import is_web, layer_source, raster_source
from .machine import writable
from .model_box import ModelBox
from .options import command_line
from .options_box import OptionsBox
from .report import pixels_text
from .settings import data_folder
from .text import tr
from .widgets import BAD, WARN, WrapLabel

__all__ = ["MapPage"]

_WAIT_MS = 500
"""Quiet time after a change before the engine is asked for an estimate."""
_ENTRY = "/panel"


class MapPage(QWidget):
    """Everything that a run needs to know."""

    wanted = pyqtSignal(dict, dict, str)
    """Parameters by name, facts, and where it runs: the user pressed Run."""
    stopped = pyqtSignal()
    """The user pressed Stop."""
    failed = pyqtSignal(object)
    """A :class:`Failure` before the engine was started."""

    def __init__(self, iface: Any, parent: QWidget | None = None) -> None:
        """Make the parts; nothing is asked before an engine is known."""
        super().__init__(parent)
        self.setAcceptDrops(True)
        self._iface = iface
        self._ready = False
        self._running = False
        self._refused = False
        self._restoring = False
        self._kept: dict[str, Any] = {}
        """The choices that are kept in the project, or that nobody has made yet."""
        self._export: ExportTask | None = None
        self._taken: dict[str, Any] = {}
        self.asking = Ask(self)
        self.asking.answered.connect(self._show_estimate)
        self.asking.failed.connect(self._show_problem)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self.model = ModelBox()
        self.area = AreaBox(iface.mapCanvas())
        self.options = OptionsBox()
        self._make_layer_box()
        self._make_result_box()
        self._make_foot()
        self._lay_out()
        self._connect()
        self.restore()

    # Parts ---------------------------------------------------------------------------------

    def _make_layer_box(self) -> None:
        self.layer_box = QGroupBox(tr("Layer"))
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(QgsMapLayerProxyModel.Filter.RasterLayer)
        self.layers.setAllowEmptyLayer(True, tr("Choose a raster layer"))
        self.open_button = QToolButton()
        self.open_button.setText("…")
        self.open_button.setToolTip(tr("Open a raster file"))
        self.layer_note = WrapLabel()
        self.resolution = QDoubleSpinBox()
        self.resolution.setRange(0.01, 1000)
        self.resolution.setDecimals(2)
        self.resolution.setValue(1)
        self.resolution.setSuffix(" m")
        self.web_row = QWidget()
        form = QFormLayout(self.web_row)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow(tr("Pixel size to export at"), self.resolution)
        row = QHBoxLayout()
        row.addWidget(self.layers, 1)
        row.addWidget(self.open_button)
        layout = QVBoxLayout(self.layer_box)
        layout.addLayout(row)
        layout.addWidget(self.layer_note)
        layout.addWidget(self.web_row)

    def _make_result_box(self) -> None:
        self.result_box = QGroupBox(tr("Result"))
        self.out = QgsFileWidget()
        self.out.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.out_note = WrapLabel()
        self.where = QComboBox()
        self.where.addItem(tr("On this computer"), "here")
        self.where.addItem(tr("On the cluster at the scheduler address"), "scheduler")
        self.where.addItem(tr("Through the batch command"), "batch")
        form = QFormLayout(self.result_box)
        form.addRow(tr("Folder"), self.out)
        form.addRow(self.out_note)
        form.addRow(tr("Run"), self.where)

    def _make_foot(self) -> None:
        self.estimate = WrapLabel()
        self.problem = WrapLabel()
        self.problem.hide()
        self.progress = QProgressBar()
        self.progress.setRange(0, 1000)
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.status = WrapLabel()
        self.status.hide()
        self.run_button = QPushButton(tr("Run"))
        self.run_button.setObjectName("geosegRun")
        self.run_button.setDefault(True)
        font = self.run_button.font()
        font.setBold(True)
        self.run_button.setFont(font)
        self.stop_button = QPushButton(tr("Stop"))
        self.stop_button.setToolTip(tr("What is finished is kept; running again continues"))
        self.stop_button.hide()

    def _lay_out(self) -> None:
        inside = QWidget()
        body = QVBoxLayout(inside)
        body.setContentsMargins(4, 4, 4, 4)
        for part in (self.layer_box, self.model, self.area, self.result_box, self.options):
            body.addWidget(part)
        body.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(inside)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 1)
        buttons.addWidget(self.stop_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(scroll, 1)
        for part in (self.estimate, self.problem, self.progress, self.status):
            layout.addWidget(part)
        layout.addLayout(buttons)

    def _connect(self) -> None:
        self.layers.layerChanged.connect(lambda _: self._layer_changed())
        self.open_button.clicked.connect(self._open_file)
        for box in (self.model, self.area, self.options):
            box.changed.connect(self._changed)
        self.resolution.valueChanged.connect(lambda _: self._changed())
        self.out.fileChanged.connect(lambda _: self._changed())
        self.where.currentIndexChanged.connect(lambda _: self._changed())
        self.run_button.clicked.connect(self.run)
        self.stop_button.clicked.connect(self._stop)
        self.layers.activated.connect(lambda _: self._remember(chosen=True))
        self.model.chosen.connect(lambda: self._remember(chosen=True))
        QgsProject.instance().cleared.connect(self.restore)
        QgsProject.instance().readProject.connect(self._project_read)

    def dragEnterEvent(self, event: Any) -> None:
        """Take what the model's part takes, wherever on the page it is dropped."""
        self.model.dragEnterEvent(event)

    def dropEvent(self, event: Any) -> None:
        """Hand it on."""
        self.model.dropEvent(event)

    # The layer -----------------------------------------------------------------------------

    def layer(self) -> QgsRasterLayer | None:
        """Return the chosen layer."""
        found = self.layers.currentLayer()
        return found if isinstance(found, QgsRasterLayer) else None

    def take_active_layer(self) -> None:
        """Choose the layer that is active in QGIS, if it is a raster."""
        active = self._iface.activeLayer()
        if isinstance(active, QgsRasterLayer):
            self.layers.setLayer(active)

    def _open_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Open a raster file"))
        if path:
            layer = self._iface.addRasterLayer(path, Path(path).stem)
            if layer is not None and layer.isValid():
                self.layers.setLayer(layer)

    def _layer_changed(self) -> None:
        layer = self.layer()
        web = is_web(layer)
        self.web_row.setVisible(web)
        if web and self.area.mode() == "layer":
            # A whole web layer may be the whole earth.
            if self._kept.get("area") == "layer":
                self._kept["area"] = "view"
            self.area.choose("view")
        self.layer_note.tell(_facts(layer) if layer is not None else "")
        self._changed()

    # The result folder ---------------------------------------------------------------------

    def out_folder(self) -> Path | None:
        """Return where the result goes: the user's choice, or a new folder beside the scene."""
        chosen = self.out.filePath().strip()
        layer = self.layer()
        if chosen:
            path = Path(chosen)
            with suppress(RuntimeError):  # no such user
                path = path.expanduser()
            return path if path.is_absolute() else self._parent_folder(_scene(layer)) / path
        if layer is None:
            return None
        name = re.sub(r"[^\w.-]+", "_", layer.name()).strip("_") or "scene"
        path = _scene(layer)
        if not is_web(layer) and path.is_file():
            name = path.stem
        return free_folder(self._parent_folder(path), f"{name}_geoseg", self._taken)

    def _parent_folder(self, path: Path) -> Path:
        """Return the first folder that can be written: scene's, project's, the user's own."""
        home = QgsProject.instance().homePath()
        places = [path.parent] if path.is_file() else []
        places += [Path(home)] if home else []
        found = next((place for place in places if writable(place)), None)
        return found or Path.home() / "geoseg"

    def keep_off(self, folders: dict[str, Any]) -> None:
        """Choose no folder that a running job writes to."""
        self._taken = folders
        self._show_out()

    def _show_out(self) -> None:
        out = self.out_folder()
        # The name first: the end of a long path is what a narrow field cuts off.
        shown = tr("{name} in {folder}").format(name=out.name, folder=out.parent) if out else ""
        self.out.lineEdit().setPlaceholderText(shown)
        self.out.setToolTip(str(out or ""))
        layer = self.layer()
        source = _scene(layer)
        elsewhere = (
            out is not None
            and not self.out.filePath()
            and source.is_file()
            and out.parent != source.parent
        )
        text = tr("The scene's folder cannot be written; the result goes to {folder}.")
        self.out_note.tell(text.format(folder=out) if elsewhere else "", WARN)

    # Parameters ----------------------------------------------------------------------------

    def values(self, source: str) -> dict[str, Any]:
        """Return all parameters of the run by name.

        Args:
            source: The raster, as the engine opens it.

        Raises:
            EngineError: Something is not chosen yet.
        """
        layer = self.layer()
        if layer is None:
            raise EngineError(tr("No layer is chosen"), tr("Choose a raster layer."))
        web = is_web(layer)
        aoi = self.area.value(layer) if not web or self.area.mode().startswith("polygon") else None
        return {
            "SCENE": source,
            "OUT": str(self.out_folder()),
            "MODEL": self.model.value() or None,
            "AOI": aoi,
            **self.options.values(),
        }

    def set_values(self, values: dict[str, Any]) -> None:
        """Show the parameters of an earlier run."""
        self.model.choose(str(values.get("MODEL", "")))
        self.options.set_values(values)

    # The estimate --------------------------------------------------------------------------

    def set_ready(self, ready: bool) -> None:
        """Tell whether there is an engine."""
        self._ready = ready
        self._changed()

    def _changed(self) -> None:
        """Something else is wanted: ask anew, once the user pauses."""
        self._show_out()
        self.problem.tell("")
        self._refused = False
        self._remember()
        self._enable()
        if not self._ready or self._running:
            return
        self.asking.cancel()
        self.estimate.tell("")
        self._timer.start()

    def _ask(self) -> None:
        layer = self.layer()
        if layer is None or not self._ready or self._running:
            return
        try:
            if is_web(layer):
                self._show_export_size(layer)
                return
            values = self.values(raster_source(layer))
        except EngineError as error:
            self._show_problem(error.failure)
            return
        self.estimate.tell(tr("Estimating ..."))
        # What a run of before left in the folder is the run's question, not the estimate's.
        line = command_line("run", {**values, "OVERWRITE": False})
        self.asking.ask([*line, "--dry-run", "--json"])

    def _show_export_size(self, layer: QgsRasterLayer) -> None:
        columns, rows = export_size(self.area.extent(layer), layer.crs(), self.resolution.value())
        text = tr("{px} ({columns} x {rows}) will be asked of the server, then mapped.")
        self.estimate.tell(
            text.format(px=pixels_text(columns * rows), columns=f"{columns:,}", rows=f"{rows:,}")
        )

    def _show_estimate(self, events: list[dict[str, Any]]) -> None:
        event = next((e for e in events if e.get("event") == "estimate"), None)
        out = self.out_folder()
        if event is None or out is None:
            return
        found = judged(event, out)
        self.estimate.tell(found.text, BAD if found.problem else "")
        self.problem.tell(found.problem, BAD)

    def _show_problem(self, failure: Failure) -> None:
        """Show what is in the way; there is no Run before it is mended."""
        self.estimate.tell("")
        layer = self.layer()
        source = layer_source(layer) if layer is not None else ""
        words = Failure(
            in_panel_words(failure.message, source), in_panel_words(failure.hint, source)
        )
        self.problem.tell(describe(words), BAD)
        self._refused = True
        self._enable()

    # Running -------------------------------------------------------------------------------

    def run(self) -> None:
        """Start, after exporting where the layer is no file."""
        self._remember(chosen=True)
        layer = self.layer()
        try:
            if layer is not None and is_web(layer):
                self._begin_export(layer)
            else:
                self._want(raster_source(layer))
        except EngineError as error:
            self._show_problem(error.failure)
            self.failed.emit(error.failure)

    def _want(self, source: str) -> None:
        layer = self.layer()
        values = self.values(source)
        self.asking.cancel()
        self._timer.stop()
        card = self.model.card()
        facts = {
            "layer": layer.id() if layer is not None else "",
            "name": layer.name() if layer is not None else Path(source).stem,
            "model_folder": str(card.folder) if card is not None and card.folder else "",
        }
        self.wanted.emit(values, facts, str(self.where.currentData()))

    def _begin_export(self, layer: QgsRasterLayer) -> None:
        out = self.out_folder() or data_folder()
        target = free_target(out.parent, out.name.replace("_geoseg", ""))
        extent = self.area.extent(layer)
        self._export = ExportTask(layer, extent, self.resolution.value(), target)
        self._export.done.connect(self._exported)
        self._export.failed.connect(self._export_failed)
        self._export.progressChanged.connect(
            lambda percent: self.show_progress(percent / 100, tr("Exporting the web layer"))
        )
        self.show_running(True)
        self.show_progress(0, tr("Exporting the web layer"))
        QgsApplication.taskManager().addTask(self._export)

    def _exported(self, path: str) -> None:
        self._export = None
        self.show_running(False)
        try:
            self._want(path)
        except EngineError as error:
            self.failed.emit(error.failure)

    def _export_failed(self, failure: Failure) -> None:
        self._export = None
        self.show_running(False)
        self._show_problem(failure)
        self.failed.emit(failure)

    def _stop(self) -> None:
        if self._export is not None:
            self._export.cancel()
            return
        self.stop_button.setText(tr("Stop at once"))
        self.stopped.emit()

    def show_running(self, running: bool) -> None:
        """Show Run or Stop."""
        self._running = running
        self.run_button.setVisible(not running)
        self.stop_button.setVisible(running)
        self.stop_button.setText(tr("Stop"))
        self.progress.setVisible(running)
        self.status.setVisible(running)
        self.problem.setVisible(not running and bool(self.problem.text()))
        if running:
            self.asking.cancel()
            self._timer.stop()
            self.progress.setValue(0)
        self._enable()

    def show_progress(self, share: float, text: str) -> None:
        """Show how far it is."""
        self.progress.setValue(round(1000 * share))
        self.status.tell(text)

    def _enable(self) -> None:
        can_run = self._ready and self.layer() is not None and not self._refused
        self.run_button.setEnabled(can_run)
        for box in (self.layer_box, self.model, self.area, self.result_box, self.options):
            box.setEnabled(not self._running)

    # The project ---------------------------------------------------------------------------

    def _choices(self) -> dict[str, Any]:
        """Return what only the user changes."""
        return {
            "area": self.area.mode(),
            "out": self.out.filePath(),
            "where": self.where.currentData(),
            "resolution_m": self.resolution.value(),
            "options": self.options.values(),
        }

    def _remember(self, *, chosen: bool = False) -> None:
        """Keep what is chosen in the project; what nobody chose does not make it unsaved."""
        layer, choices = self.layer(), self._choices()
        if layer is None or self._restoring or (not chosen and choices == self._kept):
            return
        self._kept = choices
        record = {"layer": layer.id(), "model": self.model.value(), **choices}
        text = json.dumps(record, ensure_ascii=False, sort_keys=True)
        project = QgsProject.instance()
        if project.readEntry("geoseg", _ENTRY, "")[0] != text:
            project.writeEntry("geoseg", _ENTRY, text)

    def _project_read(self, *_: Any) -> None:
        self.restore()

    def restore(self) -> None:
        """Show what the project remembers, or how everything is at first."""
        text, found = QgsProject.instance().readEntry("geoseg", _ENTRY, "")
        try:
            record = json.loads(text) if found and text else {}
        except ValueError:
            record = {}
        self._restoring = True
        try:
            self._show_record(record if isinstance(record, dict) else {})
            self._kept = self._choices()
            self._layer_changed()
        finally:
            self._restoring = False

    def _show_record(self, record: dict[str, Any]) -> None:
        layer = QgsProject.instance().mapLayer(str(record.get("layer", "")))
        if layer is not None:
            self.layers.setLayer(layer)
        self.model.choose(str(record.get("model", "")))
        self.area.choose("layer")
        self.area.choose(str(record.get("area", "layer")))
        self.out.setFilePath(str(record.get("out", "")))
        self.where.setCurrentIndex(max(0, self.where.findData(record.get("where", "here"))))
        self.resolution.setValue(float(record.get("resolution_m", 1)))
        self.options.set_values(record.get("options", {}))

    def leave(self) -> None:
        """QGIS ends, or the plugin is taken away."""
        self._timer.stop()
        self.asking.cancel()
        if self._export is not None:
            self._export.cancel()
        self.area.leave()
        QgsProject.instance().cleared.disconnect(self.restore)
        QgsProject.instance().readProject.disconnect(self._project_read)


def _scene(layer: QgsRasterLayer | None) -> Path:
    """Return the file of a layer; a path that is no file where it has none."""
    return Path(layer_source(layer)).absolute() if layer is not None else Path()


def _facts(layer: QgsRasterLayer) -> str:
    """Return size, pixel size and CRS of a layer, for people."""
    if is_web(layer):
        return tr("Web layer: the area is exported to a GeoTIFF first.")
    crs = layer.crs().authid() or tr("no CRS")
    unit = QgsUnitTypes.toAbbreviatedString(layer.crs().mapUnits()) if layer.crs().isValid() else ""
    size = f"{layer.rasterUnitsPerPixelX():.6g} {unit}".strip()
    return tr("{width} x {height} px of {size}, {bands} bands, {crs}").format(
        width=f"{layer.width():,}",
        height=f"{layer.height():,}",
        size=size,
        bands=layer.bandCount(),
        crs=crs,
    )
