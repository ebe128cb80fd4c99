"""``geoseg models``: list, show and import models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    number_pair,
    split_names,
    verbosity_options,
)
from geoseg.errors import OptionError
from geoseg.options import DEFAULT_MODEL

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard

__all__ = ["models_group"]

_MIB = 1 << 20
# What these commands print is what they are for, so there is no --quiet.
_verbose_option = click.option("-v", "--verbose", count=True, help="-vv also shows tracebacks.")


@click.group(
    epilog="\b\nExamples:\n  geoseg models list\n  geoseg models show aerial-landcover\n"
    "  geoseg models import --help"
)
def models_group() -> None:
    """List, show and import models. A model is a folder: a card and its weights."""


@models_group.command(
    "list", epilog="\b\nExamples:\n  geoseg models list\n  geoseg models list --json | jq .models"
)
@json_option
@_verbose_option
def list_command(*, as_json: bool, verbose: int) -> None:
    """List the models that ship with geoseg; --model takes their names and any model folder."""
    configure_logging(verbose=verbose, quiet=False)
    from geoseg.cli.table import echo_table  # noqa: PLC0415 - with the cards
    from geoseg.model.registry import bundled_models, find_model  # noqa: PLC0415

    with errors_as_events(as_json=as_json):
        cards = [find_model(name) for name in bundled_models()]
    if as_json:
        models = [_summary(folder, card, DEFAULT_MODEL) for folder, card in cards]
        echo_json({"event": "models", "models": models})
        return
    header = ["name", "classes", "bands", "pixel size", "weights", "title"]
    rows = [
        [
            card.name + (" *" if card.name == DEFAULT_MODEL else ""),
            str(len(card.legend)),
            ",".join(card.bands),
            _gsd_text(card),
            f"{card.weights_bytes / _MIB:.1f} MiB",
            card.title,
        ]
        for _, card in cards
    ]
    echo_table(header, rows)
    click.echo("\n* used by default; 'geoseg models show NAME' tells more")


@models_group.command(
    "show",
    epilog="\b\nExamples:\n  geoseg models show aerial-landcover\n  geoseg models show ./my_model\n"
    "  geoseg models show ./my_model --json > item.json",
)
@click.argument("model", metavar="NAME|DIR")
@click.option("--json", "as_json", is_flag=True, help="Print the card, a STAC item, as JSON.")
@_verbose_option
def show_command(*, model: str, as_json: bool, verbose: int) -> None:
    """Show a model: what it maps, on what imagery, how well, and under which licence."""
    configure_logging(verbose=verbose, quiet=False)
    from geoseg.model.registry import find_model  # noqa: PLC0415 - not for --help

    with errors_as_events(as_json=as_json):
        folder, card = find_model(model)
    if as_json:
        echo_json(card.to_item())
        return
    _show_card(folder, card)


def _show_card(folder: Path, card: ModelCard) -> None:
    from geoseg.cli.table import echo_pairs, echo_table  # noqa: PLC0415 - with the card

    network = card.network
    low, high = card.value_range
    click.echo(f"{card.name}: {card.title}\n")
    if card.description:
        click.echo(click.wrap_text(card.description, width=88, preserve_paragraphs=True) + "\n")
    rows = [
        [str(c.class_id), click.style("  ", bg=c.rgb) + f" {c.colour}", c.name, c.description]
        for c in card.legend
    ]
    echo_table(["id", "colour", "class", "what"], rows)
    click.echo()
    bf16 = card.bf16_agreement
    echo_pairs(
        [
            ("bands", f"{', '.join(card.bands)}; values {low:g} to {high:g}"),
            ("pixel size", _gsd_text(card)),
            ("network", f"{network.architecture}, encoder {network.encoder}"),
            ("weights", f"{card.n_parameters:,} in {card.weights_bytes / _MIB:.1f} MiB"),
            ("halo", f"{card.halo_px} px, stitch {card.stitch}, stride {card.stride_px} px"),
            *_halo_lines(card.facts),
            ("bf16", "not measured" if bf16 is None else f"same class on {100 * bf16:.3f} %"),
            ("programs", _programs_text(folder, card)),
            ("licence", card.license),
            ("folder", str(folder)),
        ]
    )
    _show_accuracy(card.facts.get("accuracy"))
    for title in ("training_data", "training", "limits"):
        _show_fact(title.replace("_", " "), card.facts.get(title))


def _programs_text(folder: Path, card: ModelCard) -> str:
    """Return which programs run without torch, or why there is none."""
    from geoseg.model.card import NO_PROGRAMS  # noqa: PLC0415 - with the card
    from geoseg.model.device import missing_program  # noqa: PLC0415 - the same

    reason = missing_program(card, folder)
    if reason:
        return f"none, runs with torch: {card.facts.get(NO_PROGRAMS) or reason}"
    return ", ".join(p.kind for p in card.programs) + "; runs with OpenVINO and ONNX Runtime"


def _halo_lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the halo curve: which share of pixels differs at which halo."""
    curve = facts.get("halo_curve") or []
    text = ", ".join(f"{p['halo_px']}: {100 * p['differing_share']:.3g} %" for p in curve)
    where = facts.get("halo_measured_on")
    return [("", f"pixels that differ by halo ({where}): {text}")] if text else []


