"""A page about one finished run, and numbers in words. Nothing here knows QGIS."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from .text import tr

__all__ = ["area_text", "bytes_text", "pixels_text", "run_page", "seconds_text"]

_KIB, _MIB, _GIB = 1 << 10, 1 << 20, 1 << 30
_MINUTE, _HOUR = 60, 3600


def bytes_text(count: float) -> str:
    """Return a size with its unit."""
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count:.0f} B"


def seconds_text(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 1.5 * _MINUTE:
        return tr("{n} s").format(n=max(1, round(seconds)))
    if seconds < 1.5 * _HOUR:
        return tr("{n} min").format(n=round(seconds / _MINUTE))
    hours, minutes = divmod(round(seconds / _MINUTE), 60)
    return tr("{h} h {m} min").format(h=hours, m=minutes)


def pixels_text(count: float) -> str:
    """Return a number of pixels."""
    for unit, name in ((1e9, "Gpx"), (1e6, "Mpx"), (1e3, "kpx")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count:.0f} px"


def area_text(m2: float | None) -> str:
    """Return an area in the unit that suits it; a dash where it is not known."""
    if m2 is None:
        return "-"
    if m2 >= 1e6:  # noqa: PLR2004 - a square kilometre
        return f"{m2 / 1e6:,.2f} km²"
    return f"{m2 / 1e4:,.2f} ha" if m2 >= 1e4 else f"{m2:,.0f} m²"  # noqa: PLR2004 - a hectare


_STYLE = (
    "body{font:15px/1.5 sans-serif;margin:2em auto;max-width:52em;padding:0 1em;color:#222}"
    "h1{font-size:1.4em}table{border-collapse:collapse;margin:1em 0}"
    "td,th{padding:.3em .8em;text-align:left;border-bottom:1px solid #ddd}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".bar{display:inline-block;height:.9em;border-radius:2px}"
    "i{display:inline-block;width:.9em;height:.9em;border-radius:2px;margin-right:.5em}"
    "pre{background:#f4f4f4;padding:.8em;white-space:pre-wrap;word-break:break-all}"
)


def run_page(
    finished: Mapping[str, Any],
    *,
    title: str,
    command: str,
    colours: Mapping[int, str],
    plan: Mapping[str, Any],
) -> str:
    """Return an HTML page about a finished run that needs no other file.

    Args:
        finished: The event that ended it.
        title: What was mapped.
        command: The line that does it again.
        colours: Colour by class id.
        plan: The event that began it.
    """
    rows = "".join(_row(row, colours) for row in finished.get("classes", []))
    head = "".join(f"<th>{html.escape(t)}</th>" for t in (tr("Class"), tr("Area"), tr("Share"), ""))
    facts = _facts(
        [
            (tr("Model"), str(plan.get("model", ""))),
            (tr("Device"), f"{plan.get('device', '')} ({plan.get('precision', '')})"),
            (tr("Size"), pixels_text(float(plan.get("output_px", 0)))),
            (tr("Time"), seconds_text(float(finished.get("elapsed_s", 0)))),
            (tr("Folder"), str(finished.get("out", ""))),
        ]
    )
    return (
        f"<!doctype html><html><head><meta charset='utf-8'><title>{html.escape(title)}</title>"
        f"<style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>"
        f"<table><tr>{head}</tr>{rows}</table>{facts}"
        f"<h2>{html.escape(tr('The same again'))}</h2><pre>{html.escape(command)}</pre>"
        "</body></html>\n"
    )


def _row(row: Mapping[str, Any], colours: Mapping[int, str]) -> str:
    colour = html.escape(colours.get(int(row["class_id"]), "#888888"))
    share = 100 * float(row["share"])
    return (
        f"<tr><td><i style='background:{colour}'></i>{html.escape(str(row['class_name']))}</td>"
        f"<td class='n'>{html.escape(area_text(row.get('area_m2')))}</td>"
        f"<td class='n'>{share:.1f} %</td>"
        f"<td><span class='bar' style='width:{2 * share:.0f}px;background:{colour}'></span></td>"
        "</tr>"
    )


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in pairs)
    return f"<table>{rows}</table>"
