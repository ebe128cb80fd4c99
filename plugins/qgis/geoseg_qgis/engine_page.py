"""Where the engine is and how it does: first run, doctor, and what is set once."""

from __future__ import annotations

import os
import platform
from html import escape
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QT_VERSION_STR, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from .asking import Ask, describe
from .engine import Engine, EngineError, Failure
from .environment import Installer, Request, installed_in, remove
from .settings import Settings, engine_folder, network
from .text import tr
from .widgets import BAD, GOOD, WARN, TextDialog, WrapLabel, copy

__all__ = ["EnginePage"]

_POLL_MS = 150
_VERDICTS = {"ok": GOOD, "fail": BAD, "warn": WARN}


class EnginePage(QWidget):
    """First-run page while there is no engine, doctor page afterwards."""

    changed = pyqtSignal()
    """The engine may be another one now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Make the parts."""
        super().__init__(parent)
        self.engine: Engine | None = None
        self._installer: Installer | None = None
        self._findings: list[dict[str, Any]] = []
        self._timer = QTimer(self)
        self._timer.setInterval(_POLL_MS)
        self._timer.timeout.connect(self._look)
        self.doctor = Ask(self)
        self.doctor.answered.connect(self._show_findings)
        self.doctor.failed.connect(self._show_failure)
        self.state = WrapLabel()
        self.install_box = self._make_install()
        self.doctor_box = self._make_doctor()
        self.choice_box = self._make_choices()
        layout = QVBoxLayout(self)
        layout.addWidget(self.state)
        layout.addWidget(self.install_box)
        layout.addWidget(self.doctor_box, 1)
        layout.addWidget(self.choice_box)
        layout.addStretch(0)
        self._enable()

    # First run -----------------------------------------------------------------------------

    def _make_install(self) -> QGroupBox:
        box = QGroupBox(tr("Environment of its own"))
        self.install_text = WrapLabel(
            tr(
                "The plugin can make a Python environment for geoseg in your QGIS profile. "
                "Nothing in QGIS or in your system is changed. It takes some minutes and, "
                "with support for NVIDIA graphics cards, up to 8 GiB."
            )
        )
        self.tool = QComboBox()
        self.tool.addItems(["pip", "uv"])
        self.tool.setCurrentText(Settings().get("tool"))
        self.package = QLineEdit(Settings().get("package"))
        self.package.setToolTip(tr("Name for pip, an address, or the path of a wheel or checkout"))
        self.index = QLineEdit(Settings().get("index"))
        self.index.setPlaceholderText(tr("the usual one"))
        self.index.setToolTip(tr("Address of your organisation's package index, if it has one"))
        form = QFormLayout()
        form.addRow(tr("Package"), self.package)
        form.addRow(tr("Install with"), self.tool)
        form.addRow(tr("Package index"), self.index)
        layout = QVBoxLayout(box)
        layout.addWidget(self.install_text)
        layout.addLayout(form)
        layout.addLayout(self._install_buttons())
        self._add_progress(layout)
        return box

    def _install_buttons(self) -> QHBoxLayout:
        self.install_button = QPushButton(tr("Install geoseg"))
        self.remove_button = QPushButton(tr("Remove"))
        self.cancel_button = QPushButton(tr("Cancel"))
        self.log_button = QPushButton(tr("Show log"))
        self.install_button.clicked.connect(self.install)
        self.remove_button.clicked.connect(self.remove)
        self.cancel_button.clicked.connect(self.cancel)
        self.log_button.clicked.connect(self._show_log)
        row = QHBoxLayout()
        for button in (
            self.install_button, self.cancel_button, self.remove_button, self.log_button,
        ):  # fmt: skip
            row.addWidget(button)
        return row

    def _add_progress(self, layout: QVBoxLayout) -> None:
        self.progress = QProgressBar()
        self.progress.hide()
        self.step = WrapLabel()
        self.last_lines = QPlainTextEdit()
        self.last_lines.setReadOnly(True)
        self.last_lines.setMaximumBlockCount(2000)
        self.last_lines.setMaximumHeight(110)
        self.last_lines.hide()
        for part in (self.progress, self.step, self.last_lines):
            layout.addWidget(part)
        self.step.hide()

    def install(self) -> None:
        """Make the environment, or make it anew."""
        settings = Settings()
        for name, value in (
            ("tool", self.tool.currentText()),
            ("package", self.package.text().strip() or "geoseg"),
            ("index", self.index.text().strip()),
        ):
            settings.set(name, value)
        request = Request(
            folder=engine_folder(),
            tool=settings.get("tool"),
            package=settings.get("package"),
            index=settings.get("index"),
        )
        try:
            self._installer = Installer(request, os.environ, network())
        except EngineError as error:
            self._tell_failure(error.failure)
            return
        self.last_lines.clear()
        self._timer.start()
        self._enable()

    def cancel(self) -> None:
        """Stop installing; what is there already is removed."""
        if self._installer is not None:
            self._installer.cancel()

    def remove(self) -> None:
        """Delete the environment."""
        try:
            remove(engine_folder())
        except EngineError as error:
            self._tell_failure(error.failure)
        self._enable()
        self.changed.emit()

    def _look(self) -> None:
        """See how the installation goes on."""
        installer = self._installer
        if installer is None:
            return
        for line in installer.poll():
            self.last_lines.appendPlainText(line)
        number, count, title = installer.progress
        # pip does not tell how far it is: the bar moves without a number inside a step.
        self.progress.setRange(0, 0 if not installer.is_over else count)
        self.step.tell(
            tr("Step {number} of {count}: {title}").format(
                number=number + 1, count=count, title=title
            )
        )
        if installer.is_over:
            self._installed(installer)

    def _installed(self, installer: Installer) -> None:
        self._timer.stop()
        self._installer = None
        if installer.failure is not None:
            self._tell_failure(installer.failure)
        elif installer.cancelled:
            self.step.tell(tr("Stopped; nothing was left behind."))
        else:
            self.step.tell(tr("geoseg is installed."), GOOD)
        self._enable()
        self.changed.emit()

    def _tell_failure(self, failure: Failure) -> None:
        self.step.tell(describe(failure), BAD)

    def _show_log(self) -> None:
        log = engine_folder().with_name(engine_folder().name + "-install.log")
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        TextDialog(tr("Log of the installation"), text, self).show()

    # Doctor --------------------------------------------------------------------------------

    def _make_doctor(self) -> QGroupBox:
        box = QGroupBox(tr("Doctor"))
        self.findings = QTextBrowser()
        self.findings.setMinimumHeight(220)
        self.verdict = WrapLabel()
        self.examine_button = QPushButton(tr("Examine"))
        self.examine_button.setToolTip(tr("Versions, devices, and a small map as a self-test"))
        self.copy_button = QPushButton(tr("Copy for a bug report"))
        self.examine_button.clicked.connect(self.examine)
        self.copy_button.clicked.connect(lambda: copy(self.bug_report()))
        row = QHBoxLayout()
        row.addWidget(self.examine_button)
        row.addWidget(self.copy_button)
        layout = QVBoxLayout(box)
        layout.addWidget(self.verdict)
        layout.addWidget(self.findings, 1)
        layout.addLayout(row)
        return box

    def examine(self) -> None:
        """Ask the engine's doctor, with a self-test."""
        self.verdict.tell(tr("Examining; the self-test takes some ten seconds ..."))
        self.examine_button.setEnabled(False)
        self.doctor.ask(["doctor", "--json"], verdict=False)

    def _show_findings(self, events: list[dict[str, Any]]) -> None:
        found = next((e for e in events if e.get("event") == "doctor"), {})
        self._findings = list(found.get("findings", []))
        self.findings.setHtml(_findings_html(self._findings))
        well = bool(found.get("ok"))
        text = tr("All is well.") if well else tr("Something is broken: see the red lines.")
        self.verdict.tell(text, GOOD if well else BAD)
        self.examine_button.setEnabled(True)

    def _show_failure(self, failure: Failure) -> None:
        self.verdict.tell(describe(failure), BAD)
        self.examine_button.setEnabled(True)

    def bug_report(self) -> str:
        """Return what somebody needs to know who mends a bug."""
        engine = "none" if self.engine is None else f"{self.engine.version}, {self.engine.program}"
        lines = [
            f"QGIS {Qgis.QGIS_VERSION}, Qt {QT_VERSION_STR}, Python {platform.python_version()}",
            f"{platform.platform()}, {QgsApplication.locale()}",
            f"geoseg: {engine}",
            *(
                f"{f['verdict']:<4} {f['section']:<9} {f['name']:<28} {f['text']}"
                for f in self._findings
            ),
        ]
        if not self._findings:
            lines.append(self.verdict.text() or self.state.text())
        return "\n".join(lines)

    # What is set once ----------------------------------------------------------------------

    def _make_choices(self) -> QGroupBox:
        box = QGroupBox(tr("Settings"))
        settings = Settings()
        self.program = QgsFileWidget()
        self.program.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.program.setFilePath(settings.get("engine"))
        self.program.lineEdit().setPlaceholderText(tr("found by itself"))
        self.program.fileChanged.connect(self._choose_program)
        self.on_close = QComboBox()
        self.on_close.addItem(tr("stop; running again continues"), "stop")
        self.on_close.addItem(tr("go on; QGIS finds them again"), "continue")
        self.on_close.setCurrentIndex(self.on_close.findData(settings.get("on_close")))
        self.on_close.currentIndexChanged.connect(
            lambda _: settings.set("on_close", str(self.on_close.currentData()))
        )
        self.scheduler = self._line("scheduler", "tcp://host:8786")
        self.batch = self._line("batch_template", "sbatch --job-name {name} --wrap {command}")
        self.batch.setToolTip(
            tr(
                "{command}: the geoseg command as one text; {arguments}: its words; {name}: the "
                "job; {out}: the result folder. The folders must be the same over there."
            )
        )
        self.batch_program = self._line("batch_program", "geoseg")
        grid = QGridLayout(box)
        for row, (text, widget) in enumerate(
            (
                (tr("geoseg program"), self.program),
                (tr("When QGIS closes, jobs"), self.on_close),
                (tr("Scheduler address"), self.scheduler),
                (tr("Batch command"), self.batch),
                (tr("geoseg over there"), self.batch_program),
            )
        ):
            grid.addWidget(WrapLabel(text), row, 0)
            grid.addWidget(widget, row, 1)
        grid.setColumnStretch(0, 2)
        grid.setColumnStretch(1, 3)
        return box

    def _line(self, name: str, example: str) -> QLineEdit:
        edit = QLineEdit(Settings().get(name))
        edit.setPlaceholderText(example)
        edit.editingFinished.connect(lambda: Settings().set(name, edit.text().strip()))
        return edit

    def _choose_program(self, path: str) -> None:
        Settings().set("engine", path)
        self.changed.emit()

    # How it stands -------------------------------------------------------------------------

    def show_engine(self, engine: Engine) -> None:
        """There is an engine."""
        self.engine = engine
        self.state.tell(
            tr("geoseg {version} is ready: {program}").format(
                version=engine.version, program=engine.program
            ),
            GOOD,
        )
        self._enable()

    def show_no_engine(self, failure: Failure) -> None:
        """There is none, or none that works."""
        self.engine = None
        self.state.tell(describe(failure), BAD)
        self._enable()

    def _enable(self) -> None:
        busy, own = self._installer is not None, installed_in(engine_folder())
        folder = Path(engine_folder())
        self.install_button.setText(tr("Repair") if folder.exists() else tr("Install geoseg"))
        self.install_button.setVisible(not busy)
        self.cancel_button.setVisible(busy)
        self.progress.setVisible(busy)
        self.last_lines.setVisible(busy)
        self.remove_button.setVisible(not busy and folder.exists())
        self.log_button.setVisible(self.last_lines.blockCount() > 1)
        for part in (self.package, self.tool, self.index):
            part.setEnabled(not busy)
        # Somebody whose engine is elsewhere need not think about one of our own.
        self.install_box.setVisible(busy or own or folder.exists() or self.engine is None)
        self.install_text.setVisible(not own)
        self.doctor_box.setVisible(self.engine is not None)

    def leave(self) -> None:
        """QGIS ends."""
        self._timer.stop()
        self.doctor.cancel()
        self.cancel()


