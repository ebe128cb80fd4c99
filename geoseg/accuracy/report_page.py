"""An evaluation as one HTML page that needs nothing else: tables, and plots as SVG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from geoseg.accuracy.calibration import Calibration
from geoseg.accuracy.evaluation import Evaluation
from geoseg.accuracy.stratified import Estimate
from geoseg.version import __version__

__all__ = ["STYLE", "accuracy_sections", "html_table", "numbers_row", "report_page"]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2429; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; } th, td { padding: .3rem .7rem; text-align: right; }
th { border-bottom: 2px solid #9aa5ad; font-weight: 600; } td { border-bottom: 1px solid #e2e6e9; }
th:first-child, td:first-child { text-align: left; } .agree { font-weight: 700; }
.numbers { display: flex; flex-wrap: wrap; gap: 1rem; } .number { background: #f1f4f6;
  border-radius: .5rem; padding: .7rem 1.1rem; } .number b { display: block; font-size: 1.5rem; }
figure { margin: 1rem 0; } figcaption, .note { color: #5b6770; font-size: .9rem; max-width: 46rem; }
"""
_PLOT = 360


def report_page(found: Evaluation, maps: Sequence[str], references: Sequence[str]) -> str:
    """Return the page.

    Args:
        found: What to show.
        maps: Names of the maps, for the heading.
        references: Names of the references.
    """
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Accuracy of {escape(_names(maps))}</title><style>{STYLE}</style></head><body>",
        "<h1>Accuracy</h1>",
        f"<p>{escape(_names(maps))}<br>against {escape(_names(references))}</p>",
        numbers_row(found),
    ]
    if found.stratified is not None:
        parts += _adjusted(found)
    parts += ["<h2>Classes</h2>", *accuracy_sections(found)]
    parts.append(f'<p class="note">geoseg {escape(__version__)}</p></body></html>')
    return "\n".join(parts) + "\n"


def accuracy_sections(found: Evaluation) -> list[str]:
    """Return the measures per class, the confusion matrix and the reliability diagram."""
    parts = [_class_table(found), *_bars(found), "<h2>Confusion matrix</h2>", _matrix(found)]
    return parts if found.calibration is None else parts + _reliability(found.calibration)


def _names(addresses: Sequence[str]) -> str:
    first = ", ".join(addresses[:3])
    return first if len(addresses) <= 3 else f"{first} and {len(addresses) - 3} more"  # noqa: PLR2004


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _estimate(value: Estimate | None, factor: float = 1.0, digits: int = 3) -> str:
    if value is None:
        return "-"
    return f"{value.value * factor:,.{digits}f} ± {value.margin * factor:,.{digits}f}"


def numbers_row(found: Evaluation) -> str:
    """Return the few numbers that tell most."""
    unit = "points" if found.kind == "points" else "pixels"
    # Rare classes have more points than they have ground; see the estimates for the map.
    counted = ", as counted" if found.kind == "points" else ""
    shown = [
        (f"{found.compared:,}", f"{unit} compared"),
        (_number(found.scores.overall), f"overall accuracy{counted}"),
        (_number(found.scores.mean_iou), f"mean IoU{counted}"),
        (_number(found.scores.mean_f1), f"mean F1{counted}"),
    ]
    if found.boundary:
        text = f"mean boundary F, within {found.boundary_px} px"
        shown.append((_number(found.mean_boundary), text))
    if found.calibration is not None:
        shown.append((_number(found.calibration.expected_error), "expected calibration error"))
    cells = "".join(
        f'<div class="number"><b>{value}</b>{escape(text)}</div>' for value, text in shown
    )
    left = f'<p class="note">{found.left_out:,} points were left out.</p>' if found.left_out else ""
    return f'<div class="numbers">{cells}</div>{left}'


class _Cell(str):
    """A table cell that is markup already."""

    __slots__ = ()


def html_table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; every cell is text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(cell if isinstance(cell, _Cell) else f"<td>{escape(cell)}</td>"
                         for cell in row) + "</tr>"
        for row in rows
    )  # fmt: skip
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _class_table(found: Evaluation) -> str:
    first = "class, as counted" if found.kind == "points" else "class"
    head = [first, "IoU", "F1", "precision (user's)", "recall (producer's)"]
    rows = []
    for k, name in enumerate(found.class_names):
        c = found.scores.classes[k]
        row = [name, _number(c.iou), _number(c.f1), _number(c.precision), _number(c.recall)]
        if found.boundary:
            row.append(_number(found.boundary[k]))
        rows.append(row)
    return html_table([*head, *(["boundary F"] if found.boundary else [])], rows)


def _bars(found: Evaluation) -> list[str]:
    """Return the IoU of every class as bars."""
    step, left = 26, 150
    height = step * len(found.class_names) + 8
    bars = []
    for k, name in enumerate(found.class_names):
        iou = found.scores.classes[k].iou
        y = step * k + 6
        bars.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(name[:20])}</text>'
            f'<rect x="{left}" y="{y}" width="{300 * (iou or 0):.1f}" height="18" fill="#3b6ea5"/>'
            f'<text x="{left + 300 * (iou or 0) + 6:.1f}" y="{y + 14}">{_number(iou, 2)}</text>'
        )
    figure = (
        f'<figure><svg width="{left + 360}" height="{height}" font-size="13" role="img" '
        f'aria-label="IoU per class">{"".join(bars)}</svg>'
        "<figcaption>Intersection over union of each class.</figcaption></figure>"
    )
    return [figure]


