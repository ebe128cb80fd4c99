"""A batch as one HTML page that needs nothing else: what became of its scenes, and where.

Names of scenes and their errors come from anywhere. They are escaped wherever they are markup,
set as text wherever the page's script shows them, and the page's own policy lets no script run
but the one whose digest it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from geoseg.accuracy.report_page import STYLE, html_table
from geoseg.run.batch_collection import class_colours
from geoseg.run.batch_facts import BatchFacts, BatchTotals, sum_outcomes
from geoseg.run.batch_footprints import footprints_svg
from geoseg.run.batch_table import SCRIPT, scenes_table
from geoseg.run.job_file import job_values
from geoseg.run.moments import seconds_between
from geoseg.run.scene_job import SceneOutcome, SceneState
from geoseg.run.sessions import Session
from geoseg.version import __version__

__all__ = ["batch_page"]

_COLOURS: Final[dict[SceneState, str]] = {
    "done": "#3f8f5f", "running": "#3b6ea5", "waiting": "#c6ced4", "failed": "#c8503c",
}  # fmt: skip
_SHOWN_REASONS: Final = 40
_SHOWN_NAMES: Final = 8
_LISTED_NAMES: Final = 500
_SHOWN_SESSIONS: Final = 30
_SHOWN_SOURCES: Final = 5
_BAR_PX: Final = 1000


def batch_page(facts: BatchFacts) -> str:
    """Return ``index.html``."""
    totals = sum_outcomes(facts.outcomes, facts.sessions)
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(facts.name)}: land cover</title>",
        f"<style>{STYLE}{_OWN_STYLE}</style></head><body>",
        f"<h1>{escape(facts.name)}</h1>",
        f'<p class="note">{escape(facts.address)}<br>as of {escape(facts.at)}</p>',
        _numbers(totals),
        _states(totals),
        *_failures(facts.outcomes),
        *_classes(totals, class_colours(facts.example)),
        *_places(facts.outcomes),
        *scenes_table(facts.outcomes, _COLOURS),
        *_sessions(facts.sessions),
        *_asked_for(facts),
        f'<p class="note">geoseg {escape(__version__)}; the same as data:',
        '<a href="./batch.json">batch.json</a>,',
        '<a href="./collection.json">collection.json</a></p>',
        f"<script>{SCRIPT}</script></body></html>",
    ]
    # A name from another encoding may hold what no UTF-8 can.
    return "\n".join([*parts, ""]).encode("utf-8", "replace").decode("utf-8")


def _numbers(totals: BatchTotals) -> str:
    """Return the few numbers that tell most."""
    shown = [
        (f"{totals.scenes['done']:,}", f"of {totals.n_scenes:,} scenes done"),
        (f"{totals.scenes['failed']:,}", "failed"),
        (_large_px(totals.output_px), "mapped"),
        (f"{totals.n_polygons:,}", "polygons"),
    ]
    if totals.mpx_per_s is not None:
        shown.append((f"{totals.mpx_per_s:,.1f} Mpx/s", "file to file"))
    if totals.session_s:
        shown.append((f"{totals.session_s / 3600:,.1f} h", "in all sessions"))
    cells = "".join(
        f'<div class="number"><b>{value}</b>{escape(text)}</div>' for value, text in shown
    )
    return f'<div class="numbers">{cells}</div>'


def _large_px(px: int) -> str:
    for size, unit in ((1e12, "Tpx"), (1e9, "Gpx"), (1e6, "Mpx")):
        if px >= size:
            return f"{px / size:,.1f} {unit}"
    return f"{px:,} px"


def _states(totals: BatchTotals) -> str:
    """Return one bar of all scenes, by state."""
    bars, keys, x = [], [], 0.0
    for state, colour in _COLOURS.items():
        n = totals.scenes[state]
        if not n:
            continue
        # One failed scene of ten thousand must be seen.
        width = max(_BAR_PX * n / totals.n_scenes, 3)
        bars.append(f'<rect x="{x:.1f}" width="{width:.1f}" height="22" fill="{colour}"/>')
        keys.append(f'<span><i style="background:{colour}"></i>{n:,} {state}</span>')
        x += width
    return (
        f'<figure><svg class="wide" viewBox="0 0 {max(x, 1):.1f} 22" preserveAspectRatio="none" '
        f'height="22" role="img" aria-label="Scenes by state">{"".join(bars)}</svg>'
        f'<figcaption class="keys">{"".join(keys) or "no scenes"}</figcaption></figure>'
    )


def _failures(outcomes: Iterable[SceneOutcome]) -> list[str]:
    """Return the reasons, the most frequent first, each with its scenes.

    What fails in hundreds of scenes is one thing: a disk, a credential, a wrong model.
    """
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for o in outcomes:
        if o.state == "failed":
            groups[o.reason or "no reason known", o.hint or ""].append(o.scene_id)
    if not groups:
        return []
    found = sorted(groups.items(), key=lambda item: -len(item[1]))
    items = "".join(_failure(reason, hint, ids) for (reason, hint), ids in found[:_SHOWN_REASONS])
    more = sum(len(ids) for _, ids in found[_SHOWN_REASONS:])
    note = f'<p class="note">{more:,} more scenes failed for other reasons.</p>' if more else ""
    return [f'<h2>Failures</h2><ul class="failures">{items}</ul>{note}']


def _failure(reason: str, hint: str, ids: Sequence[str]) -> str:
    names = ", ".join(escape(i) for i in ids[:_SHOWN_NAMES])
    rest = ", ".join(escape(i) for i in ids[_SHOWN_NAMES:_LISTED_NAMES])
    more = f" and {len(ids) - _LISTED_NAMES:,} more" if len(ids) > _LISTED_NAMES else ""
    if rest:
        summary = f"{len(ids) - _SHOWN_NAMES:,} more"
        names += f"<details><summary>{summary}</summary>{rest}{more}</details>"
    count = f"{len(ids):,} scenes" if len(ids) > 1 else "1 scene"
    advice = f'<p class="note">{escape(hint)}</p>' if hint else ""
    return f"<li><b>{count}</b><p>{escape(reason)}</p>{advice}<div>{names}</div></li>"


def _classes(totals: BatchTotals, colours: dict[str, str]) -> list[str]:
    """Return the shares of the classes as bars, the largest first."""
    found = sorted(totals.class_px, key=lambda pair: -pair[1])
    if not found:
        return []
    largest, all_px = max(found[0][1], 1), max(totals.valid_px, 1)
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class=bar><i style="width:{100 * px / largest:.2f}%;'
        f'background:{colours.get(name, "#3b6ea5")}"></i></td>'
        f"<td>{100 * px / all_px:.2f} %</td><td>{_large_px(px)}</td></tr>"
        for name, px in found
    )
    return [
        "<h2>Classes</h2>",
        f'<table class="classes"><tbody>{rows}</tbody></table>',
        '<p class="note">Parts of all classified pixels of the finished scenes;',
        "where scenes overlap, ground counts more than once.</p>",
    ]


def _places(outcomes: Iterable[SceneOutcome]) -> list[str]:
    order = list(_COLOURS)  # what failed is drawn last, over all others
    placed = sorted((o for o in outcomes if o.bbox is not None), key=lambda o: order.index(o.state))
    boxes = [(o.bbox, _COLOURS[o.state]) for o in placed if o.bbox is not None]
    if not boxes:
        return []
    return [
        "<h2>Where</h2>",
        f"<figure>{footprints_svg(boxes)}",
        f"<figcaption>Boxes around {len(boxes):,} scenes, in longitude and latitude;",
        "colours as above.</figcaption></figure>",
    ]


def _sessions(sessions: Sequence[Session]) -> list[str]:
    if not sessions:
        return []
    rows = []
    for s in list(reversed(sessions))[:_SHOWN_SESSIONS]:
        seconds = seconds_between(s.started, s.ended)
        rows.append([
            s.started, "-" if seconds is None else f"{seconds / 60:,.0f} min",
            (s.exit_reason or "no end yet").replace("_", " "), f"{s.scenes_done:,}",
            f"{s.scenes_failed:,}",
            f"{s.px_done / 1e6 / seconds:,.1f}" if seconds and s.px_done else "-", s.host,
        ])  # fmt: skip
    head = ["session", "took", "end", "done", "failed", "Mpx/s", "host"]
    more = len(sessions) - _SHOWN_SESSIONS
    note = f'<p class="note">And {more:,} before.</p>' if more > 0 else ""
    return ["<h2>Sessions</h2>", f'<div class="scroll">{html_table(head, rows)}</div>', note]


def _asked_for(facts: BatchFacts) -> list[str]:
    """Return what the batch was asked for, defaults left out, and who computed it."""
    rows = []
    if facts.options is not None:
        job = job_values(facts.options)
        sources = job["sources"]
        text = ", ".join(sources[:_SHOWN_SOURCES])
        more = len(sources) - _SHOWN_SOURCES
        rows.append(("scenes from", f"{text} and {more:,} more" if more > 0 else text))
        rows += [(name.replace("_", " "), _text(v)) for name, v in job["scene"].items() if _told(v)]
    rows += [(f"{name}", version) for name, version in facts.versions.items()]
    if not rows:
        return []
    table = html_table(["", ""], rows)
    return [
        "<h2>How</h2><details><summary>Options and versions</summary>",
        f'<div class="how">{table}</div></details>',
    ]


def _told(value: object) -> bool:
    return value not in (None, "", False, []) and value != "auto"


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)


_OWN_STYLE: Final = """
body { max-width: 72rem; } h1 { overflow-wrap: anywhere; }
svg.wide { width: 100%; border-radius: .3rem; display: block; }
figcaption { margin-top: .4rem; }
.keys span { margin-right: 1.2rem; white-space: nowrap; } .keys i { display: inline-block;
  width: .8rem; height: .8rem; margin-right: .35rem; border-radius: 2px; vertical-align: -1px; }
