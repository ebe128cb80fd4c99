"""``geoseg train``: a model of your own land."""

from __future__ import annotations

from typing import Any

import click

from geoseg.cli.options import (
    FOLDER,
    Command,
    configure_logging,
    errors_as_events,
    json_option,
    split_names,
    verbosity_options,
    with_options,
)
from geoseg.options import ARCHITECTURES, DEFAULT_STEPS, TrainOptions

__all__ = ["train_command"]

_EPILOG = """
\b
Examples:
  geoseg train scene.tif --labels polygons.gpkg --column class --out my_model
  geoseg train scene.tif --labels classes.tif --out my_model --minutes 10
  geoseg train folder --out my_model              images/x.tif with labels/x.gpkg, or
                                                  x.tif beside x_labels.tif
  geoseg train pairs.csv --out my_model --arch segformer --encoder mit_b0
  geoseg train scene.tif --labels new.gpkg --from aerial-landcover --out mine
  geoseg run other_scene.tif --model my_model

\b
A list (.csv, or .json with a list of objects) has the columns image and labels, and
if wanted split (train, validation, test), weight, match, column, gsd, background.

\b
Unlabelled ground is ignored, unless --background names its class. The labelled ground
is cut into blocks; some train, some choose the best weights, some test, and none is a
neighbour's copy of another.
Stopped (Ctrl-C, kill, power): repeat the same command, it goes on to the same weights
(on a CPU to the bit).
The model folder holds weights, card, report.html and training.json.
"""


def _shares(
    _context: click.Context, _parameter: click.Parameter, value: str
) -> tuple[float, float, float]:
    """Read ``70,15,15``; click callback."""
    try:
        first, second, third = (float(part) / 100 for part in value.split(","))
    except ValueError as error:
        msg = f"{value!r} is not three shares such as 70,15,15"
        raise click.BadParameter(msg) from error
    return first, second, third


