"""``geoseg models show`` in Processing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
)

from ..cards import Card, card_page
from ..labels import label
from ..options import load_command
from ..text import tr
from .base import EngineAlgorithm

__all__ = ["ModelInfo"]


class ModelInfo(EngineAlgorithm):
    """Tell what a model maps, on what imagery, and how well."""

    command = "models show"

    def name(self) -> str:
        """Return the id."""
        return "modelinfo"

    def title(self) -> str:
        """Return the name in the toolbox."""
        return tr("Model info")

    def summary(self) -> str:
        """Return the help."""
        return tr(
            "Tells what a model maps, on what imagery, how well, and under which licence, from "
            "its card."
        )

    def typed(self, name: str) -> QgsProcessingParameterDefinition | None:
        """Return the model; the command's argument has no default, that of a run has."""
        if name != "MODEL":
            return None
        default = load_command("run").option("MODEL").default
        return QgsProcessingParameterString(name, label(name), defaultValue=default)

    def extra(self) -> list[QgsProcessingParameterDefinition]:
        """Return the page to write."""
        return [
            QgsProcessingParameterFileDestination(
                "OUT", tr("Page"), fileFilter="HTML (*.html)", optional=True, createByDefault=True
            )
        ]

    def declare_outputs(self) -> None:
        """Declare what a model of Processing can go on with."""
        for name, text in (
            ("NAME", tr("Name")),
            ("TITLE", tr("Title")),
            ("CLASSES", tr("Classes")),
            ("BANDS", tr("Bands")),
            ("LICENSE", tr("Licence")),
        ):
            self.addOutput(QgsProcessingOutputString(name, text))
        self.addOutput(QgsProcessingOutputNumber("GSD", tr("Pixel size [m]")))

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: Any
    ) -> bool:
        """Remember where the page goes."""
        self._page = self.parameterAsFileOutput(parameters, "OUT", context)
        return super().prepareAlgorithm(parameters, context, feedback)

    def value_of(
        self, name: str, parameters: dict[str, Any], context: QgsProcessingContext, folder: Path
    ) -> Any:
        """Return the name or folder."""
        del folder
        return self.parameterAsString(parameters, name, context)

    def results(
        self, events: list[dict[str, Any]], values: dict[str, Any], context: QgsProcessingContext
    ) -> dict[str, Any]:
        """Write the page and return the facts."""
        del values, context
        card = Card.from_item(events[-1])
        found: dict[str, Any] = {
            "NAME": card.name,
            "TITLE": card.title,
            "CLASSES": json.dumps([list(c) for c in card.classes], ensure_ascii=False),
            "BANDS": ",".join(card.bands),
            "LICENSE": card.license,
        }
        if card.gsd_m is not None:
            found["GSD"] = card.gsd_m
        if self._page:
            Path(self._page).write_text(card_page(card), encoding="utf-8")
            found["OUT"] = self._page
        return found
