"""What came out: area per class as table and chart, and the way to the files."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .report import area_text
from .text import tr
from .widgets import BarChart, WrapLabel, open_path

__all__ = ["ResultPage"]

_HIGHEST_TABLE = 360


class ResultPage(QWidget):
    """The last finished map, or one from the history."""

    zoom = pyqtSignal()
    """The user wants to see the map."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Show that there is nothing yet."""
        super().__init__(parent)
        self.title = WrapLabel(tr("No map yet. When a run is done, its areas are shown here."))
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels([tr("Class"), tr("Area"), tr("Share")])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.ResizeToContents)
        self.chart = BarChart()
        self.report = QPushButton(tr("Open report"))
        self.folder = QPushButton(tr("Open folder"))
        self.look = QPushButton(tr("Zoom to map"))
        self.report.clicked.connect(lambda: open_path(self._report))
        self.folder.clicked.connect(lambda: open_path(self._out))
        self.look.clicked.connect(self.zoom)
        self._report, self._out = "", ""
        self._lay_out()
        self._enable()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.report, self.folder, self.look):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.title)
        layout.addWidget(self.table)
        layout.addWidget(self.chart)
        layout.addLayout(buttons)
        layout.addStretch(1)

    def show_result(
        self, title: str, finished: dict[str, Any], colours: dict[int, str], report: Path
    ) -> None:
        """Show a finished run."""
        self.title.setText(f"<b>{escape(title)}</b>")
        self._report, self._out = str(report), str(finished.get("out", ""))
        rows = finished.get("classes", [])
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            colour = colours.get(int(row["class_id"]), "#888888")
            cells = (
                str(row["class_name"]),
                area_text(row.get("area_m2")),
                f"{100 * float(row['share']):.1f} %",
            )
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column:
                    right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    item.setTextAlignment(right)
                else:
                    item.setIcon(_swatch(colour))
                self.table.setItem(number, column, item)
        self.chart.set_rows(
            [
                (
                    str(row["class_name"]),
                    float(row["share"]),
                    colours.get(int(row["class_id"]), "#888888"),
                )
                for row in rows
            ]
        )
        self._enable()

    def _enable(self) -> None:
        self.report.setEnabled(bool(self._report) and Path(self._report).exists())
        self.folder.setEnabled(bool(self._out))
        self.look.setEnabled(bool(self._out))
        self.table.setVisible(self.table.rowCount() > 0)
        rows = sum(self.table.rowHeight(k) for k in range(self.table.rowCount()))
        height = rows + self.table.horizontalHeader().height() + 4
        self.table.setFixedHeight(min(height, _HIGHEST_TABLE))


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(colour))
    return QIcon(pixmap)
