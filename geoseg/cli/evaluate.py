"""``geoseg evaluate``: how right a map is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import (
    FOLDER,
    configure_logging,
    echo_json,
    errors_as_events,
    json_option,
    verbosity_options,
)
from geoseg.cli.table import echo_pairs, echo_table
from geoseg.options import EvaluateOptions

if TYPE_CHECKING:
    from geoseg.accuracy.evaluation import Evaluation
    from geoseg.accuracy.stratified import Estimate

__all__ = ["evaluate_command"]

_EPILOG = """
\b
Examples:
  geoseg evaluate town_geoseg --reference town_labels.tif
  geoseg evaluate classes.tif --reference parcels.gpkg --column land_use \\
      --match "forest=vegetation,meadow=vegetation,road=road,other="
  geoseg evaluate my_map --reference buildings.gpkg --background other
  geoseg evaluate town_geoseg --reference points.gpkg --out accuracy
  geoseg evaluate scene.tif --model my_model --reference labels.tif
  geoseg evaluate a_geoseg b_geoseg --reference a.tif --reference b.tif --json

\b
A reference raster or polygons: every pixel with a reference is compared.
Points ('geoseg sample' draws them): accuracy and class areas of the whole map with
95 % confidence intervals, stratified by the map's classes (Olofsson et al. 2014).
"""


@click.command(epilog=_EPILOG)
@click.argument("maps", metavar="MAP...", nargs=-1, required=True)
@click.option(
    "--reference", "references", multiple=True, required=True, metavar="FILE",
    help="Class raster, polygons or points that say what is so. One for all maps, or repeated, "
    "one for each.",
)  # fmt: skip
@click.option("--model", metavar="NAME|DIR",
              help="MAPs are scenes: map them with this model first, and judge that.")  # fmt: skip
@click.option(
    "--out", type=FOLDER, metavar="DIR",
    help="Folder for evaluation.json and report.html. [default: the table alone]",
)  # fmt: skip
@click.option("--column", metavar="NAME",
              help="Attribute that holds the class. [default: a usual name]")  # fmt: skip
@click.option(
    "--match", metavar="VALUE=CLASS,...",
    help="What values of the reference stand for, where neither number nor name is the map's; "
    "VALUE= leaves one out. A pair with a comma goes in double quotes.",
)  # fmt: skip
@click.option(
    "--background", metavar="CLASS",
    help="Ground that no polygon of the reference covers is this class, in a class raster its "
    "nodata (255 and what --match leaves out stay unknown).",
)  # fmt: skip
@click.option("--band", type=int, metavar="N", help="Band of the classes. [default: the only one]")
@click.option("--reference-band", type=int, metavar="N",
              help="Band of the classes in the reference. [default: the only one]")  # fmt: skip
@click.option(
    "--align", type=click.Choice(["nearest"]),
    help="Take the nearest pixel of a reference raster on another grid; else it is refused.",
)  # fmt: skip
@click.option(
    "--confidence", metavar="FILE",
    help="Confidence raster on the map's grid. [default: confidence.tif beside geoseg's map]",
)  # fmt: skip
@click.option("--boundary-px", type=click.IntRange(1, 32), default=2, show_default=True,
              metavar="N", help="How far apart two borders may be to count as one.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace an earlier evaluation.")
@json_option
@verbosity_options
def evaluate_command(
    *,
    as_json: bool,
    verbose: int,
    quiet: bool,
    **fields: Any,  # noqa: ANN401 - click hands over the fields of EvaluateOptions by name
) -> None:
    """Compare MAPs with what is known of the ground.

    MAP is a class raster, or a folder that 'geoseg run' made, whose confidence is then judged
    too.
    """  # fmt: skip
    configure_logging(verbose=verbose, quiet=quiet)
    with errors_as_events(as_json=as_json):
        options = EvaluateOptions(**fields)
        from geoseg.run.evaluate import evaluate  # noqa: PLC0415 - rasterio

        result = evaluate(options)
        if as_json:
            echo_json({"event": "evaluation", **result.evaluation.as_json()})
        elif not quiet:
            _show(result.evaluation)
            for file in result.files.values():
                click.echo(file)


def _show(found: Evaluation) -> None:
    unit = "points" if found.kind == "points" else "pixels"
    counted = " as counted" if found.kind == "points" else ""
    head = [f"class{counted}", "IoU", "F1", "precision", "recall"]
    rows = []
    for k, name in enumerate(found.class_names):
        c = found.scores.classes[k]
        row = [name, _number(c.iou), _number(c.f1), _number(c.precision), _number(c.recall)]
        rows.append([*row, _number(found.boundary[k])] if found.boundary else row)
    echo_table([*head, "boundary F"] if found.boundary else head, rows)
    click.echo()
    # Of points, rare classes have more than their ground would have: not the map's accuracy.
    counted += ", see below for the map" if counted else ""
    pairs = [
        ("compared", f"{found.compared:,} {unit}"),
        ("overall", _number(found.scores.overall) + counted),
        ("mean IoU", _number(found.scores.mean_iou) + counted),
    ]
    if found.left_out:
        pairs.append(("left out", f"{found.left_out:,} points without label, class or pixel"))
    if found.calibration is not None:
        calibrated = found.calibration
        text = (
            f"{calibrated.mean_confidence:.3f} on average, right {calibrated.accuracy:.3f}; "
            f"expected calibration error {calibrated.expected_error:.3f}"
        )
        pairs.append(("confidence", text))
    echo_pairs(pairs)
    if found.stratified is not None:
        _show_adjusted(found)


def _show_adjusted(found: Evaluation) -> None:
    """Show what the points say of the whole map."""
    accuracy = found.stratified
    if accuracy is None:
        return
    hectares = None if found.pixel_m2 is None else sum(found.strata_px) * found.pixel_m2 / 1e4
    click.echo("\nThe whole map, estimated from the points (± is the 95 % confidence interval)")
    head = ["class", "mapped", "estimated", "user's", "producer's", "IoU"]
    rows = []
    for k, name in enumerate(found.class_names):
        share = accuracy.area_share[k]
        row = [
            name, f"{100 * found.strata_px[k] / max(sum(found.strata_px), 1):.2f} %",
            f"{100 * share.value:.2f} ± {100 * share.margin:.2f} %",
            _estimate(accuracy.users[k]), _estimate(accuracy.producers[k]),
            _estimate(accuracy.iou[k]),
        ]  # fmt: skip
        if hectares is not None:
            row.append(f"{share.value * hectares:,.1f} ± {share.margin * hectares:,.1f} ha")
        rows.append(row)
    echo_table([*head, "area"] if hectares is not None else head, rows)
    click.echo(
        f"overall accuracy {_estimate(accuracy.overall)}, mean IoU {_number(accuracy.mean_iou)}"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _estimate(value: Estimate | None) -> str:
    return "-" if value is None else f"{value.value:.3f} ± {value.margin:.3f}"