_SECTIONS = ("devices", "self-test", "models", "system", "raster", "vector", "versions")
"""What people come for stands on top; the list of versions is for bug reports."""


def _findings_html(findings: list[dict[str, Any]]) -> str:
    """Return the doctor's findings as a table by section."""
    names = {
        "versions": tr("Versions"),
        "system": tr("System"),
        "raster": tr("Raster formats"),
        "vector": tr("Vector formats"),
        "devices": tr("Devices"),
        "models": tr("Models"),
        "self-test": tr("Self-test"),
    }
    found: dict[str, list[str]] = {}
    for finding in findings:
        colour = _VERDICTS.get(finding["verdict"], "")
        style = f" style='color:{colour}'" if colour else ""
        cells = (escape(str(finding[key])) for key in ("name", "text"))
        name, text = cells
        red = style if finding["verdict"] in {"fail", "warn"} else ""
        found.setdefault(finding["section"], []).append(
            f"<tr><td{style}>{name}&nbsp;&nbsp;</td><td{red}>{text}</td></tr>"
        )
    order = [s for s in _SECTIONS if s in found] + [s for s in found if s not in _SECTIONS]
    parts = (f"<p><b>{names.get(s, s)}</b></p><table>{''.join(found[s])}</table>" for s in order)
    return "".join(parts)