.failures { list-style: none; padding: 0; } .failures li { border-left: 4px solid #c8503c;
  background: #fbf3f1; margin: .5rem 0; padding: .5rem .9rem; border-radius: 0 .4rem .4rem 0;
  overflow-wrap: anywhere; } .failures p { margin: .15rem 0; } .failures div { color: #5b6770;
  font-size: .85rem; } .scroll { overflow-x: auto; }
#scenes { width: 100%; font-size: .85rem; font-variant-numeric: tabular-nums; }
#scenes th { padding: .2rem .3rem; } #scenes th button { font: inherit; font-weight: 600;
  border: 0; background: none; cursor: pointer; color: inherit; white-space: nowrap; }
#scenes th[aria-sort=ascending] button::after { content: " \\2191"; }
#scenes th[aria-sort=descending] button::after { content: " \\2193"; }
#scenes td { padding: .25rem .6rem; white-space: nowrap; } #scenes td:first-child {
  max-width: 18rem; overflow: hidden; text-overflow: ellipsis; }
#scenes td:last-child {
  white-space: normal; text-align: left; min-width: 12rem; overflow-wrap: anywhere;
  color: #5b6770; }
.done { color: #2c6e47; } .running { color: #3b6ea5; } .waiting { color: #5b6770; }
.failed { color: #a93b28; font-weight: 600; } .controls { display: flex; flex-wrap: wrap;
  gap: .8rem; align-items: center; } .controls input, .controls select, .controls button {
  font: inherit; padding: .15rem .5rem; border: 1px solid #b9c2c9; border-radius: .3rem;
  background: #fff; } .controls button:disabled { color: #b9c2c9; } #count { color: #5b6770;
  margin-left: auto; } .classes { width: 100%; } .classes td { white-space: nowrap; }
.classes .bar { width: 60%; } .classes .bar i { display: block; height: 1rem; min-width: 1px;
  border-radius: 2px; } .how td { text-align: left; overflow-wrap: anywhere; }
.how td:first-child { color: #5b6770; white-space: nowrap; }
"""
