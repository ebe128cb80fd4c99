"""``geoseg models``: list, show and import models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.model_import import import_command
from geoseg.cli.options import (
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
)
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


models_group.add_command(import_command, "import")
