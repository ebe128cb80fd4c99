"""The table of a batch's page: any number of scenes, searched and sorted by its reader."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from geoseg.run.batch_facts import scene_href
from geoseg.run.scene_job import SceneOutcome, SceneState

__all__ = ["SCRIPT", "scenes_table"]

_CONTROLS: Final = """<p class="controls"><label>Search
<input id="search" type="search" placeholder="name, reason"></label>
<label>State <select id="state"><option value="">all</option>{choices}</select></label>
<span id="count"></span> <button id="back" type="button" title="Back">&larr;</button>
<button id="on" type="button" title="On">&rarr;</button></p>"""


def scenes_table(outcomes: Iterable[SceneOutcome], states: Iterable[SceneState]) -> list[str]:
    """Return the table's markup and data; :data:`SCRIPT` fills it, fifty rows at a time.

    Args:
        outcomes: The scenes, in the order that they are first shown in.
        states: States to choose from.
    """
    rows = [_row(o) for o in outcomes]
    # In a script element only "<" could end the data, or begin what swallows its end.
    data = json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    head = "".join(
        f'<th aria-sort="none"><button type="button">{name}</button></th>' for name in _COLUMNS
    )
    choices = "".join(f"<option>{state}</option>" for state in states)
    return [
        "<h2>Scenes</h2>",
        _CONTROLS.format(choices=choices),
        f'<div class="scroll"><table id="scenes"><thead><tr>{head}</tr></thead><tbody></tbody>',
        "</table></div>",
        '<noscript><p class="note">The table needs JavaScript; batch.json holds the same.</p>',
        "</noscript>",
        f'<script type="application/json" id="rows">{data}</script>',
    ]


_COLUMNS: Final = (
    "scene", "state", "Mpx", "valid %", "blocks", "polygons", "seconds", "acquired", "since", "note"
)  # fmt: skip


def _row(o: SceneOutcome) -> list[Any]:
    """Return the cells of a scene, and its address last."""
    valid = round(100 * o.valid_px / o.output_px, 1) if o.output_px else None
    note = o.reason or "; ".join(o.warnings)
    return [
        o.scene_id, o.state, round(o.output_px / 1e6, 2) if o.output_px else None, valid,
        f"{o.blocks_done}/{o.blocks}" if o.blocks else None, o.n_polygons,
        round(o.elapsed_s, 1) if o.elapsed_s else None, (o.acquired or "")[:10] or None,
        o.at[:16].replace("T", " "),
        note or None, scene_href(o.scene_id) if o.state == "done" else None,
    ]  # fmt: skip


SCRIPT: Final = """
"use strict";
const rows = JSON.parse(document.getElementById("rows").textContent);
const body = document.querySelector("#scenes tbody");
const heads = [...document.querySelectorAll("#scenes th")];
const search = document.getElementById("search"), state = document.getElementById("state");
const back = document.getElementById("back"), on = document.getElementById("on");
const PAGE = 50, ADDRESS = 10;
let column = null, down = false, page = 0;
function compare(a, b) {
  const x = a[column], y = b[column];
  if (x === null || y === null) return (x === null) - (y === null);
  const order = typeof x === "number" ? x - y
    : String(x).localeCompare(String(y), undefined, { numeric: true });
  return down ? -order : order;
}
function found() {
  const text = search.value.toLowerCase();
  const kept = rows.filter((row) => (!state.value || row[1] === state.value)
    && (!text || (row[0] + " " + (row[9] || "")).toLowerCase().includes(text)));
  return column === null ? kept : kept.sort(compare);
}
function cell(row, k) {
  const td = document.createElement("td");
  let inside = td;
  if (k === 0) {
    td.title = row[k];
    if (row[ADDRESS]) {
      inside = td.appendChild(document.createElement("a"));
      inside.href = row[ADDRESS];
    }
  }
  if (k === 1) td.className = row[1];
  inside.textContent = row[k] === null ? "" : typeof row[k] === "number"
    ? row[k].toLocaleString("en") : row[k];
  return td;
}
function show() {
  const kept = found(), last = Math.max(Math.ceil(kept.length / PAGE) - 1, 0);
  page = Math.min(Math.max(page, 0), last);
  body.replaceChildren(...kept.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
    const tr = document.createElement("tr");
    tr.append(...heads.map((_, k) => cell(row, k)));
    return tr;
  }));
  const first = kept.length ? page * PAGE + 1 : 0, end = Math.min((page + 1) * PAGE, kept.length);
  const [from, to, all] = [first, end, kept.length].map((n) => n.toLocaleString("en"));
  document.getElementById("count").textContent = `${from} to ${to} of ${all}`;
  back.disabled = page === 0; on.disabled = page === last;
}
heads.forEach((th, k) => th.firstChild.addEventListener("click", () => {
  down = column === k && !down; column = k; page = 0;
  heads.forEach((h) => h.setAttribute("aria-sort", "none"));
  th.setAttribute("aria-sort", down ? "descending" : "ascending");
  show();
}));
search.addEventListener("input", () => { page = 0; show(); });
state.addEventListener("change", () => { page = 0; show(); });
back.addEventListener("click", () => { page -= 1; show(); });
on.addEventListener("click", () => { page += 1; show(); });
show();
"""
