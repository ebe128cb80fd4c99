"""Listeners for the events of a batch: a bar and lines for people, a plain log, JSON lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from geoseg.cli.options import echo_json

__all__ = ["batch_listener"]

_LOG_EVERY_S: Final = 60
_JSON_EVERY_S: Final = 5


@contextmanager
def batch_listener(*, as_json: bool, quiet: bool) -> Iterator[Callable[[Any], None]]:
    """Yield the callback that fits the flags and the terminal."""
    if as_json:
        yield _Json()
    elif quiet:
        yield lambda _: None
    elif sys.stderr is not None and sys.stderr.isatty():
        yield from _with_bar()
    else:
        yield _Log(_plain_line)


class _Json:
    """All events but ``progress``, which comes every few seconds."""

    def __init__(self) -> None:
        self._told_s = -_JSON_EVERY_S * 1.0

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - any event
        if event.kind == "progress":
            if time.monotonic() - self._told_s < _JSON_EVERY_S:
                return
            self._told_s = time.monotonic()
        echo_json(event.as_json())


def _plain_line(text: str) -> None:
    click.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {text}", err=True)


class _Log:
    """One line for each thing that happens, and now and then how far it is."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._told_s = time.monotonic()

    def __call__(self, event: Any) -> None:  # noqa: ANN401 - any event
        getattr(self, f"_{event.kind}")(event)

    def _warning(self, event: Any) -> None:  # noqa: ANN401
        self._line(f"warning: {event.message}")

    def _batch_ready(self, event: Any) -> None:  # noqa: ANN401
        parts = [f"{event.to_do} of {event.scenes} scenes to do into {event.out}"]
        if event.done_before:
            parts.append(f"{event.done_before} done before")
        if event.failed_before:
            parts.append(f"{event.failed_before} failed before ('geoseg batch retry' tries again)")
        if event.older:
            parts.append(f"{event.older} older than --since")
        self._line("; ".join(parts))

    def _scene(self, event: Any) -> None:  # noqa: ANN401
        if event.state == "done":
            speed = event.output_px / 1e6 / event.elapsed_s if event.elapsed_s else 0
            self._line(f"{event.scene_id}: done, {event.output_px / 1e6:.1f} Mpx in "
                       f"{event.elapsed_s:.0f} s ({speed:.2f} Mpx/s)")  # fmt: skip
        elif event.state == "failed":
            self._line(f"{event.scene_id}: FAILED: {event.reason}")
            if event.hint:
                self._line(f"  {event.hint}")

    def _progress(self, event: Any) -> None:  # noqa: ANN401
        if time.monotonic() - self._told_s >= _LOG_EVERY_S:
            self._told_s = time.monotonic()
            self._line(_state(event))

    def _batch_finished(self, event: Any) -> None:  # noqa: ANN401
        failed = f", {event.failed} failed" if event.failed else ""
        self._line(
            f"{event.done} scenes done{failed}; {event.px_done / 1e6:.1f} Mpx in "
            f"{event.elapsed_s:.0f} s; {event.out}"
        )


def _state(event: Any) -> str:  # noqa: ANN401
    speed = event.px_done / 1e6 / event.elapsed_s if event.elapsed_s else 0
    return (
        f"{event.done} done, {event.failed} failed, {event.running} running, {event.waiting} "
        f"waiting; block {event.blocks_done}/{event.blocks}; {speed:.2f} Mpx/s; "
        f"{event.workers} worker(s)"
    )


def _with_bar() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console  # noqa: PLC0415 - not for --help
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - the same

    # Names of scenes may hold what rich takes for markup, as in "[red]x[/red].tif".
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(
        TextColumn("scenes"),
        BarColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
    ) as bars:
        task = bars.add_task("scenes", total=None, note="starting")
        log = _Log(lambda text: console.print(text, soft_wrap=True))

        def listen(event: Any) -> None:  # noqa: ANN401 - any event
            if event.kind == "progress":
                total = event.done + event.failed + event.running + event.waiting
                part = event.blocks_done / event.blocks * event.running if event.blocks else 0
                bars.update(
                    task, total=total, completed=event.done + event.failed + part * 0.9,
                    note=_state(event),
                )  # fmt: skip
            else:
                log(event)

        yield listen
