"""What was run before, to be repeated or passed on."""

from __future__ import annotations

from contextlib import suppress

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QGridLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .history import as_command, as_python, columns
from .jobs import Follower, Job, State
from .settings import job_store
from .text import tr
from .widgets import TextDialog, WrapLabel, copy, open_path

__all__ = ["HistoryPage"]

_JOB = Qt.ItemDataRole.UserRole


class HistoryPage(QWidget):
    """All jobs, the newest first."""

    again = pyqtSignal(object)
    """A :class:`Job` to run once more."""
    show_result = pyqtSignal(object)
    """A finished :class:`Job` to open."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Make the list; it is filled when it is seen."""
        super().__init__(parent)
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setHeaderLabels([tr("When"), tr("What"), tr("How it ended")])
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        self.list.itemSelectionChanged.connect(self._enable)
        self.note = WrapLabel()
        self.buttons = {
            "again": QPushButton(tr("Run again")),
            "load": QPushButton(tr("Open the map")),
            "command": QPushButton(tr("Copy as command")),
            "python": QPushButton(tr("Copy as Python")),
            "folder": QPushButton(tr("Open folder")),
            "log": QPushButton(tr("Show log")),
            "forget": QPushButton(tr("Forget")),
        }
        grid = QGridLayout()
        for number, button in enumerate(self.buttons.values()):
            grid.addWidget(button, number // 2, number % 2)
        layout = QVBoxLayout(self)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.note)
        layout.addLayout(grid)
        self._connect()
        self._enable()

    def _connect(self) -> None:
        actions = {
            "again": self.again.emit,
            "load": self.show_result.emit,
            "command": lambda job: copy(as_command(job)),
            "python": lambda job: copy(as_python(job)),
            "folder": lambda job: open_path(job.out),
            "log": self._show_log,
            "forget": self._forget,
        }
        for name, action in actions.items():
            self.buttons[name].clicked.connect(
                lambda _checked=False, action=action: self._with_job(action)
            )

    def _with_job(self, action: object) -> None:
        job = self.job()
        if job is not None:
            action(job)  # type: ignore[operator]

    def job(self) -> Job | None:
        """Return the chosen job."""
        items = self.list.selectedItems()
        return items[0].data(0, _JOB) if items else None

    def refresh(self) -> None:
        """Read the jobs again."""
        chosen = self.job()
        self.list.clear()
        for job in job_store().all():
            item = QTreeWidgetItem(list(columns(job)))
            item.setData(0, _JOB, job)
            item.setToolTip(1, as_command(job))
            self.list.addTopLevelItem(item)
            if chosen is not None and job.folder == chosen.folder:
                item.setSelected(True)
        if not self.list.selectedItems() and self.list.topLevelItemCount():
            self.list.topLevelItem(0).setSelected(True)
        for column in (0, 2):
            self.list.resizeColumnToContents(column)
        self._enable()

    def showEvent(self, event: object) -> None:
        """Fill the list when it comes into view."""
        self.refresh()
        super().showEvent(event)

    def _enable(self) -> None:
        job = self.job()
        for button in self.buttons.values():
            button.setEnabled(job is not None)
        if job is None:
            self.note.tell("" if self.list.topLevelItemCount() else tr("Nothing was run yet."))
            return
        self.note.tell("")
        self.buttons["load"].setEnabled(job.command == "run" and job.state == State.DONE)
        self.buttons["folder"].setEnabled(bool(job.out))
        self.buttons["forget"].setEnabled(job.state != State.RUNNING)

    def _show_log(self, job: Job) -> None:
        text = f"$ {as_command(job)}\n{Follower(job).messages()}"
        with suppress(OSError):
            text += job.events.read_text("utf-8", "replace")
        TextDialog(tr("Log of {title}").format(title=job.title), text, self).show()

    def _forget(self, job: Job) -> None:
        job_store().remove(job)
        self.refresh()
