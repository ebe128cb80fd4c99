"""``geoseg info``: what geoseg sees in a raster, and whether a model would take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    bands_option,
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    model_option,
    pixel_options,
    scene_argument,
    verbosity_options,
)
from geoseg.options import RunOptions

if TYPE_CHECKING:
    from geoseg.run.scene_report import BandReport, SceneReport

__all__ = ["info_command"]

_EPILOG = """
\b
Examples:
  geoseg info ortho.tif
  geoseg info s2.tif --bands 4,3,2 --gsd 1      would these flags make it fit?
  geoseg info https://host/scene.tif --model my_model
  geoseg info ortho.tif --json | jq .model.takes_it

\b
Percentiles come from nine small windows spread over the scene, so that a
scene of any size answers at once. A scene that the model does not take is an
answer, not an error: the exit code is 0.
"""


@click.command(epilog=_EPILOG)
@scene_argument
@model_option
@bands_option
@pixel_options
@click.option(
    "--nodata",
    type=float,
    metavar="VALUE",
    help="Pixels of this value in all bands are nodata, beside what the file declares.",
)
@click.option(
    "--nodata-rule",
    type=click.Choice(["any", "all"]),
    default="any",
    show_default=True,
    help="A pixel is nodata where any, or only where all, of its bands are as declared.",
)
@json_option
@verbosity_options
def info_command(
    *,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over fields of RunOptions by name
) -> None:
    """Tell what geoseg sees in SCENE: place, bands, values, and whether a model takes it."""
    configure_logging(verbose=verbose, quiet=quiet)
    from geoseg.run.scene_report import inspect_scene  # noqa: PLC0415 - rasterio

    with errors_as_events(as_json=as_json):
        report = inspect_scene(RunOptions(**fields))
    if as_json:
        echo_json(report.as_json())
    elif not quiet:
        _show(report)


def _show(report: SceneReport) -> None:
    from geoseg.cli.table import echo_pairs, echo_table  # noqa: PLC0415 - with the report
    from geoseg.run.scene_report import PERCENTILES  # noqa: PLC0415 - rasterio

    echo_pairs(report.lines())
    click.echo()
    header = ["band", "name", "type", "nodata", *(_percentile_name(p) for p in PERCENTILES)]
    echo_table(header, [_row(band, len(PERCENTILES)) for band in report.bands])
    click.echo()
    echo_pairs(report.model_lines())


def _percentile_name(percent: int) -> str:
    return {0: "min", 50: "median", 100: "max"}.get(percent, f"{percent} %")


def _row(band: BandReport, n_percentiles: int) -> list[str]:
    values = band.percentiles
    cells = ["-"] * n_percentiles if values is None else [f"{v:g}" for v in values]
    nodata = "-" if band.nodata is None else f"{band.nodata:g}"
    return [str(band.number), band.name, band.dtype, nodata, *cells]
