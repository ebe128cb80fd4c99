"""Which model: a list, its card, and any folder that is browsed to or dropped."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .cards import Card, read_card
from .engine import EngineError
from .settings import Settings
from .text import tr
from .widgets import BAD, WrapLabel, legend_html, model_picture

__all__ = ["ModelBox"]

_SIDE = 64
_FOLDERS = "model_folders"


class ModelBox(QGroupBox):
    """The chosen model, and what its card says."""

    chosen = pyqtSignal()
    """The user chose, which is not always another model."""
    changed = pyqtSignal()
    """Another model is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Make the parts; models come with :meth:`show_models`."""
        super().__init__(tr("Model"), parent)
        self.setAcceptDrops(True)
        self._cards: dict[str, Card] = {}
        self._wanted = ""
        self.combo = QComboBox()
        self.combo.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.combo.setToolTip(tr("A folder with a model may be dropped here"))
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip(tr("Choose a model folder"))
        self.browse.clicked.connect(self._browse)
        self.picture = QLabel()
        self.picture.setFixedSize(_SIDE, _SIDE)
        self.facts = WrapLabel()
        self.legend = WrapLabel()
        for label in (self.facts, self.legend):
            # Room for the lines of a narrow panel; less would reserve height that nobody needs.
            label.setMinimumWidth(200)
        self.problem = WrapLabel()
        self.problem.hide()
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.browse)
        grid = QGridLayout()
        grid.addWidget(self.picture, 0, 0, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.facts, 0, 1)
        grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(row)
        layout.addLayout(grid)
        layout.addWidget(self.legend)
        layout.addWidget(self.problem)
        self.combo.currentIndexChanged.connect(self._show)
        self.combo.activated.connect(lambda _: self.chosen.emit())

    # Choosing ------------------------------------------------------------------------------

    def value(self) -> str:
        """Return what ``--model`` takes; empty where there is none."""
        return str(self.combo.currentData() or "")

    def card(self) -> Card | None:
        """Return the chosen model's card."""
        return self._cards.get(self.value())

    def choose(self, value: str) -> None:
        """Choose a model by name or folder, now or once it is known."""
        if not value:
            return
        self._wanted = value
        index = self.combo.findData(value)
        if index < 0 and (Path(value) / "card.json").is_file():
            self.add_folder(Path(value))
            return
        if index >= 0:
            self.combo.setCurrentIndex(index)

    def show_models(self, models: list[dict[str, Any]]) -> None:
        """Fill the list with the engine's models and the user's folders.

        Args:
            models: As ``geoseg models list --json`` has them.
        """
        wanted = self._wanted or self.value()
        self.combo.blockSignals(True)
        self.combo.clear()
        for model in models:
            try:
                card = read_card(Path(model["folder"]))
            except EngineError:
                continue
            self._add(model["name"], card)
            if model.get("default") and not wanted:
                wanted = model["name"]
        for folder in self._folders():
            try:
                self._add(folder, read_card(Path(folder)))
            except EngineError:  # noqa: PERF203 - on a disk that is not there today
                continue
        self.combo.setCurrentIndex(max(0, self.combo.findData(wanted)))
        self.combo.blockSignals(False)
        self._show()

    def _add(self, value: str, card: Card) -> None:
        self._cards[value] = card
        if self.combo.findData(value) < 0:
            self.combo.addItem(card.name, value)
            self.combo.setItemData(self.combo.count() - 1, value, Qt.ItemDataRole.ToolTipRole)

    def add_folder(self, folder: Path) -> None:
        """Add a model folder and choose it; tell what is wrong where it is none."""
        try:
            card = read_card(folder)
        except EngineError as error:
            self.problem.tell(str(error.failure), BAD)
            return
        self.problem.tell("")
        value = str(folder)
        kept = [value, *(f for f in self._folders() if f != value)][:20]
        Settings().set(_FOLDERS, "\n".join(kept))
        self._add(value, card)
        self.combo.setCurrentIndex(self.combo.findData(value))
        self.chosen.emit()

    @staticmethod
    def _folders() -> list[str]:
        return [line for line in Settings().get(_FOLDERS).split("\n") if line]

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, tr("Choose a model folder"))
        if folder:
            self.add_folder(Path(folder))

    def dragEnterEvent(self, event: Any) -> None:
        """Take folders only."""
        if _dropped_folder(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: Any) -> None:
        """Add the folder."""
        folder = _dropped_folder(event)
        if folder is not None:
            self.add_folder(folder)

    # Showing -------------------------------------------------------------------------------

    def _show(self) -> None:
        card = self.card()
        for part in (self.picture, self.facts, self.legend):
            part.setVisible(card is not None)
        if card is not None:
            self._wanted = self.value()
            self.picture.setPixmap(model_picture(card, _SIDE))
            facts = (card.gsd_text(), card.score_text(), tr("Licence") + f": {card.license}")
            self.facts.setText(
                f"<b>{escape(card.title)}</b><br>" + "<br>".join(escape(f) for f in facts)
            )
            self.facts.setToolTip(f"<p>{escape(card.description)}</p>")
            self.legend.setText(legend_html(card.classes))
        self.changed.emit()


def _dropped_folder(event: Any) -> Path | None:
    urls = event.mimeData().urls()
    path = Path(urls[0].toLocalFile()) if len(urls) == 1 and urls[0].isLocalFile() else None
    if path is not None and path.name == "card.json":
        path = path.parent
    return path if path is not None and path.is_dir() else None
