"""``geoseg models import``: a network of segmentation-models-pytorch becomes a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    FOLDER,
    configure_logging,
    number_pair,
    split_names,
    verbosity_options,
)
from geoseg.errors import OptionError

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard

__all__ = ["import_command"]

_IMPORT_EPILOG = """
\b
Examples:
  geoseg models import smp_folder --out my_model --gsd 0.5 \\
      --classes "0:other:#888888,1:building:#c8452d" --bands red,green,blue \\
      --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4
  geoseg models import smp_folder --out s2_model --classes legend.csv \\
      --bands blue,green,red,nir --min-max 0,10000 --gsd 10 --halo-scene s2.tif

\b
smp_folder is what model.save_pretrained(FOLDER) of segmentation-models-pytorch
writes: config.json and model.safetensors, of any architecture and encoder.
mean and std are in pixel values: multiply smp's usual ones (0 to 1) by 255.
"""


@click.command("import", epilog=_IMPORT_EPILOG)
@click.argument("smp_folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=FOLDER,
    metavar="DIR",
    help="Model folder to make.",
)
@click.option("--name", metavar="TEXT", help="Short name. [default: name of the folder]")
@click.option("--title", metavar="TEXT", help="One line for people. [default: the name]")
@click.option(
    "--description",
    default="",
    metavar="TEXT",
    help="What it maps, on what imagery, and where it fails.",
)
@click.option(
    "--classes",
    required=True,
    metavar="ID:NAME:#RRGGBB,...|FILE",
    help="Classes in the order of the network's outputs, or a JSON or CSV file with "
    "id, name, colour and, if wanted, description.",
)
@click.option(
    "--bands",
    required=True,
    callback=split_names,
    metavar="A,B,C",
    help="Names of the input bands in order, e.g. red,green,blue.",
)
@click.option(
    "--mean",
    callback=split_names,
    metavar="A,B,C",
    help="Subtracted from the pixels of each band; one number for all, or one each.",
)
@click.option(
    "--std",
    callback=split_names,
    metavar="A,B,C",
    help="Divides the pixels of each band after --mean.",
)
@click.option(
    "--min-max",
    callback=number_pair,
    metavar="MIN,MAX",
    help="Instead of --mean and --std: pixel values that become 0 and 1.",
)
@click.option(
    "--value-range",
    callback=number_pair,
    metavar="MIN,MAX",
    help="Pixel values that the model was made for. [default: --min-max, or 0,255]",
)
@click.option(
    "--gsd",
    "gsd_m",
    type=float,
    metavar="METRES",
    help="Pixel size it was trained at; scenes are resampled to it. [default: any scene as it is]",
)
@click.option(
    "--gsd-range",
    callback=number_pair,
    metavar="MIN,MAX",
    help="Pixel sizes that it may be used at. [default: half to twice --gsd]",
)
@click.option(
    "--license",
    "license_id",
    default="other",
    show_default=True,
    metavar="SPDX",
    help="Licence of the weights.",
)
@click.option(
    "--facts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="JSON object kept in the card: accuracy, training_data, limits.",
)
@click.option(
    "--halo-scene",
    metavar="SCENE",
    help="Scene at the model's pixel size, 1536 px or more on a side, to measure the "
    "halo on. [default: synthetic images]",
)
@click.option(
    "--overwrite", is_flag=True, help="Replace a model folder; any other folder is left alone."
)
@verbosity_options
def import_command(  # noqa: PLR0913 - one parameter per flag
    *,
    smp_folder: Path,
    out: Path,
    name: str | None,
    title: str | None,
    description: str,
    classes: str,
    bands: tuple[str, ...],
    mean: tuple[str, ...] | None,
    std: tuple[str, ...] | None,
    min_max: tuple[float, float] | None,
    value_range: tuple[float, float] | None,
    gsd_m: float | None,
    gsd_range: tuple[float, float] | None,
    license_id: str,
    facts: Path | None,
    halo_scene: str | None,
    overwrite: bool,
    verbose: int,
    quiet: bool,
) -> None:
    """Make a model folder from what smp's save_pretrained wrote, and measure its halo.

    The halo is the context that a window needs so that its inner part gets the same
    classes as in the whole image; measuring it takes minutes. Where no halo is enough, as
    with networks that pool over the whole window, windows will be blended.
    """  # fmt: skip
    from geoseg.model.importing import ImportRequest  # noqa: PLC0415 - not for --help
    from geoseg.model.legend_text import read_legend  # noqa: PLC0415
    from geoseg.run.model_import import import_model  # noqa: PLC0415

    configure_logging(verbose=verbose, quiet=quiet)
    gsd_range = _gsd_range(gsd_m, gsd_range)
    short = name or out.name
    request = ImportRequest(
        name=short,
        title=title or short,
        description=description,
        bands=bands,
        scaling=_scaling(len(bands), mean, std, min_max),
        value_range=value_range or min_max or (0.0, 255.0),
        gsd_m=gsd_m,
        gsd_range_m=gsd_range,
        legend=read_legend(classes),
        license=license_id,
        facts={} if facts is None else _read_facts(facts),
    )
    if not quiet:
        click.echo("building the network and measuring its halo ...", err=True)
    card = import_model(smp_folder, out, request, halo_scene=halo_scene, overwrite=overwrite)
    if not quiet:
        click.echo(f"{out}: {_halo_text(card)}, {card.n_parameters:,} weights")
        click.echo(f"try it: geoseg run SCENE.tif --model {out}", err=True)


def _halo_text(card: ModelCard) -> str:
    """Return what was found about the context that windows need."""
    from geoseg.model.halo import LEAST_SECOND_CLASS  # noqa: PLC0415 - numpy

    if card.stitch == "crop":
        return f"halo {card.halo_px} px, windows will be cropped"
    blended = f"windows will be blended over a halo of {card.halo_px} px"
    if card.facts["halo_second_class_share"] < LEAST_SECOND_CLASS:
        return (
            f"{blended}, because the images show hardly more than one class and so tell nothing "
            "(try --halo-scene)"
        )
    return (
        f"{blended}, because no halo up to {card.facts['halo_curve'][-1]['halo_px']} px is enough"
    )


def _gsd_range(
    gsd_m: float | None, gsd_range: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return the pixel sizes that the model may be used at, around its own."""
    if gsd_m is None:
        if gsd_range is None:
            return None
        msg = "--gsd-range needs --gsd, the pixel size that scenes are resampled to"
        raise OptionError(msg)
    low, high = gsd_range or (gsd_m / 2, gsd_m * 2)
    if not 0 < low <= gsd_m <= high:
        msg = f"--gsd {gsd_m:g} must be positive and inside --gsd-range {low:g},{high:g}"
        raise OptionError(msg)
    return low, high