def _matrix(found: Evaluation) -> str:
    total = found.matrix.sum(axis=1, keepdims=True).clip(min=1)
    rows = []
    for k, name in enumerate(found.class_names):
        cells = [_Cell(f"<td>{escape(name)}</td>")]
        for j in range(len(found.class_names)):
            share = float(found.matrix[k, j] / total[k, 0])
            colour = "59, 110, 165" if j == k else "200, 80, 60"
            kind = ' class="agree"' if j == k else ""
            cells.append(
                _Cell(
                    f'<td{kind} style="background: rgba({colour}, {0.75 * share:.3f})">'
                    f"{found.matrix[k, j]:,}</td>"
                )
            )
        rows.append(cells)
    note = (
        "Rows are what the map says, columns what the reference says; shade is the part of a row."
    )
    return (
        html_table(["map \\ reference", *found.class_names], rows) + f'<p class="note">{note}</p>'
    )


def _adjusted(found: Evaluation) -> list[str]:
    """Return what the sample says of the whole map."""
    accuracy = found.stratified
    if accuracy is None:
        return []
    hectares = None if found.pixel_m2 is None else sum(found.strata_px) * found.pixel_m2 / 1e4
    rows = []
    for k, name in enumerate(found.class_names):
        row = [
            name, f"{found.strata_px[k] / max(sum(found.strata_px), 1):.4f}",
            _estimate(accuracy.area_share[k], digits=4),
        ]  # fmt: skip
        if hectares is not None:
            row.append(_estimate(accuracy.area_share[k], hectares, 1))
        estimates = (accuracy.users[k], accuracy.producers[k], accuracy.iou[k])
        rows.append([*row, *map(_estimate, estimates)])
    head = ["class", "mapped share", "estimated share"]
    head += ["estimated ha"] if hectares is not None else []
    return [
        "<h2>The whole map, estimated from the points</h2>",
        (
            f"<p>Overall accuracy <b>{_estimate(accuracy.overall)}</b>, "
            f"mean IoU <b>{_number(accuracy.mean_iou)}</b></p>"
        ),
        html_table([*head, "user's accuracy", "producer's accuracy", "IoU"], rows),
        (
            '<p class="note">± is the 95 % confidence interval. Every point weighs what its class '
            "covers of the map: stratified estimators of Olofsson et al. 2014, "
            "doi:10.1016/j.rse.2014.02.015, and for IoU the ratio estimator of Stehman 2014, "
            "doi:10.1080/01431161.2014.930207.</p>"
        ),
    ]


def _reliability(found: Calibration) -> list[str]:
    """Return the reliability diagram."""
    largest = max(b.px_count for b in found.bins)
    marks, side, pad = [], _PLOT, 56
    for b in found.bins:
        x, width = pad + side * b.low, side * (b.high - b.low)
        tall = side * b.accuracy
        opacity = 0.25 + 0.75 * (b.px_count / largest) ** 0.5
        marks.append(
            f'<rect x="{x:.1f}" y="{pad + side - tall:.1f}" width="{width - 1:.1f}" '
            f'height="{tall:.1f}" fill="#3b6ea5" fill-opacity="{opacity:.2f}"/>'
            f'<circle cx="{pad + side * b.confidence:.1f}" cy="{pad + side - tall:.1f}" r="3" '
            'fill="#c8503c"/>'
        )
    frame = (
        f'<rect x="{pad}" y="{pad}" width="{side}" height="{side}" fill="none" stroke="#9aa5ad"/>'
        f'<line x1="{pad}" y1="{pad + side}" x2="{pad + side}" y2="{pad}" stroke="#5b6770" '
        'stroke-dasharray="4 4"/>'
        f'<text x="{pad + side / 2}" y="{pad + side + 32}" text-anchor="middle">confidence</text>'
        f'<text x="14" y="{pad + side / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {pad + side / 2})">part that is right</text>'
        + "".join(
            f'<text x="{pad + side * v}" y="{pad + side + 16}" text-anchor="middle">{v:g}</text>'
            f'<text x="{pad - 6}" y="{pad + side * (1 - v) + 4}" text-anchor="end">{v:g}</text>'
            for v in (0, 0.5, 1)
        )
    )
    return [
        "<h2>Confidence</h2>",
        (
            f'<figure><svg width="{side + pad + 20}" height="{side + pad + 40}" font-size="13" '
            f'role="img" aria-label="Reliability diagram">{"".join(marks)}{frame}</svg>'
            "<figcaption>Reliability diagram: bars on the dashed line are right as often as they "
            f"say. Mean confidence {found.mean_confidence:.3f}, right {found.accuracy:.3f}; "
            f"expected calibration error {found.expected_error:.3f} over {len(found.bins)} bins. "
            "Darker bars hold more pixels.</figcaption></figure>"
        ),
    ]
