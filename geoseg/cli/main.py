"""The command group: settings of the process, errors into one line, lazy commands."""

from __future__ import annotations

import gc
import importlib
import io
import logging
import os
import sys
from typing import Any, Final, NoReturn

import click

from geoseg.cli import interrupts
from geoseg.errors import GeosegError, RunInterruptedError
from geoseg.version import __version__

__all__ = ["answer", "cli", "main"]

# Command name -> (module, attribute, one-line help). Modules are imported when their
# command runs, so that --help answers without torch, dask or geopandas.
_COMMANDS: Final = {
    "run": ("geoseg.cli.run", "run_command", "Map the land cover of one scene."),
    "batch": ("geoseg.cli.batch", "batch_command", "Map many scenes, on one machine or a cluster."),
    "vectorise": (
        "geoseg.cli.vectorise", "vectorise_command", "Turn any class raster into polygons.",
    ),
    "evaluate": (
        "geoseg.cli.evaluate", "evaluate_command", "Tell how right a map is.",
    ),
    "sample": ("geoseg.cli.sample", "sample_command", "Draw reference points to label."),
    "train": ("geoseg.cli.train", "train_command", "Train a model on labelled scenes."),
    "info": ("geoseg.cli.info", "info_command", "Tell what geoseg sees in a raster."),
    "models": ("geoseg.cli.models", "models_group", "List, show and import models."),
    "tune": ("geoseg.cli.tune", "tune_command", "Measure the fastest setting of a model."),
    "bench": (
        "geoseg.cli.bench", "bench_command", "Measure speed beside the bare network's.",
    ),
    "doctor": ("geoseg.cli.doctor", "doctor_command", "Check this installation."),
    "completion": ("geoseg.cli.completion", "completion_command", "Print shell completion."),
}  # fmt: skip
_LONGEST_TEXT: Final = 300
_COLLECT_AFTER: Final = (100_000, 50, 1000)


class _LazyGroup(click.Group):
    """A group that knows its commands' names and help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            # click would print an empty line of its own first.
            raise RunInterruptedError("stopped") from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, text) for name, (_, _, text) in _COMMANDS.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: geoseg run SCENE.tif",
)
@click.version_option(__version__, prog_name="geoseg")
@click.option(
    "--stop-at-eof",
    is_flag=True,
    help="Stop, resumable, when standard input closes: for programs that start geoseg and may "
    "end before it does.",
)
def cli(*, stop_at_eof: bool) -> None:
    """Turn a georeferenced image of any size into a land-cover map and polygons."""
    if stop_at_eof:
        interrupts.stop_at_eof()


def main() -> NoReturn:
    """Run the command line in this process and end it with the exit code."""
    interrupts.listen()
    # Imports make a million objects that stay; to look through them for garbage at the usual
    # pace would take a second of a short run.
    gc.set_threshold(*_COLLECT_AFTER)
    _calm_environment()
    _open_what_was_closed()
    _print_what_can_be_printed()
    _leave(answer())


def answer() -> int:
    """Run the command line; every error ends in one line and its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except GeosegError as error:
        code = _report(error)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = _report(RunInterruptedError("stopped"))
    except BrokenPipeError:
        # The reader of our output went away (geoseg ... | head); say nothing more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001 - the outermost frame: a traceback helps no user
        code = _report_internal(error)
    return code if isinstance(code, int) else 0


def _leave(code: int) -> NoReturn:
    """End the process at once.

    All files are closed by now. To take a million objects apart, one by one, would keep the
    user waiting for more than a second.
    """
    interrupts.listen_no_more()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        # Nobody reads it any more, or its disk is full; there is nowhere to say so.
        code = code or 1
    os._exit(code)


def _calm_environment() -> None:
    """Set what libraries read from the environment, unless the user did, and what they log."""
    # Every worker computes with one thread of its own.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # What Dask finds of a cluster that has closed can come as late as the end of the process.
    for name in ("distributed", "asyncio", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # GDAL's own messages would be lines beside ours; its errors reach us as exceptions.
    os.environ.setdefault("CPL_LOG", os.devnull)


def _open_what_was_closed() -> None:
    """Print into nothing where the shell has closed an output (``>&-``): libraries want one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _print_what_can_be_printed() -> None:
    """Let a terminal that lacks a character show a mark in its place instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: GeosegError) -> int:
    interrupts.listen_no_more()
    _show_traceback(error)
    click.echo(f"geoseg: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


def _report_internal(error: Exception) -> int:
    """Print one line for an error that nobody foresaw, and what to do with it."""
    interrupts.listen_no_more()
    _show_traceback(error)
    text = " ".join(f"{type(error).__name__}: {error}".split())[:_LONGEST_TEXT]
    click.echo(f"geoseg: internal error: {text}", err=True)
    click.echo(
        "  Repeat the command with -vv and report what it prints, with that of 'geoseg doctor'.",
        err=True,
    )
    return 1


def _show_traceback(error: Exception) -> None:
    """Log where an error comes from; ``-vv`` shows it."""
    logging.getLogger("geoseg").debug("traceback", exc_info=error)
