"""``geoseg run``: one scene into a class map, polygons and their metadata."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.options import (
    FOLDER,
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    overwrite_option,
    scene_argument,
    verbosity_options,
)
from geoseg.cli.scene_options import run_options, scene_options
from geoseg.options import RunOptions

__all__ = ["run_command"]

_EPILOG = """
\b
Examples:
  geoseg run ortho.tif                          results in ./ortho_geoseg/
  geoseg run ortho.tif --dry-run                how long, how much memory and disk
  geoseg run ortho.tif --aoi parcels.gpkg --out parcels
  geoseg run ortho.tif --min-area 25m2 --smooth no specks, no staircase
  geoseg run s2.tif --bands red,green,blue --value-range 0,3000 --gsd 1
  geoseg run https://host/scene.tif --format geoparquet
  geoseg run ortho.tif --json | jq .event

\b
Stopped by Ctrl-C, a kill or a crash? Repeat the same command: it continues.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped (resumable).
"""


@click.command(epilog=_EPILOG)
@scene_argument
@click.option(
    "--out",
    type=FOLDER,
    metavar="DIR",
    help="Result folder. [default: SCENE's name + _geoseg, in the current folder]",
)
@scene_options
@overwrite_option
@click.option("--dry-run", is_flag=True, help="Show blocks, memory, disk and time, and do nothing.")
@json_option
@verbosity_options
def run_command(
    *,
    dry_run: bool,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of RunOptions by name
) -> None:
    """Map the land cover of SCENE, a path or URL of anything that GDAL reads as a raster.

    Writes classes.tif (COG with colours and class names), confidence.tif, polygons, a QGIS
    style, a STAC item and run.json into a folder of their own. Memory use does not depend
    on the size of the scene.
    """  # fmt: skip
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = run_options(**fields)
        if dry_run:
            _show_estimate(options, as_json=as_json)
        else:
            _run(options, as_json=as_json, quiet=quiet)


def _run(options: RunOptions, *, as_json: bool, quiet: bool) -> None:
    from geoseg.cli.progress import listener  # noqa: PLC0415 - rich

    with listener(as_json=as_json, quiet=quiet) as progress:
        from geoseg.run.pipeline import run  # noqa: PLC0415 - after the first sign of life

        run(options, progress)


def _show_estimate(options: RunOptions, *, as_json: bool) -> None:
    from geoseg.run.estimate import estimate  # noqa: PLC0415 - torch
    from geoseg.run.plan import make_plan  # noqa: PLC0415

    plan = make_plan(options)
    found = estimate(plan)
    if as_json:
        echo_json(found.as_json())
        return
    for label, text in found.lines(plan):
        click.echo(f"{label:<12} {text}")
