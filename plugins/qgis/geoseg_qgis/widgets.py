"""Small parts of the panel."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QRectF, QSize, Qt, QUrl
from qgis.PyQt.QtGui import (
    QColor,
    QDesktopServices,
    QFontDatabase,
    QGuiApplication,
    QPainter,
    QPixmap,
)
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QLabel,
    QPlainTextEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from .cards import Card, ClassColour
from .text import tr

__all__ = [
    "BarChart",
    "TextDialog",
    "WrapLabel",
    "copy",
    "legend_html",
    "model_picture",
    "open_path",
]

GOOD, BAD, WARN = "#2e7d32", "#b3261e", "#8a5a00"


def copy(text: str) -> None:
    """Put a text on the clipboard."""
    QGuiApplication.clipboard().setText(text)


def open_path(path: str | Path) -> None:
    """Open a file or folder as the desktop does."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class WrapLabel(QLabel):
    """A label that breaks its lines and may be selected."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        """Show a text."""
        super().__init__(text, parent)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.setOpenExternalLinks(False)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setMinimumWidth(120)

    def tell(self, text: str, colour: str = "") -> None:
        """Show a text in a colour; hide the label where there is none."""
        self.setStyleSheet(f"color: {colour};" if colour else "")
        self.setText(text)
        self.setVisible(bool(text))


class TextDialog(QDialog):
    """A long text that may be copied: a log, a report for a bug."""

    def __init__(self, title: str, text: str, parent: QWidget | None = None) -> None:
        """Show the text's end."""
        super().__init__(parent)
        self.setWindowTitle(title)
        self.resize(720, 460)
        self.text = QPlainTextEdit(text)
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        button = buttons.addButton(tr("Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        button.clicked.connect(lambda: copy(self.text.toPlainText()))
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(buttons)


class BarChart(QWidget):
    """Shares of classes as bars in their colours."""

    _ROW = 24
    _GAP = 6

    def __init__(self, parent: QWidget | None = None) -> None:
        """Show nothing yet."""
        super().__init__(parent)
        self._rows: list[tuple[str, float, str]] = []

    def set_rows(self, rows: list[tuple[str, float, str]]) -> None:
        """Show bars.

        Args:
            rows: Name, share 0 to 1, colour.
        """
        self._rows = rows
        self.setMinimumHeight(self._ROW * len(rows) + 4)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return the room that all bars take."""
        return QSize(240, self._ROW * len(self._rows) + 4)

    def paintEvent(self, event: Any) -> None:
        """Draw name, bar, share."""
        del event
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        names = max((metrics.horizontalAdvance(name) for name, _, _ in self._rows), default=0)
        names = min(names + 4, 2 * self.width() // 5)
        room = self.width() - names - metrics.horizontalAdvance("100.0 %") - 3 * self._GAP
        largest = max((share for _, share, _ in self._rows), default=0) or 1
        align = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        for number, (name, share, colour) in enumerate(self._rows):
            top = number * self._ROW + 2
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, names)
            painter.setPen(self.palette().text().color())
            painter.drawText(QRectF(0, top, names, self._ROW - 4), align, shown)
            width = max(1.0, room * share / largest)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colour))
            bar = QRectF(names + self._GAP, top + 3, width, self._ROW - 10)
            painter.drawRoundedRect(bar, 2, 2)
            painter.setPen(self.palette().text().color())
            end = QRectF(bar.right() + self._GAP, top, 80, self._ROW - 4)
            painter.drawText(end, align, f"{100 * share:.1f} %")
        painter.end()


def line() -> QFrame:
    """Return a thin line."""
    frame = QFrame()
    frame.setFrameShape(QFrame.Shape.HLine)
    frame.setFrameShadow(QFrame.Shadow.Sunken)
    return frame


def legend_html(classes: tuple[ClassColour, ...]) -> str:
    """Return names with their colours, as rich text."""
    swatch = "&nbsp;" * 4
    parts = (
        f"<span style='background-color:{c.colour}'>{swatch}</span>&nbsp;{escape(c.name)}"
        for c in classes
    )
    return "&nbsp;&nbsp; ".join(parts)


def model_picture(card: Card, side: int) -> QPixmap:
    """Return the model's picture; one of its colours where it brings none."""
    if card.picture is not None:
        found = QPixmap(str(card.picture))
        if not found.isNull():
            aspect = Qt.AspectRatioMode.KeepAspectRatioByExpanding
            smooth = Qt.TransformationMode.SmoothTransformation
            return found.scaled(side, side, aspect, smooth).copy(0, 0, side, side)
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    colours = [QColor(c.colour) for c in card.classes] or [QColor("#888888")]
    cells = 4
    step = side / cells
    # A patchwork that is the same for the same legend: enough to tell models apart.
    for row in range(cells):
        for col in range(cells):
            painter.setBrush(colours[(row * 3 + col * 5 + row * col) % len(colours)])
            painter.drawRect(QRectF(col * step, row * step, step, step))
    painter.end()
    return pixmap
