"""``geoseg vectorise``: polygons of any class raster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    polygon_options,
    verbosity_options,
)
from geoseg.options import POLYGON_SUFFIXES, VectoriseOptions

__all__ = ["vectorise_command"]

_EPILOG = """
\b
Examples:
  geoseg vectorise classes.tif --out map.gpkg
  geoseg vectorise landcover.tif --out map.gpkg --min-area 400m2
  geoseg vectorise classes.tif --confidence confidence.tif --out map.parquet
  geoseg vectorise labels.tif --legend "1:water:#2b6cb0,2:forest:#2f6b3a" --out map.fgb
  geoseg vectorise stack.tif --band 3 --nodata 0 --out map.gpkg --out map.geojson
  geoseg vectorise classes.tif --postgis postgresql://me@db/maps --table landcover
  geoseg vectorise classes.tif --out map.gpkg --dry-run

\b
Class names and colours come from the raster's category names and colour table.
Stopped by Ctrl-C, a kill or a crash? Repeat the same command: it continues.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped (resumable).
"""


@click.command(epilog=_EPILOG)
@click.argument("raster", metavar="CLASSES")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="File to make, ending in .gpkg, .fgb, .parquet or .geojson; may be repeated. Needed "
    "unless there is --postgis.",
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(list(POLYGON_SUFFIXES)),
    help="Write this format too, beside the first --out under its name; may be repeated.",
)
@click.option("--band", type=int, metavar="N", help="Band of the classes. [default: the only one]")
@click.option(
    "--nodata", type=int, metavar="N", help="A value that is nodata beside the file's own."
)
@click.option(
    "--confidence",
    metavar="FILE",
    help="Raster on the same grid with the confidence of every pixel: 0 to 1 as floats, "
    "0 to 250 as bytes, or scaled as the file says.",
)
@click.option(
    "--legend",
    metavar="TEXT|FILE",
    help="Classes as id:name:#rrggbb,... or as a JSON or CSV file. [default: the raster's own]",
)
@polygon_options
@click.option("--workers", type=click.IntRange(1), metavar="N",
              help="Blocks worked on at a time. [default: automatic]")  # fmt: skip
@click.option("--block-px", type=click.IntRange(1), metavar="N",
              help="Side of the unit of work and resume. [default: automatic]")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace existing files and tables.")
@click.option("--dry-run", is_flag=True, help="Show blocks, memory, disk and time, and do nothing.")
@json_option
@verbosity_options
def vectorise_command(
    *,
    dry_run: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of VectoriseOptions by name
) -> None:
    """Turn CLASSES, any raster of whole class numbers, into polygons.

    One polygon per connected region, on the corners of the pixels and joined exactly across
    blocks, so that rasters of any size work in bounded memory.
    """  # fmt: skip
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = VectoriseOptions(**fields)
        if dry_run:
            _show_estimate(options, as_json=as_json)
        else:
            _run(options, as_json=as_json, quiet=quiet)


def _run(options: VectoriseOptions, *, as_json: bool, quiet: bool) -> None:
    from geoseg.cli.progress import listener  # noqa: PLC0415 - rich

    with listener(as_json=as_json, quiet=quiet) as progress:
        from geoseg.run.vectorise import vectorise  # noqa: PLC0415 - after the first sign of life

        vectorise(options, progress)


def _show_estimate(options: VectoriseOptions, *, as_json: bool) -> None:
    from geoseg.run.class_estimate import estimate_classes  # noqa: PLC0415 - numba
    from geoseg.run.class_plan import make_class_plan  # noqa: PLC0415

    plan = make_class_plan(options)
    found = estimate_classes(plan)
    if as_json:
        echo_json(found.as_json())
        return
    for label, text in found.lines(plan):
        click.echo(f"{label:<12} {text}")
