"""The options of ``geoseg run`` that the panel has no part of its own for."""

from __future__ import annotations

from typing import Any

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from .labels import default_of, help_of, label
from .options import Option, load_command
from .text import tr

__all__ = ["OptionsBox"]

_ELSEWHERE = {"OUT", "MODEL", "AOI", "SCHEDULER"}
_FRONT = (
    "MIN_AREA", "SMOOTH", "NO_POLYGONS", "BANDS", "GSD", "VALUE_RANGE", "NODATA", "DEVICE",
    "OVERWRITE",
)  # fmt: skip


class OptionsBox(QgsCollapsibleGroupBox):
    """The common options, and below them all others."""

    changed = pyqtSignal()
    """Another value."""

    def __init__(self, parent: QWidget | None = None) -> None:
        """Make a field for every option that the engine has."""
        super().__init__(tr("Options"), parent)
        self.fields: dict[str, QWidget] = {}
        self._options = {o.name: o for o in load_command("run").options}
        front = [self._options[n] for n in _FRONT if n in self._options]
        rest = [o for n, o in self._options.items() if n not in _FRONT and n not in _ELSEWHERE]
        more = QgsCollapsibleGroupBox(tr("All options"))
        more.setLayout(self._form(rest))
        more.setCollapsed(True)
        more.setSaveCollapsedState(False)
        layout = QVBoxLayout(self)
        layout.addLayout(self._form(front))
        layout.addWidget(more)
        self.setCollapsed(True)
        self.setSaveCollapsedState(False)

    def _form(self, options: list[Option]) -> QFormLayout:
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for option in options:
            field = self._field(option)
            field.setToolTip(f"<p>{help_of(option.help)}<br><code>{option.flag}</code></p>")
            self.fields[option.name] = field
            form.addRow("" if isinstance(field, QCheckBox) else label(option.name, "run"), field)
        return form

    def _field(self, option: Option) -> QWidget:
        if option.kind == "flag":
            box = QCheckBox(label(option.name, "run"))
            box.setChecked(bool(option.default))
            box.toggled.connect(lambda _: self.changed.emit())
            return box
        if option.kind == "choice" and not option.multiple:
            combo = QComboBox()
            combo.addItems(list(option.choices))
            combo.setCurrentText(str(option.default))
            combo.currentIndexChanged.connect(lambda _: self.changed.emit())
            return combo
        edit = QLineEdit("" if option.default is None else str(option.default))
        words = " | ".join(option.choices)
        edit.setPlaceholderText(words or default_of(help_of(option.help)))
        edit.textEdited.connect(lambda _: self.changed.emit())
        return edit

    def values(self) -> dict[str, Any]:
        """Return what differs from the defaults, by parameter name."""
        found = {}
        for name, field in self.fields.items():
            option, value = self._options[name], _value(field)
            if option.multiple:
                value = str(value).replace(",", " ").replace("|", " ").split()
            if value not in ("", [], option.default) and str(value) != str(option.default):
                found[name] = value
        return found

    def set_values(self, values: dict[str, Any]) -> None:
        """Show values; the defaults for those that are missing."""
        for name, field in self.fields.items():
            value = values.get(name, self._options[name].default)
            if isinstance(field, QCheckBox):
                field.setChecked(bool(value))
            elif isinstance(field, QComboBox):
                field.setCurrentText(str(value))
            elif isinstance(field, QLineEdit):
                text = " ".join(value) if isinstance(value, list) else value
                field.setText(
                    "" if text is None else f"{text:g}" if isinstance(text, float) else str(text)
                )
        self.changed.emit()


def _value(field: QWidget) -> Any:
    if isinstance(field, QCheckBox):
        return field.isChecked()
    if isinstance(field, QComboBox):
        return field.currentText()
    return field.text().strip() if isinstance(field, QLineEdit) else None
