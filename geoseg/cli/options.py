"""Every option that more than one command has, declared once."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from geoseg.errors import GeosegError, RunInterruptedError
from geoseg.options import DEFAULT_MODEL, DEFAULT_SIMPLIFY, SIMPLIFY_METHODS

__all__ = [
    "aoi_option",
    "bands_option",
    "configure_logging",
    "device_options",
    "echo_json",
    "errors_as_events",
    "expert_options",
    "json_option",
    "model_option",
    "number_pair",
    "overwrite_option",
    "polygon_options",
    "scene_argument",
    "split_names",
    "verbosity_options",
    "with_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def split_names(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """Split ``a,b,c``; click callback."""
    if value is None:
        return None
    names = tuple(part.strip() for part in value.split(","))
    if not all(names):
        msg = f"{value!r} has an empty entry"
        raise click.BadParameter(msg)
    return names


def number_pair(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    """Read ``MIN,MAX``; click callback."""
    if value is None:
        return None
    try:
        low, high = (float(part) for part in value.split(","))
    except ValueError as error:
        msg = f"{value!r} is not MIN,MAX"
        raise click.BadParameter(msg) from error
    return low, high


def _whole_number(_context: click.Context, _parameter: click.Parameter, value: str) -> int:
    """Turn a choice among numbers into one; click callback."""
    return int(value)


scene_argument = click.argument("scene", metavar="SCENE")

model_option = click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|DIR",
    help="Bundled model, or a model folder.",
)
bands_option = click.option(
    "--bands",
    callback=split_names,
    metavar="A,B,C",
    help="Scene bands for the model's inputs, by number or name, e.g. 3,2,1 or red,green,blue. "
    "[default: by name]",
)
aoi_option = click.option(
    "--aoi",
    metavar="FILE|L,B,R,T",
    help="Map only this area: a polygon file, or left,bottom,right,top in the scene's CRS.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace the results of an earlier run."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on stdout, one event per line."
)


def with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    """Add options, or other decorators of commands, in the order of ``--help``."""
    for option in reversed(options):
        command = option(command)
    return command


def polygon_options(command: Command) -> Command:
    """Add what decides how a class map becomes polygons, and where else they go."""
    return with_options(command, _POLYGON_OPTIONS)


_POLYGON_OPTIONS = (
    click.option(
        "--min-area",
        metavar="AREA",
        help="Join smaller regions to the neighbour with the longest common edge, e.g. 100m2 "
        "or 16px. [default: keep all]",
    ),
    click.option(
        "--simplify",
        metavar="LENGTH",
        help="Take corners out of the polygons, e.g. 2px or 0.5m, without gaps or overlaps; 0 "
        f"follows the pixels exactly. [default: {DEFAULT_SIMPLIFY}, or 0 with --smooth]",
    ),
    click.option(
        "--simplify-method",
        type=click.Choice(SIMPLIFY_METHODS),
        default=SIMPLIFY_METHODS[0],
        show_default=True,
        help="Corners go where they lie nearer than LENGTH to the line that remains, or where "
        "their triangle is smaller than LENGTH squared.",
    ),
    click.option(
        "--smooth/--no-smooth",
        default=False,
        show_default=True,
        help="Take the staircase out of the polygons, by less than half a pixel and without "
        "gaps or overlaps.",
    ),
    click.option(
        "--dissolve", is_flag=True, help="One multipolygon per class, not one polygon per region."
    ),
    click.option(
        "--connectivity",
        type=click.Choice(["4", "8"]),
        callback=_whole_number,
        default="4",
        show_default=True,
        help="With 8, regions of a class that touch at a corner are one multipolygon. "
        "--min-area counts regions that share edges in either case.",
    ),
    click.option(
        "--crs",
        metavar="CRS",
        help="CRS of the polygons, e.g. EPSG:4326. [default: that of the map]",
    ),
    click.option(
        "--postgis",
        metavar="URL",
        help="Write the polygons into this database too, postgresql://user@host/database. The "
        "password is better left to PGPASSWORD or ~/.pgpass.",
    ),
    click.option(
        "--table",
        metavar="NAME",
        help="Table for --postgis, or SCHEMA.TABLE. [default: the raster's name + _polygons]",
    ),
)


def device_options(command: Command) -> Command:
    """Add ``--device``, ``--precision`` and ``--backend``."""
    command = click.option(
        "--backend",
        type=click.Choice(["auto", "openvino", "onnxruntime", "torch"]),
        default="auto",
        show_default=True,
        help="What runs the network; auto takes OpenVINO on the CPU where it is installed and "
        "the model has programs for it, else torch.",
    )(command)
    command = click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
        default="auto",
        show_default=True,
        help="Number format; auto uses bf16 where the device computes in it and the model's "
        "card says that it does not change the map.",
    )(command)
    return device_option(command)


def device_option(command: Command) -> Command:
    """Add ``--device``."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda[:N]|mps",
        help="Where the network runs.",
    )(command)