def _channels(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Read ``96,64,32,16``; click callback."""
    if value is None:
        return None
    try:
        return tuple(int(part) for part in value.split(","))
    except ValueError as error:
        msg = f"{value!r} is no list of channels such as 96,64,32,16"
        raise click.BadParameter(msg) from error


_DATA = (
    click.option(
        "--labels", multiple=True, metavar="FILE",
        help="What is known of a scene: a class raster, or polygons (GeoPackage, GeoJSON, "
        "Shapefile, GeoParquet). Once for each scene.",
    ),
    click.option("--column", metavar="NAME",
                 help="Attribute that holds the class. [default: a usual name]"),
    click.option(
        "--match", metavar="VALUE=CLASS,...",
        help="What values of the labels stand for; VALUE=A|B is one of the two (with --loss bce "
        "both), VALUE= is left out, VALUE=- with bce is none of the classes. A pair with a "
        "comma goes in double quotes.",
    ),
    click.option(
        "--background", metavar="CLASS",
        help="Ground that no polygon covers is this class, in a class raster its nodata (255 and "
        "what --match leaves out stay unknown); with --loss bce - for none of the classes.",
    ),
    click.option(
        "--classes", metavar="ID:NAME:COLOUR,...|FILE",
        help='The classes, e.g. "0:field:#d9c9a3,1:wood:#4e8f3a", or a JSON or CSV file. '
        "[default: the labels' own, with --from the model's]",
    ),
    click.option("--align", type=click.Choice(["nearest"]),
                 help="Take the nearest pixel of label rasters on another grid; else refused."),
    click.option("--bands", callback=split_names, metavar="A,B,C",
                 help="Scene bands to train on, by number or name. [default: all but alpha; three "
                 "without names are red, green, blue]"),
    click.option("--nodata", type=float, metavar="VALUE",
                 help="Pixels of this value in all bands are nodata, besides what files say."),
    click.option("--gsd", "gsd_m", type=float, metavar="M",
                 help="Pixel size in metres that the model works at; scenes are brought to it. "
                 "[default: that of the scenes]"),
    click.option("--split", callback=_shares, default="70,15,15", show_default=True,
                 metavar="A,B,C", help="Per cent of ground for training, validation and test."),
    click.option("--block-px", type=click.IntRange(128), metavar="N",
                 help="Side of the blocks of ground. [default: 1024 to 128, by how much there "
                 "is]"),
)  # fmt: skip
_NETWORK = (
    click.option("--from", "start", metavar="NAME|DIR",
                 help="Start from a model's weights; network, bands and pixel size are its own."),
    click.option("--arch", type=click.Choice(ARCHITECTURES), default="unet", show_default=True,
                 help="Architecture."),
    click.option("--encoder", default="tu-resnet10t", show_default=True, metavar="NAME",
                 help="Encoder that smp or timm knows, e.g. resnet34, mit_b0, tu-hrnet_w18."),
    click.option("--depth", "encoder_depth", type=click.IntRange(3, 5), metavar="N",
                 help="How often the encoder halves the image. [default: 5; 4 for the default "
                 "network]"),
    click.option("--decoder", "decoder_channels", callback=_channels, metavar="A,B,...",
                 help="Channels of the decoder of a unet, unetplusplus or manet, one for each "
                 "halving. [default: 256,128,64,32,16; 96,64,32,16 for the default network]"),
)  # fmt: skip
_FIT = (
    click.option("--loss", default="ce+0.5*dice", show_default=True, metavar="A+F*B",
                 help="Terms with factors: ce, dice, focal, lovasz; or bce for classes that "
                 "overlap."),
    click.option("--class-weights", type=click.Choice(["none", "balanced"]), default="none",
                 show_default=True, help="Let rare classes weigh more in cross-entropy."),
    click.option("--decide", type=click.Choice(["likeliest", "iou"]), default="likeliest",
                 show_default=True,
                 help="Give a pixel its likeliest class; or shift the scores so that the mean IoU "
                 "on the validation ground is highest, which finds rare classes more often."),
    click.option("--steps", type=click.IntRange(1), metavar="N",
                 help=f"Batches. [default: {DEFAULT_STEPS}, or what --minutes allow]"),
    click.option("--minutes", type=float, metavar="M",
                 help="As many batches as take about so long on this machine."),
    click.option("--batch-size", type=click.IntRange(1), default=8, show_default=True,
                 metavar="N", help="Crops per batch."),
    click.option("--chip-px", type=click.IntRange(32), default=256, show_default=True,
                 metavar="N", help="Side of a crop."),
    click.option("--rate", "learning_rate", type=float, default=2e-3, show_default=True,
                 metavar="R", help="Highest learning rate."),
    click.option("--weight-decay", type=float, default=0.02, show_default=True, metavar="D",
                 help="Weight decay of AdamW."),
    click.option("--scale", type=float, default=1.4, show_default=True, metavar="F",
                 help="Crops are shrunk and grown by up to this factor."),
    click.option("--strength", type=float, default=1.0, show_default=True, metavar="S",
                 help="How much light, haze, blur and noise vary; 0 for not at all."),
    click.option("--patience", type=click.IntRange(0), default=8, show_default=True,
                 metavar="N", help="End after so many looks without progress; 0 for never."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N",
                 help="Of split, crops and weights."),
    click.option("--device", default="auto", show_default=True, metavar="NAME",
                 help="auto, cpu, cuda, cuda:N or mps."),
    click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto",
                 show_default=True, help="bf16 is mixed precision."),
    click.option("--threads", type=click.IntRange(1), metavar="N",
                 help="Threads of the CPU. [default: one per core]"),
)  # fmt: skip
_CARD = (
    click.option("--name", metavar="NAME", help="Name in the card. [default: the folder's]"),
    click.option("--title", metavar="TEXT", help="One line for people."),
    click.option("--license", metavar="SPDX", default="other", show_default=True,
                 help="Licence of the weights."),
    click.option("--overwrite", is_flag=True,
                 help="Replace a model folder, or an unfinished training with other settings."),
)  # fmt: skip


def _train_options(command: Command) -> Command:
    """Add the fields of ``TrainOptions`` but for ``data`` and ``out``."""
    return with_options(command, (*_DATA, *_NETWORK, *_FIT, *_CARD))


@click.command(epilog=_EPILOG)
@click.argument("data", metavar="SCENE...|FOLDER|LIST", nargs=-1, required=True)
@click.option("--out", type=FOLDER, required=True, metavar="DIR",
              help="Model folder to make.")  # fmt: skip
@_train_options
@json_option
@verbosity_options
def train_command(
    *,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of TrainOptions by name
) -> None:
    """Train a model on labelled scenes, for 'geoseg run --model'."""
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = TrainOptions(**fields)
        from geoseg.cli.progress import listener  # noqa: PLC0415 - not for --help
        from geoseg.run.train import train  # noqa: PLC0415 - rasterio

        with listener(as_json=as_json, quiet=quiet) as progress:
            train(options, progress)
