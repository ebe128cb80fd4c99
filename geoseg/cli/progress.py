"""Listeners for a run's events: a bar for people, JSON lines for programs, silence."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import echo_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

__all__ = ["listener"]

_STAGES = {
    "mosaic": "writing rasters",
    "polygons": "writing polygons",
    "sieve": "small regions",
    "metadata": "writing metadata",
    "calibration": "calibrating",
    "model": "measuring halo",
}
_MEASURES = {
    "mean_iou": "mean IoU",
    "overall_accuracy": "overall accuracy",
    "expected_calibration_error": "calibration error",
}
_LOG_EVERY_S = 60
"""Where there is no terminal to draw a bar on, a line tells from time to time."""
_M2_PER_HA = 10_000
_M2_PER_KM2 = 1_000_000


@contextmanager
def listener(*, as_json: bool, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Yield the callback that fits the flags and the terminal."""
    if as_json:
        yield lambda event: echo_json(event.as_json())
    elif quiet:
        yield lambda _: None
    else:
        yield from _for_people()


def _for_people() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console  # noqa: PLC0415 - not for --help
    from rich.progress import (  # noqa: PLC0415 - the same
        BarColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    # Names of files and classes may hold what rich takes for markup, as in "[red]x[/red].tif".
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(
        TextColumn("{task.description:<17}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # in a log, bars would be empty lines
    ) as bars:
        bars.add_task("starting", total=None, note="")
        yield _Person(bars, console)


class _Person:
    """Shows events as one progress bar and a closing table."""

    def __init__(self, bars: RichProgress, console: Console) -> None:
        self._bars, self._console = bars, console
        self._task = bars.tasks[0].id
        self._first: tuple[float, int] | None = None
        self._told_s = 0.0

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - any event
        getattr(self, f"_{event.kind}")(event)

    def _warning(self, event: Any) -> None:  # noqa: ANN401
        from rich.text import Text  # noqa: PLC0415 - not for --help

        text = Text.assemble(("warning:", "yellow"), f" {event.message}")
        self._console.print(text, soft_wrap=True)

    def _plan(self, event: Any) -> None:  # noqa: ANN401
        height, width = event.window_px
        self._start(
            event,
            f"{event.scene}\n  {_size(event)}, windows {width} x {height} px, halo "
            f"{event.halo_px} px; {event.model} on {event.device} ({event.precision}, "
            f"{event.backend})",
            "classifying",
        )

    def _vectorise(self, event: Any) -> None:  # noqa: ANN401
        self._start(event, f"{event.raster}\n  {_size(event)}", "tracing")

    def _start(self, event: Any, headline: str, description: str) -> None:  # noqa: ANN401
        self._console.print(headline, soft_wrap=True)
        self._bars.update(
            self._task,
            description=description,
            total=event.blocks,
            completed=event.blocks_done,
            note=f"{event.blocks_done}/{event.blocks} blocks",
        )

    def _block(self, event: Any) -> None:  # noqa: ANN401
        if self._first is None:
            self._first = (event.elapsed_s, event.px_done)
            speed = event.px_done / 1e6 / max(event.elapsed_s, 1e-3)
        else:
            seconds = max(event.elapsed_s - self._first[0], 1e-3)
            speed = (event.px_done - self._first[1]) / 1e6 / seconds
        note = f"{event.blocks_done}/{event.blocks} blocks  {speed:.2f} Mpx/s"
        self._bars.update(self._task, completed=event.blocks_done, note=note)
        self._tell(event.elapsed_s, note)

    def _tell(self, elapsed_s: float, note: str) -> None:
        """Print a line from time to time where there is no bar."""
        if not self._console.is_terminal and elapsed_s - self._told_s >= _LOG_EVERY_S:
            self._told_s = elapsed_s
            self._console.print(f"  {elapsed_s:.0f} s: {note}", soft_wrap=True)

    def _stage(self, event: Any) -> None:  # noqa: ANN401
        self._bars.update(
            self._task, description=_STAGES.get(event.stage, event.stage), total=None, note=""
        )

    def _train(self, event: Any) -> None:  # noqa: ANN401
        size = "" if event.gsd_m is None else f" at {event.gsd_m:g} m"
        self._console.print(
            f"{event.scenes} labelled scene{'s' * (event.scenes != 1)}, "
            f"{len(event.classes)} classes: {', '.join(event.classes)}\n  {event.network}{size} "
            f"on {event.device} ({event.precision})",
            soft_wrap=True,
        )

    def _ground(self, event: Any) -> None:  # noqa: ANN401
        self._bars.update(
            self._task, description="reading", total=event.blocks, completed=event.blocks_done,
            note=f"{event.blocks_done}/{event.blocks} blocks",
        )  # fmt: skip

    def _split(self, event: Any) -> None:  # noqa: ANN401
        parts = ", ".join(f"{n} {part}" for part, n in event.blocks.items())
        resumed = f", {event.steps_done} done before" if event.steps_done else ""
        self._console.print(
            f"  blocks of {event.block_px} px: {parts}; {event.steps} batches{resumed}",
            soft_wrap=True,
        )
        self._bars.update(
            self._task, description="training", total=event.steps, completed=event.steps_done,
            note="",
        )  # fmt: skip

    def _batch(self, event: Any) -> None:  # noqa: ANN401
        note = f"{event.step}/{event.steps} batches  loss {event.loss:.3f}"
        self._bars.update(self._task, completed=event.step, note=note)
        self._tell(event.elapsed_s, note)

    def _look(self, event: Any) -> None:  # noqa: ANN401
        self._console.print(
            f"  batch {event.step}: loss {event.loss:.3f}, validation mean IoU "
            f"{event.mean_iou:.3f}, right {100 * event.overall:.1f} %",
            soft_wrap=True,
        )

    def _trained(self, event: Any) -> None:  # noqa: ANN401
        from rich.table import Table  # noqa: PLC0415

        self._bars.stop()
        table = Table(box=None, pad_edge=False)
        table.add_column("IoU")
        for part in event.accuracy:
            table.add_column(part, justify="right")
        rows: dict[str, list[str]] = {}
        for found in event.accuracy.values():
            for name, scores in found["classes"].items():
                rows.setdefault(name, []).append(_share(scores["iou"]))
            for key, name in _MEASURES.items():
                rows.setdefault(name, []).append(_share(found[key]))
        for name, cells in rows.items():
            table.add_row(name, *cells)
        self._console.print(table)
        self._console.print(
            f"done in {event.elapsed_s / 60:.1f} min, weights of batch {event.best_step}: "
            f"{event.out}",
            soft_wrap=True,
        )
        if not sys.stdout.isatty():
            click.echo(event.out)

    def _finished(self, event: Any) -> None:  # noqa: ANN401
        from rich.table import Table  # noqa: PLC0415

        self._bars.stop()
        table = Table(box=None, pad_edge=False)
        table.add_column("class")
        for name in ("area", "pixels", "share"):
            table.add_column(name, justify="right")
        for row in event.classes:
            table.add_row(
                row["class_name"],
                _area(row["area_m2"]),
                f"{row['px_count']:,}",
                f"{100 * row['share']:.1f} %",
            )
        self._console.print(table)
        self._console.print(f"done in {event.elapsed_s:.1f} s: {event.out}", soft_wrap=True)
        if not sys.stdout.isatty():
            click.echo(event.out)


def _size(event: Any) -> str:  # noqa: ANN401
    """Return how much there is to do, and how much of it was done before."""
    resumed = f", {event.blocks_done} done before" if event.blocks_done else ""
    return f"{event.output_px / 1e6:.1f} Mpx, {event.blocks} blocks{resumed}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _area(area_m2: float | None) -> str:
    if area_m2 is None:
        return "-"
    if area_m2 >= _M2_PER_KM2:
        return f"{area_m2 / _M2_PER_KM2:,.2f} km²"
    if area_m2 >= _M2_PER_HA:
        return f"{area_m2 / _M2_PER_HA:,.2f} ha"
    return f"{area_m2:,.0f} m²"
