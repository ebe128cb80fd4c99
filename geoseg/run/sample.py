"""Draw the reference points that tell how accurate a map is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.allocation import allocate, needed_points, pixel_ranks
from geoseg.accuracy.confusion import require_few
from geoseg.errors import OutputError, SceneError
from geoseg.options import SampleOptions
from geoseg.raster.class_raster import ClassRaster, open_class_raster
from geoseg.raster.read import SceneReader
from geoseg.run.judged_map import class_counts, map_file, strips
from geoseg.vector.reference import write_points

__all__ = ["SampleResult", "draw_sample"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What ``geoseg.sample`` returns."""

    file: Path
    """The points."""
    class_ids: tuple[int, ...]
    """Classes of the map."""
    class_names: tuple[str, ...]
    """Their names."""
    mapped_px: tuple[int, ...]
    """Their pixels."""
    points: tuple[int, ...]
    """Points drawn in each."""


def draw_sample(options: SampleOptions) -> SampleResult:
    """Draw stratified random points and write them, in random order, to be labelled.

    Raises:
        GeosegError: In one line what is wrong; nothing is half-written.
    """
    if options.out.exists() and not options.overwrite:
        msg = f"{options.out} is there already"
        raise OutputError(msg, hint="Labels may be in it. Add --overwrite to replace it.")
    if not options.out.absolute().parent.is_dir():
        msg = f"cannot write {options.out}: there is no folder {options.out.parent}"
        raise OutputError(msg, hint="Make the folder first, or choose another --out.")
    raster = open_class_raster(map_file(options.map), options.band)
    counts = class_counts(raster)
    if not counts:
        msg = f"{raster.scene.label} holds no class, only nodata"
        raise SceneError(msg)
    require_few(len(counts))
    ids = sorted(counts)
    strata_px = np.array([counts[i] for i in ids], np.int64)
    total = options.points or needed_points(
        strata_px, options.expected_accuracy, options.standard_error
    )
    least = options.least
    if options.points is None:
        total = max(total, int(np.minimum(strata_px, least).sum()))
    points = allocate(strata_px, total, least)
    ranks = pixel_ranks(strata_px, points, options.seed)
    places, strata = _located(raster, ids, ranks)
    # By class, an interpreter would soon know what the next one is.
    order = np.random.default_rng((options.seed, len(ids))).permutation(len(places))
    places, strata = places[order], strata[order]
    columns: dict[str, NDArray[Any]] = {
        "point_id": np.arange(1, len(places) + 1),
        "stratum": strata,
        "reference": np.full(len(places), None, dtype=object),
        "remark": np.full(len(places), None, dtype=object),
    }
    write_points(options.out, raster.scene.grid, places, columns)
    names = dict(raster.names)
    return SampleResult(
        file=options.out,
        class_ids=tuple(ids),
        class_names=tuple(names.get(i, str(i)) for i in ids),
        mapped_px=tuple(strata_px.tolist()),
        points=tuple(points.tolist()),
    )


def _located(
    raster: ClassRaster, ids: list[int], ranks: tuple[NDArray[np.int64], ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (row, col) and class of the pixels with given ranks in their class, in order."""
    places, strata = [], []
    seen = dict.fromkeys(ids, 0)
    with SceneReader(raster.scene, (raster.band,), "any", as_stored=True) as reader:
        for window in strips(raster.scene.grid):
            box = reader.read(window)
            for class_id, wanted in zip(ids, ranks, strict=True):
                inside = np.flatnonzero(box.valid & (box.values[0] == class_id))
                first = seen[class_id]
                seen[class_id] += len(inside)
                low, high = np.searchsorted(wanted, [first, seen[class_id]])
                found = inside[wanted[low:high] - first]
                row, col = np.divmod(found, window.width)
                places.append(np.stack([row + window.row_off, col + window.col_off], axis=1))
                strata.append(np.full(len(found), class_id, np.int64))
    found, its_class = np.concatenate(places), np.concatenate(strata)
    in_order = np.lexsort((found[:, 1], found[:, 0]))
    return found[in_order], its_class[in_order]
