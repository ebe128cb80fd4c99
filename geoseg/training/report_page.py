"""A training as one HTML page that needs nothing else: curves, accuracy, examples."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.evaluation import Evaluation
from geoseg.accuracy.report_page import STYLE, accuracy_sections, html_table, numbers_row
from geoseg.legend import Legend
from geoseg.training.fit import Check
from geoseg.training.judge import Example
from geoseg.version import __version__

__all__ = ["training_page"]

_WIDE, _TALL, _PAD = 620, 220, 44
_LONGEST_SIDE = 384
_UNKNOWN = (120, 120, 120)


def training_page(
    name: str,
    facts: Sequence[tuple[str, str]],
    curves: tuple[Sequence[tuple[int, float]], Sequence[Check]],
    found: Mapping[str, Evaluation],
    legend: Legend,
    examples: Sequence[Example],
) -> str:
    """Return the page.

    Args:
        name: Name of the model.
        facts: Pairs of what and how much, for the top.
        curves: (step, training loss), and the looks at the validation ground.
        found: Accuracy by part of the ground.
        legend: Classes and colours.
        examples: Blocks that were not trained on.
    """
    losses, checks = curves
    ious = [(c.step, c.mean_iou) for c in checks]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Training of {escape(name)}</title><style>{STYLE}{_OWN_STYLE}</style></head><body>",
        f"<h1>Training of {escape(name)}</h1>",
        html_table(["", ""], facts),
        "<h2>Curves</h2>",
        _curve("training loss", losses),
        _curve("mean IoU on the validation ground", ious),
    ]
    parts.append(
        '<p class="note">The validation ground chose the weights, the temperature and any '
        "offsets, so its numbers flatter; the test ground was looked at once, at the end.</p>"
    )
    for title, evaluation in found.items():
        parts += [f"<h2>Accuracy on the {escape(title)} ground</h2>", numbers_row(evaluation)]
        parts += accuracy_sections(evaluation)
    parts += _examples(legend, examples)
    parts.append(f'<p class="note">geoseg {escape(__version__)}</p></body></html>')
    return "\n".join(parts) + "\n"


_OWN_STYLE = """
.example { display: flex; gap: .5rem; margin: .6rem 0; } .example img { width: 32%;
  image-rendering: pixelated; border-radius: .3rem; } .legend span { display: inline-block;
  margin-right: 1rem; } .legend i { display: inline-block; width: .9rem; height: .9rem;
  margin-right: .35rem; vertical-align: -2px; border-radius: 2px; }
"""


def _curve(title: str, points: Sequence[tuple[int, float]]) -> str:
    """Return a line plot."""
    if not points:
        return ""
    steps, values = np.array(points, np.float64).T
    low, high = float(min(values.min(), 0)), float(values.max())
    span, last = max(high - low, 1e-9), max(float(steps[-1]), 1.0)
    x = _PAD + steps / last * (_WIDE - _PAD - 10)
    y = 10 + (high - values) / span * (_TALL - 40)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    marks = "".join(
        f'<text x="{_PAD - 6}" y="{14 + part * (_TALL - 40):.0f}" text-anchor="end">'
        f"{high - part * span:.3g}</text>"
        f'<line x1="{_PAD}" x2="{_WIDE - 10}" y1="{10 + part * (_TALL - 40):.0f}" '
        f'y2="{10 + part * (_TALL - 40):.0f}" stroke="#e2e6e9"/>'
        for part in (0, 0.5, 1)
    )
    return (
        f'<figure><svg width="{_WIDE}" height="{_TALL}" font-size="12" role="img" '
        f'aria-label="{escape(title)}">{marks}<polyline points="{line}" fill="none" '
        f'stroke="#3b6ea5" stroke-width="1.8"/><text x="{_WIDE - 10}" y="{_TALL - 8}" '
        f'text-anchor="end">{last:.0f} batches</text></svg>'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def _examples(legend: Legend, examples: Sequence[Example]) -> list[str]:
    if not examples:
        return []
    keys = "".join(
        f'<span><i style="background:{c.colour}"></i>{escape(c.name)}</span>' for c in legend
    )
    note = "image, what is known of it (grey: nothing), what the model says"
    parts = [
        "<h2>Examples</h2>",
        f"<p>Ground that was not trained on: {note}.</p>",
        f'<p class="legend">{keys}</p>',
    ]
    for example in examples:
        pictures = (
            _picture(example), _coloured(example.truth, legend), _coloured(example.mapped, legend)
        )  # fmt: skip
        cells = "".join(
            f'<img alt="{what}" src="data:image/png;base64,{_png(picture)}">'
            for what, picture in zip(("image", "labels", "map"), pictures, strict=True)
        )
        parts.append(f'<div class="example">{cells}</div>')
    return parts


def _picture(example: Example) -> NDArray[np.uint8]:
    """Return (row, col, 3) of the first three bands, stretched as viewers do."""
    bands = example.pixels[:3] if len(example.pixels) >= 3 else example.pixels[:1].repeat(3, 0)  # noqa: PLR2004
    if example.valid.any():
        low, high = np.percentile(bands[:, example.valid], (2, 98))
    else:
        low, high = 0.0, 1.0
    scaled = np.clip((bands - low) / max(high - low, 1e-9) * 255, 0, 255).astype(np.uint8)
    scaled[:, ~example.valid] = 255
    result: NDArray[np.uint8] = np.moveaxis(scaled, 0, -1)
    return result


def _coloured(classes: NDArray[np.int16], legend: Legend) -> NDArray[np.uint8]:
    table = np.array([*(c.rgb for c in legend), _UNKNOWN], np.uint8)
    result: NDArray[np.uint8] = table[classes]
    return result


def _png(picture: NDArray[np.uint8]) -> str:
    from PIL import Image  # noqa: PLC0415 - for the report only

    step = -(-max(picture.shape[:2]) // _LONGEST_SIDE)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture[::step, ::step])).save(
        stream, format="PNG", optimize=True
    )
    return base64.b64encode(stream.getvalue()).decode("ascii")
