"""The accuracy table of the bundled model: every place mapped with ``geoseg run``."""

from __future__ import annotations

import logging
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from sample_scenes import STYLES, make_scene

from bundled_model import data
from bundled_model.classes import BUILDING, COUNT, EXACT, NAMES, UNKNOWN
from bundled_model.disturb import DISTURBANCES
from geoseg.accuracy.calibration import calibration
from geoseg.accuracy.confusion import confusion_matrix, scores
from geoseg.options import RunOptions
from geoseg.run.pipeline import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from bundled_model.data import Source

logger = logging.getLogger(__name__)

BUILDING_OR_NOT = ("building", "not building")
TILES = Path(__file__).resolve().parents[2] / "sample_tiles"
HELD_OUT_SEED = 500
LEAST_GSD_M = 0.3
"""Finer scenes are taken for this, as the model refuses them."""
STEPS = 250
NO_CONFIDENCE = 255


def nominal_transform(source: Source) -> Affine:
    """Return where a place is put: somewhere of its own in UTM zone 40, by its name."""
    number = zlib.crc32(source.name.encode())
    left, top = 200_000.0 + number % 31 * 20_000, 1_000_000.0 + number // 31 % 331 * 20_000
    return Affine(source.gsd_m, 0, left, 0, -source.gsd_m, top)


def write_place(path: Path, source: Source) -> None:
    """Write a place as a GeoTIFF with a nominal georeference."""
    _, height, width = source.rgb.shape
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", dtype="uint8", count=3, height=height, width=width,
        crs="EPSG:32640", transform=nominal_transform(source),
        tiled=True, compress="deflate", photometric="RGB",
    ) as target:  # fmt: skip
        target.write(source.rgb)
        target.write_mask(data.valid_pixels(source))


def mapped(model: Path, source: Source) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return classes and confidence (row, col) of a place, as ``geoseg run`` gives them."""
    with tempfile.TemporaryDirectory(prefix="score-") as name:
        folder = Path(name)
        write_place(folder / "scene.tif", source)
        out = folder / "out"
        gsd_m = LEAST_GSD_M if source.gsd_m < LEAST_GSD_M else None
        run(
            RunOptions(
                scene=str(folder / "scene.tif"), model=str(model), out=out, formats=(), gsd_m=gsd_m
            )
        )
        layers = []
        for layer in ("classes.tif", "confidence.tif"):
            with rasterio.open(out / layer) as raster:
                layers.append(raster.read(1))
    return layers[0], layers[1]


def score_all(model: Path, folder: Path) -> dict[str, Any]:
    """Score a model everywhere.

    Args:
        model: Its folder.
        folder: The data sets.

    Returns:
        Ratios by name of the place, ready for JSON.
    """
    dubai = [data.read_dubai_tile(folder / "dubai-landcover", number) for number in (1, 3)]
    samples = [
        data.read_labelled_pair(path, TILES / "labels" / path.name)
        for path in sorted(TILES.glob("*.tif"))
    ]
    table = _five("dubai tiles 1 and 3 (chose the weights)", dubai, model)
    for name, worse in DISTURBANCES.items():
        title = f"dubai tiles 1 and 3, {name}"
        table[title] = _five(title, [worse(source) for source in dubai], model)[title]
    banepa = data.read_hot_place(folder / "hot-oam-buildings", 3)
    table["banepa buildings, drone, 0.26 m taken for 0.3 (never seen)"] = _two(model, banepa)
    table |= _temperate(model, folder)
    table |= _five("sample scenes", samples, model)
    for given_m in (0.3, 0.5, 1.0, 1.5, 2.0):
        name = f"synthetic scenes given at {given_m} m"
        table[name] = _five(name, drawn_at(given_m), model)[name]
    return table


def _five(title: str, sources: Sequence[Source], model: Path) -> dict[str, Any]:
    """Score places one by one and added up."""
    found = {source.name: _judged(model, source) for source in sources}
    named = {f"{title}: {name}": part for name, part in found.items()} if len(found) > 1 else {}
    total = [np.sum([part[k] for part in found.values()], axis=0) for k in range(3)]
    return {name: summary(*part) for name, part in {title: total, **named}.items()}


def _temperate(model: Path, folder: Path) -> dict[str, Any]:
    """Score vegetation and water on the parts of temperate images that training never saw."""
    title = "temperate, NAIP of West Virginia and North Dakota (parts never seen)"
    sources = [
        *data.read_chesapeake(folder / "chesapeake-naip-patches", "test"),
        *data.read_north_dakota(folder / "naip-north-dakota", "test"),
    ]
    judged = [_judged(model, source) for source in sources]
    total = [np.sum([part[k] for part in judged], axis=0) for k in range(3)]
    found = summary(*total)
    # The rest of the ground is known as "none of these": its classes cannot be told apart.
    found["classes"] = {name: found["classes"][name] for name in ("vegetation", "water")}
    found["mean_iou"] = round(float(np.mean([c["iou"] for c in found["classes"].values()])), 4)
    # One class is less sure than the set that the label names.
    found["expected_calibration_error"] = None
    return {title: found}


def resolved(allowed: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the true class (row, col), -1 where nothing is known.

    Where a label is a set, a class that is in it is right; else the first of the set was.
    """
    truth = np.full(allowed.shape, -1, np.int64)
    for label in reversed(range(COUNT)):
        truth[(allowed >> label & 1) == 1] = label
    inside = (allowed >> np.minimum(classes, COUNT) & 1) == 1
    return np.where(inside, classes, truth)