def _show_accuracy(accuracy: object) -> None:
    """Print one row per place where the scores have the usual form, else as they are."""
    from geoseg.cli.table import echo_table  # noqa: PLC0415 - with the card

    if not isinstance(accuracy, Mapping) or not accuracy:
        return
    scored = {
        place: entry
        for place, entry in accuracy.items()
        if isinstance(entry, Mapping) and isinstance(entry.get("mean_iou"), int | float)
    }
    if scored:
        click.echo("\naccuracy")
        rows = [
            [place, f"{entry['mean_iou']:.2f}", _class_ious(entry.get("classes"))]
            for place, entry in scored.items()
        ]
        echo_table(["place", "mean IoU", "IoU by class"], rows, indent=2)
    rest = {k: v for k, v in accuracy.items() if k not in scored}
    _show_fact("accuracy" if not scored else "further accuracy", rest or None)


def _class_ious(classes: object) -> str:
    if not isinstance(classes, Mapping):
        return ""
    ious = {
        name: entry.get("iou") if isinstance(entry, Mapping) else entry
        for name, entry in classes.items()
    }
    return ", ".join(f"{n} {v:.2f}" for n, v in ious.items() if isinstance(v, int | float))


def _show_fact(title: str, value: object) -> None:
    """Print a JSON value of the card under its title, one line per entry."""
    if value is None:
        return
    click.echo(f"\n{title}")
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if isinstance(entry, Mapping):
            parts = [f"{key.replace('_', ' ')}: {_plain(item)}" for key, item in entry.items()]
            click.echo("  - " + "\n    ".join(parts))
        else:
            click.echo(f"  - {_plain(entry)}")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _gsd_text(card: ModelCard) -> str:
    if card.gsd_m is None:
        return "any"
    if card.gsd_range_m is None:
        return f"{card.gsd_m:g} m"
    return f"{card.gsd_range_m[0]:g} to {card.gsd_range_m[1]:g} m (works at {card.gsd_m:g} m)"


def _summary(folder: Path, card: ModelCard, default: str) -> dict[str, Any]:
    return {
        "name": card.name,
        "title": card.title,
        "default": card.name == default,
        "folder": str(folder),
        "classes": [{"id": c.class_id, "name": c.name, "colour": c.colour} for c in card.legend],
        "bands": list(card.bands),
        "gsd_m": card.gsd_m,
        "gsd_range_m": card.gsd_range_m,
        "weights_bytes": card.weights_bytes,
        "license": card.license,
    }


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


@models_group.command("import", epilog=_IMPORT_EPILOG)
@click.argument("smp_folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
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