def _scaling(
    n_bands: int,
    mean: tuple[str, ...] | None,
    std: tuple[str, ...] | None,
    min_max: tuple[float, float] | None,
) -> tuple[Any, ...]:
    """Return one scaling per band from --mean and --std, or from --min-max."""
    from geoseg.model.card import BandScaling  # noqa: PLC0415 - not for --help

    if (min_max is None) == (mean is None or std is None) or (mean is None) != (std is None):
        msg = "give --mean and --std together, or --min-max alone"
        raise OptionError(msg, hint="See the examples of 'geoseg models import --help'.")
    if min_max is not None:
        low, high = min_max
        if not low < high:
            msg = f"--min-max {low:g},{high:g} is empty, expected MIN < MAX"
            raise OptionError(msg)
        return (BandScaling(offset=low, divisor=high - low),) * n_bands
    pairs = zip(_numbers("--mean", mean, n_bands), _numbers("--std", std, n_bands), strict=True)
    return tuple(BandScaling(offset=offset, divisor=divisor) for offset, divisor in pairs)


def _numbers(flag: str, texts: tuple[str, ...] | None, n_bands: int) -> list[float]:
    try:
        numbers = [float(text) for text in texts or ()]
    except ValueError as error:
        msg = f"{flag}: {error}"
        raise OptionError(msg) from error
    if len(numbers) == 1:
        return numbers * n_bands
    if len(numbers) != n_bands:
        msg = f"{flag} has {len(numbers)} numbers, --bands names {n_bands} bands"
        raise OptionError(msg)
    return numbers


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        msg = f"--facts: cannot read {path}: {error}"
        raise OptionError(msg) from error
    if not isinstance(found, dict):
        msg = f"--facts: {path} holds no JSON object"
        raise OptionError(msg)
    return found