def _judged(
    model: Path, source: Source
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the confusion matrix and the right and wrong pixels per confidence."""
    classes, confidence = mapped(model, source)
    truth = resolved(source.allowed, classes)
    known = (truth >= 0) & (classes < COUNT)
    matrix = confusion_matrix(classes[known].astype(np.intp), truth[known].astype(np.intp), COUNT)
    agree = classes[known] == truth[known]
    certain = confidence[known]
    right, wrong = (
        np.bincount(certain[part], minlength=NO_CONFIDENCE + 1)[: STEPS + 1]
        for part in (agree, ~agree)
    )
    logger.info("%s: mean IoU %.3f", source.name, scores(matrix).mean_iou or 0)
    return matrix, right, wrong


def summary(
    matrix: NDArray[np.int64],
    right: NDArray[np.int64],
    wrong: NDArray[np.int64],
    names: tuple[str, ...] = NAMES,
) -> dict[str, Any]:
    """Turn counts into what the card tells; classes that do not occur are left out."""
    found = scores(matrix)
    calibrated = calibration(right, wrong)
    kept = [k for k in range(len(names)) if matrix[:, k].any()]
    ious = [found.classes[k].iou or 0.0 for k in kept]
    return {
        "classes": {
            names[k]: {
                "iou": _short(found.classes[k].iou),
                "f1": _short(found.classes[k].f1),
                "precision": _short(found.classes[k].precision),
                "recall": _short(found.classes[k].recall),
                "pixels": int(matrix[:, k].sum()),
            }
            for k in kept
        },
        "mean_iou": round(float(np.mean(ious)), 4) if ious else 0.0,
        "overall_accuracy": _short(found.overall),
        "expected_calibration_error": None if calibrated is None else _short(
            calibrated.expected_error
        ),
        "pixels": int(matrix.sum()),
    }  # fmt: skip


def building_matrix(truth: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count pixels by building or not, where that is known; map down, building first."""
    known = (truth != UNKNOWN) & (classes < COUNT)
    is_true = (truth[known] != EXACT[BUILDING]).astype(np.intp)
    is_found = (classes[known] != BUILDING).astype(np.intp)
    return confusion_matrix(is_found, is_true, len(BUILDING_OR_NOT))


def _two(model: Path, source: Source) -> dict[str, Any]:
    classes, _ = mapped(model, source)
    nothing = np.zeros(STEPS + 1, np.int64)
    matrix = building_matrix(source.allowed, classes)
    found = summary(matrix, nothing, nothing, BUILDING_OR_NOT)
    logger.info("%s: %s", source.name, found["classes"])
    return found


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def drawn_at(gsd_m: float, side_m: float = 240.0) -> list[Source]:
    """Draw scenes of seeds that neither training nor the sample scenes use."""
    side = round(side_m / gsd_m)
    table = np.zeros(256, dtype=np.uint8)
    table[: len(EXACT)] = EXACT
    scenes = []
    for seed, style in enumerate(STYLES, start=HELD_OUT_SEED):
        rgb, labels, _ = make_scene(seed, side, side, gsd_m, style)
        scenes.append(
            data.Source(
                name=style, black_is_nodata=True, rgb=rgb, allowed=table[labels], gsd_m=gsd_m
            )
        )
    return scenes