def pixel_options(command: Command) -> Command:
    """Add ``--gsd`` and ``--value-range``, which say what the file does not."""
    command = click.option(
        "--value-range",
        callback=number_pair,
        metavar="MIN,MAX",
        help="Scene values that stand for the ends of the model's range.",
    )(command)
    return click.option(
        "--gsd",
        "gsd_m",
        type=float,
        metavar="METRES",
        help="Pixel size to assume instead of the file's own.",
    )(command)


def expert_options(command: Command) -> Command:
    """Add the flags that have good automatic values."""
    for name, text in (
        ("--workers", "Blocks worked on at a time."),
        ("--batch-size", "Windows per forward pass."),
        ("--halo-px", "Context around the part of a window that is kept."),
        ("--window-px", "Side of what the model sees at once."),
        ("--block-px", "Side of the unit of work and resume."),
    ):
        command = click.option(
            name, type=click.IntRange(0 if name == "--halo-px" else 1), metavar="N",
            help=f"{text} [default: automatic]",
        )(command)  # fmt: skip
    return command


def verbosity_options(command: Command) -> Command:
    """Add ``--quiet`` and ``-v``."""
    command = click.option(
        "-v", "--verbose", count=True, help="More messages; -vv also shows tracebacks."
    )(command)
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")(command)


def configure_logging(*, verbose: int, quiet: bool) -> None:
    """Send geoseg's log to stderr at the level that the flags ask for."""
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    level = logging.ERROR if quiet else levels[min(verbose, 2)]
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("geoseg: %(levelname)s: %(message)s"))
    logger = logging.getLogger("geoseg")
    logger.handlers[:] = [handler]
    logger.setLevel(level)


def echo_json(value: dict[str, Any]) -> None:
    """Print one JSON value on a line of stdout, whatever characters stdout can take."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    click.echo(json.dumps(value, ensure_ascii=not is_utf8))


class _Folder(click.Path):
    """A folder's name; nothing at all, as of a variable that is not set, is no name."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - click's
        if value == "":
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


FOLDER: Final = _Folder(path_type=Path)
"""Type of ``--out``."""


@contextmanager
def errors_as_events(*, as_json: bool) -> Iterator[None]:
    """With ``--json``, make the last line of a command that fails an ``error`` event.

    The error goes on: it also becomes a line on stderr and the exit code. So does Ctrl-C at a
    moment that no command foresees, as while it imports or plans.
    """
    try:
        try:
            yield
        except KeyboardInterrupt as error:
            msg = "stopped"
            raise RunInterruptedError(msg) from error
    except GeosegError as error:
        if as_json:
            echo_json(_error_event(str(error), error.hint, error.exit_code))
        raise
    except BrokenPipeError:
        raise
    except Exception as error:
        if as_json:
            text = f"internal error: {type(error).__name__}: {error}"
            echo_json(_error_event(" ".join(text.split()), None, 1))
        raise


def _error_event(message: str, hint: str | None, exit_code: int) -> dict[str, Any]:
    return {"event": "error", "message": message, "hint": hint, "exit_code": exit_code}
