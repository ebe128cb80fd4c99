"""``geoseg sample``: reference points to label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    verbosity_options,
)
from geoseg.cli.table import echo_table
from geoseg.options import SampleOptions

__all__ = ["sample_command"]

_EPILOG = """
\b
Examples:
  geoseg sample town_geoseg --out points.gpkg
  geoseg sample classes.tif --points 600 --least 75 --seed 7 --out points.gpkg

\b
Label the points in QGIS or elsewhere: write what the ground is, not what the map says,
into the column 'reference', as a class name or id. Then
  geoseg evaluate town_geoseg --reference points.gpkg
"""


@click.command(epilog=_EPILOG)
@click.argument("map", metavar="MAP")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
              help="File to make, ending in .gpkg, .geojson, .fgb or .parquet.")  # fmt: skip
@click.option("--points", type=int, metavar="N",
              help="All points. [default: what the standard error needs]")  # fmt: skip
@click.option("--least", type=int, default=50, show_default=True, metavar="N",
              help="Points of every class at least; the rest goes by area.")  # fmt: skip
@click.option("--standard-error", type=float, default=0.01, show_default=True, metavar="S",
              help="Standard error of the overall accuracy that is wanted.")  # fmt: skip
@click.option("--expected-accuracy", type=float, default=0.8, show_default=True, metavar="A",
              help="How right the map may be; decides how many points that needs.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, metavar="N",
              help="The same seed draws the same points.")  # fmt: skip
@click.option("--band", type=int, metavar="N", help="Band of the classes. [default: the only one]")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@json_option
@verbosity_options
def sample_command(
    *,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of SampleOptions by name
) -> None:
    """Draw random points from every class of MAP, to be labelled as reference.

    MAP is a class raster, or a folder that 'geoseg run' made.
    """  # fmt: skip
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = SampleOptions(**fields)
        from geoseg.run.sample import draw_sample  # noqa: PLC0415 - rasterio

        result = draw_sample(options)
        rows = list(zip(result.class_ids, result.class_names, result.mapped_px, result.points,
                        strict=True))  # fmt: skip
        if as_json:
            classes = [
                {"class_id": i, "class_name": name, "mapped_px": px, "points": n}
                for i, name, px, n in rows
            ]
            echo_json({"event": "sample", "file": str(result.file), "classes": classes})
        elif not quiet:
            table = [[str(i), name, f"{px:,}", str(n)] for i, name, px, n in rows]
            echo_table(["id", "class", "pixels", "points"], table)
            click.echo(f"{sum(result.points)} points to label: {result.file}")
