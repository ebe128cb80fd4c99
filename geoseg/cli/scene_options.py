"""What the commands that map scenes ask about a scene: the fields of ``RunOptions``."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.options import (
    Command,
    aoi_option,
    bands_option,
    device_options,
    expert_options,
    model_option,
    pixel_options,
    polygon_options,
    with_options,
)
from geoseg.options import POLYGON_SUFFIXES, RunOptions

__all__ = ["run_options", "scene_options"]

_DECORATORS = (
    model_option,
    bands_option,
    aoi_option,
    click.option(
        "--format",
        "formats",
        multiple=True,
        type=click.Choice([name for name in POLYGON_SUFFIXES if name != "gpkg"]),
        help="Write the polygons in this format too, beside GeoPackage; may be repeated.",
    ),
    click.option("--no-polygons", is_flag=True, help="Write no polygons at all."),
    polygon_options,
    click.option(
        "--keep-raw",
        is_flag=True,
        help="With --min-area, also write the class raster as it was before: classes_raw.tif.",
    ),
    click.option(
        "--confidence/--no-confidence",
        default=True,
        show_default=True,
        help="Write confidence.tif.",
    ),
    click.option("--scores", is_flag=True, help="Write scores.tif, one band per class."),
    click.option(
        "--seams",
        is_flag=True,
        help="Write seams.tif and one number: where and how much overlapping windows "
        "disagree. Costs extra windows around every block.",
    ),
    pixel_options,
    click.option(
        "--nodata",
        type=float,
        metavar="VALUE",
        help="Pixels of this value in all bands are nodata, beside what the file declares.",
    ),
    click.option(
        "--nodata-rule",
        type=click.Choice(["any", "all"]),
        default="any",
        show_default=True,
        help="A pixel is nodata where any, or only where all, of its bands are as declared.",
    ),
    click.option(
        "--stitch",
        type=click.Choice(["auto", "crop", "blend"]),
        default="auto",
        show_default=True,
        help="How windows are joined; auto follows the model's card.",
    ),
    device_options,
    expert_options,
)


def scene_options(command: Command) -> Command:
    """Add all that decides how a scene is mapped; ``run_options`` takes the values."""
    return with_options(command, _DECORATORS)


def run_options(
    *,
    formats: tuple[str, ...],
    no_polygons: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of RunOptions by name
) -> RunOptions:
    """Return the options of a scene from what ``scene_options`` gave.

    Raises:
        OptionError: A value cannot be right.
    """
    chosen = () if no_polygons else tuple(dict.fromkeys(("gpkg", *formats)))
    return RunOptions(formats=chosen, **fields)
