"""``geoseg bench``: how much of the hardware's speed reaches the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.options import (
    bands_option,
    configure_logging,
    device_options,
    echo_json,
    errors_as_events,
    expert_options,
    json_option,
    model_option,
    overwrite_option,
    pixel_options,
    scene_argument,
    verbosity_options,
)
from geoseg.options import RunOptions

__all__ = ["bench_command"]

_EPILOG = """
\b
Examples:
  geoseg bench ortho.tif                        one run, and the bare network beside it
  geoseg bench ortho.tif --backend torch        another backend
  geoseg bench ortho.tif --window-px 640 --json | jq .of_limit
"""


@click.command(epilog=_EPILOG)
@scene_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep the run's files here. [default: a temporary folder]",
)
@model_option
@bands_option
@pixel_options
@click.option(
    "--limit-seconds",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="S",
    help="How long the bare network is measured, for each of two window sizes.",
)
@device_options
@expert_options
@overwrite_option
@json_option
@verbosity_options
def bench_command(
    *,
    limit_seconds: float,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of RunOptions by name
) -> None:
    """Map SCENE once and tell where the time went, and how near it came to the network alone.

    The limit is the same network by the same backend in the same process, on windows in
    memory and without overlap. Close other programs first: both halves are measured once.
    """
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = RunOptions(**fields)
        from geoseg.run.bench import bench  # noqa: PLC0415 - dask

        found = bench(options, limit_s=limit_seconds)
    if as_json:
        echo_json(found.as_json())
        return
    for label, text in found.lines():
        click.echo(f"{label:<14}{text}")
