"""Model cards: what a model maps, on what imagery, how well. Nothing here knows QGIS."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .engine import EngineError
from .text import tr

__all__ = ["Card", "ClassColour", "Score", "card_page", "read_card"]

_OURS = Path(__file__).parent / "resources" / "models"
_PICTURES = ("preview.png", "thumbnail.png", "preview.jpg", "thumbnail.jpg")


class ClassColour(NamedTuple):
    """A class of the legend."""

    class_id: int
    name: str
    colour: str
    """``#rrggbb``."""


class Score(NamedTuple):
    """How right the model was somewhere."""

    ground: str
    """Where, as the card says."""
    mean_iou: float
    overall: float | None


@dataclass(frozen=True)
class Card:
    """What the panel shows of a model."""

    name: str
    """Short name."""
    title: str
    """One line."""
    description: str
    """What it maps, and where it fails."""
    classes: tuple[ClassColour, ...]
    """In channel order."""
    bands: tuple[str, ...]
    """Inputs in order."""
    gsd_m: float | None
    """Pixel size that scenes are brought to; None for any."""
    gsd_range_m: tuple[float, float] | None
    """Pixel sizes that it takes."""
    license: str
    """Of the weights."""
    scores: tuple[Score, ...]
    """As the card lists them."""
    folder: Path | None = None
    """The model folder, where it is known."""

    @staticmethod
    def from_item(item: Mapping[str, Any], folder: Path | None = None) -> Card:
        """Read a card, a STAC item with the MLM extension.

        Raises:
            EngineError: It is something else.
        """
        try:
            return _card(item, folder)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise EngineError(
                tr("{folder} holds no model card that this plugin can read").format(
                    folder=folder or tr("The answer")
                ),
                tr("Choose a folder that geoseg train or geoseg models import made."),
            ) from error

    @property
    def picture(self) -> Path | None:
        """The picture that lies in the folder, or comes with the plugin; None for neither."""
        places = [self.folder / name for name in _PICTURES] if self.folder else []
        places.append(_OURS / f"{Path(self.name).name}.png")
        return next((path for path in places if path.is_file()), None)

    def colours(self) -> dict[int, str]:
        """Return colour by class id."""
        return {c.class_id: c.colour for c in self.classes}

    def gsd_text(self) -> str:
        """Return the pixel sizes that it takes, for people."""
        if self.gsd_range_m is None:
            return tr("any pixel size")
        low, high = self.gsd_range_m
        return tr("{low} to {high} m per pixel").format(low=f"{low:g}", high=f"{high:g}")

    def score_text(self) -> str:
        """Return how right it is, for people; the first ground that the card names."""
        if not self.scores:
            return tr("accuracy not known")
        first = self.scores[0]
        return tr("mean IoU {iou} on {ground}").format(
            iou=f"{first.mean_iou:.2f}", ground=first.ground
        )


def _card(item: Mapping[str, Any], folder: Path | None) -> Card:
    facts = item["properties"]
    (source, *_), (result, *_) = facts["mlm:input"], facts["mlm:output"]
    span = facts.get("geoseg:gsd_range_m")
    bands = [b if isinstance(b, str) else b["name"] for b in source["bands"]]
    accuracy = (facts.get("geoseg:facts") or {}).get("accuracy") or {}
    return Card(
        name=str(facts["mlm:name"]),
        title=str(facts.get("title") or facts["mlm:name"]),
        description=str(facts.get("description") or ""),
        classes=tuple(
            ClassColour(
                int(c["value"]), str(c["name"]), "#" + str(c.get("color_hint", "888888")).lower()
            )
            for c in result["classification:classes"]
        ),
        bands=tuple(bands),
        gsd_m=facts.get("geoseg:gsd_m"),
        gsd_range_m=(float(span[0]), float(span[1])) if span else None,
        license=str(facts.get("license") or ""),
        scores=tuple(_scores(accuracy)),
        folder=folder,
    )


def _scores(accuracy: Any) -> list[Score]:
    if not isinstance(accuracy, Mapping):
        return []
    return [
        Score(str(ground), float(found["mean_iou"]), found.get("overall_accuracy"))
        for ground, found in accuracy.items()
        if isinstance(found, Mapping) and isinstance(found.get("mean_iou"), (int, float))
    ]


def read_card(folder: Path) -> Card:
    """Read the card of a model folder.

    Raises:
        EngineError: There is none.
    """
    path = folder / "card.json"
    try:
        item = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            tr("{folder} is not a model folder").format(folder=folder),
            tr("Choose a folder with a card.json and weights in it."),
        ) from error
    return Card.from_item(item, folder)


def card_page(card: Card) -> str:
    """Return a card as an HTML page."""
    legend = "".join(
        f"<tr><td style='background:{html.escape(c.colour)};width:2em'></td>"
        f"<td>{c.class_id}</td><td>{html.escape(c.name)}</td></tr>"
        for c in card.classes
    )
    rows = "".join(
        f"<tr><td>{html.escape(s.ground)}</td><td align='right'>{s.mean_iou:.3f}</td>"
        f"<td align='right'>{'' if s.overall is None else f'{s.overall:.3f}'}</td></tr>"
        for s in card.scores
    )
    facts = [
        (tr("Bands"), ", ".join(card.bands)),
        (tr("Imagery"), card.gsd_text()),
        (tr("Licence"), card.license),
    ]
    pairs = "".join(
        f"<tr><td><b>{html.escape(k)}</b></td><td>{html.escape(v)}</td></tr>" for k, v in facts
    )
    head = f"<tr><th>{tr('Ground')}</th><th>{tr('Mean IoU')}</th><th>{tr('Overall')}</th></tr>"
    return (
        f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(card.name)}</title>"
        f"</head><body style='font:14px sans-serif;max-width:50em'><h2>{html.escape(card.name)}"
        f"</h2><p><b>{html.escape(card.title)}</b></p><p>{html.escape(card.description)}</p>"
        f"<table>{pairs}</table><h3>{tr('Classes')}</h3><table>{legend}</table>"
        f"<h3>{tr('Accuracy')}</h3><table>{head}{rows}</table></body></html>\n"
    )
