"""Maps against what is known of the ground: strip by strip, in bounded memory."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.boundary import boundary_counts, boundary_reach_px
from geoseg.accuracy.evaluation import Evaluation, Tally
from geoseg.accuracy.matching import (
    HeldValues,
    Matching,
    parse_match,
    unheld_warning,
    with_background,
)
from geoseg.accuracy.report_page import report_page
from geoseg.confidence import NO_CONFIDENCE
from geoseg.errors import MismatchError, OptionError, OutputError, SceneError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.options import EvaluateOptions, RunOptions
from geoseg.raster.aligned import ClassPixels, ReadClasses, aligned_reader, burnt, is_inside
from geoseg.raster.class_raster import (
    ClassRaster,
    ConfidenceRaster,
    open_class_raster,
    stored_confidence,
)
from geoseg.raster.read import SceneReader
from geoseg.run.judged_map import JudgedMap, open_judged, strips
from geoseg.run.pipeline import run
from geoseg.run.store import write_atomically
from geoseg.vector.area import pixel_areas
from geoseg.vector.reference import VECTOR_SUFFIXES, ReferenceShapes, read_reference_shapes

__all__ = ["EvaluateResult", "evaluate"]

_log = logging.getLogger(__name__)

_SAME_AREA: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult:
    """What ``geoseg.evaluate`` returns."""

    evaluation: Evaluation
    """All numbers."""
    files: dict[str, Path]
    """``json`` and ``report``, where a folder was given."""


def evaluate(options: EvaluateOptions) -> EvaluateResult:
    """Compare maps with references and write the report.

    Raises:
        GeosegError: In one line what is wrong and what to do; nothing is half-written.
    """
    _refuse_to_overwrite(options)
    parse_match(options.match)  # a slip is told before a model maps for hours
    references = options.references
    if len(references) == 1:
        references = references * len(options.maps)
    if len(references) != len(options.maps):
        msg = f"{len(options.maps)} maps and {len(references)} references"
        raise OptionError(msg, hint="Give one reference for all maps, or one for each.")
    with _maps(options) as maps:
        found = _evaluation(options, maps, references)
    return EvaluateResult(evaluation=found, files=_write(found, options))


@contextmanager
def _maps(options: EvaluateOptions) -> Iterator[tuple[str, ...]]:
    """Yield the maps; with a model, those that it makes of the scenes."""
    if options.model is None:
        yield options.maps
        return
    with tempfile.TemporaryDirectory(prefix="geoseg-evaluate-") as folder:
        maps = []
        for number, scene in enumerate(options.maps):
            place = Path(folder) / str(number)
            run(RunOptions(scene=scene, model=options.model, out=place, formats=()))
            maps.append(str(place))
        yield tuple(maps)


def _evaluation(
    options: EvaluateOptions, maps: tuple[str, ...], references: tuple[str, ...]
) -> Evaluation:
    """Compare each map with its reference."""
    tally, names, strata = Tally(), dict[int, str](), dict[int, int]()
    used: dict[str, set[int]] = {}
    n_points: dict[str, int] = {}
    areas_px: list[tuple[float, int]] = []
    kinds, held = set(), HeldValues()
    is_elsewhere = options.background is not None
    for address, reference in zip(maps, references, strict=True):
        judged = open_judged(address, options.band, options.confidence)
        names = _merged(names, judged)
        shapes = _shapes(reference, judged.grid, options)
        is_points = shapes is not None and shapes.points is not None
        kinds.add(is_points)
        is_elsewhere &= shapes is not None and not shapes.touching_window(judged.grid.window)
        if len(kinds) > 1:
            msg = "some references are points and some are not, which have no common measure"
            raise OptionError(msg, hint="Evaluate them one by one.")
        if shapes is not None and shapes.points is not None:
            counts = judged.counts
            strata = {i: strata.get(i, 0) + counts.get(i, 0) for i in strata | counts}
            used.setdefault(reference, set()).update(_add_points(judged, shapes, tally, options))
            held |= HeldValues(texts=frozenset(shapes.values))
            n_points[reference] = len(shapes.values)
            areas_px.append((_pixel_m2(judged.grid), sum(counts.values())))
        else:
            held |= _add_pixels(judged, reference, shapes, tally, options)
    is_points = kinds == {True}
    # With a background, polygons that lie elsewhere would judge the whole map.
    if tally.is_empty or is_elsewhere:
        what = "point with a label lies on the maps" if is_points else "pixel has a reference"
        msg = f"there is nothing to compare: no {what}"
        raise MismatchError(msg, hint="Do they lie in one place? 'geoseg info' tells where.")
    warning = unheld_warning(parse_match(options.match), held, "the reference")
    if warning is not None:
        _log.warning(warning)
    return tally.evaluation(
        names,
        boundary_px=None if is_points else options.boundary_px,
        strata_px=strata if is_points else None,
        pixel_m2=_mean_area(areas_px),
        left_out=sum(n_points.values()) - sum(map(len, used.values())),
    )


def _merged(names: dict[int, str], judged: JudgedMap) -> dict[int, str]:
    """Return the names of all maps together.

    Raises:
        MismatchError: One number has two names.
    """
    for class_id, name in judged.raster.names:
        known = names.get(class_id, name)
        if known != name:
            label = judged.raster.scene.label
            msg = f"class {class_id} is {name!r} in {label} and {known!r} in the maps before"
            raise MismatchError(msg, hint="Evaluate maps of different legends one by one.")
    return names | dict(judged.raster.names)


def _shapes(reference: str, grid: PixelGrid, options: EvaluateOptions) -> ReferenceShapes | None:
    """Return polygons or points; None for a raster.

    Raises:
        OptionError: They cannot be read, or are points and the ground between has a class.
    """
    if not reference.lower().endswith(VECTOR_SUFFIXES):
        return None
    found = read_reference_shapes(reference, grid, options.column)
    if found.points is not None and options.background is not None:
        msg = f"--background goes with polygons and class rasters, {reference} holds points"
        raise OptionError(msg, hint="Leave it out.")
    return found


def _matching(
    judged: JudgedMap,
    options: EvaluateOptions,
    reference: ClassRaster | None = None,
    background_value: int | None = None,
) -> Matching:
    """Return the matching; numbers are their own names where the map has none."""
    names = dict(reference.names) if reference else {}
    told = parse_match(options.match)
    return Matching(
        names=dict(judged.raster.names),
        others=lambda: judged.counts,
        told=with_background(told, names, background_value, options.background),
        reference_names=names,
        any_number=not judged.raster.names,
    )


def _background(matching: Matching, options: EvaluateOptions) -> int | None:
    """Return the class of ground that no label covers; None where it is unknown.

    Raises:
        MismatchError: The map has no such class.
    """
    text = options.background
    return None if text is None else matching.named(text.strip(), "--background")


def _add_pixels(
    judged: JudgedMap,
    reference: str,
    shapes: ReferenceShapes | None,
    tally: Tally,
    options: EvaluateOptions,
) -> HeldValues:
    """Compare every pixel that has a reference; return what the reference holds."""
    grid = judged.grid
    reach = boundary_reach_px(options.boundary_px)
    with ExitStack() as stack:
        read_map = stack.enter_context(aligned_reader(judged.raster, grid, resample=False))
        read_reference, held = stack.enter_context(_reference(judged, reference, shapes, options))
        read_confidence = stack.enter_context(_confidence(judged.confidence))
        for strip in strips(grid):
            wide = Window(strip.row_off - reach, 0, strip.height + 2 * reach, grid.width)
            wide = wide.intersect(grid.window)
            mapped, known = read_map(wide), read_reference(wide)
            both = mapped.valid & known.valid
            inner = strip.within(wide)
            chosen = both[inner]
            confidence = read_confidence(strip)
            tally.add_pairs(
                mapped.values[inner][chosen],
                known.values[inner][chosen],
                None if confidence is None else confidence[chosen],
            )
            margin = strip.row_off - wide.row_off, wide.row_end - strip.row_end
            tally.add_borders(
                boundary_counts(mapped.values, known.values, both, options.boundary_px, margin)
            )
    return held()


@contextmanager
def _reference(
    judged: JudgedMap, reference: str, shapes: ReferenceShapes | None, options: EvaluateOptions
) -> Iterator[tuple[ReadClasses, Callable[[], HeldValues]]]:
    """Yield a function that reads the reference as class ids of the map.

    Another one beside it tells what the reference holds; of a raster, as far as it was read.
    """
    if shapes is not None:
        matching = _matching(judged, options)
        rest = _background(matching, options)
        ids = [matching.class_id(value) if value else None for value in shapes.values]
        held = HeldValues(texts=frozenset(shapes.values))
        yield lambda window: _burnt(shapes, [rest, *ids], window), lambda: held
        return
    raster = open_class_raster(reference, options.reference_band, flag="--reference-band")
    seen = set(raster.told_values)
    value = None if options.background is None else raster.unlabelled_value
    if value is not None:
        raster = raster.with_nodata_as_value()
    elif options.background is not None:
        _log.warning("%s: no nodata from 0 to 254, so none of it is the background", reference)
    matching = _matching(judged, options, raster, value)
    _background(matching, options)  # a class that is none is told by the option's own name
    is_all = is_inside(raster.scene.grid, judged.grid)
    resample = options.align == "nearest"
    with aligned_reader(raster, judged.grid, resample=resample) as read:

        def matched(window: Window) -> ClassPixels:
            pixels = read(window)
            ids, known, numbers = matching.class_ids(pixels.values, pixels.valid)
            seen.update(map(str, numbers))
            return ClassPixels(ids, known)

        yield matched, lambda: HeldValues(texts=frozenset(seen), is_all=is_all)


def _burnt(shapes: ReferenceShapes, ids: list[int | None], window: Window) -> ClassPixels:
    """Return the classes of a window; the first id is that of what no shape covers."""
    which = shapes.touching(window.row_off, window.row_end)
    place = burnt([(shapes.geometries[i], i) for i in which], window) + 1
    table = np.array([0 if i is None else i for i in ids], np.int64)
    known = np.array([i is not None for i in ids], np.bool_)
    return ClassPixels(table[place], known[place])


@contextmanager
def _confidence(
    raster: ConfidenceRaster | None,
) -> Iterator[Callable[[Window], NDArray[np.uint8] | None]]:
    """Yield a function that reads stored confidences 0..250, 255 where there is none.

    It raises SceneError at numbers that are no confidence.
    """
    if raster is None:
        yield lambda _: None
        return
    with SceneReader(raster.scene, (1,), "any", as_stored=True) as reader:

        def read(window: Window) -> NDArray[np.uint8]:
            found, problem = stored_confidence(raster, reader.read(window))
            if problem is not None:
                raise SceneError(problem, hint="Is that the confidence of this map?")
            return found

        yield read


def _add_points(
    judged: JudgedMap,
    shapes: ReferenceShapes,
    tally: Tally,
    options: EvaluateOptions,
) -> set[int]:
    """Compare the map with points; return the numbers of those that could be used."""
    grid = judged.grid
    matching = _matching(judged, options)
    places = np.floor(shapes.points if shapes.points is not None else np.empty((0, 2)))
    labelled = np.array([bool(value) for value in shapes.values], np.bool_)
    col, row = places[:, 0], places[:, 1]
    inside = labelled & (col >= 0) & (row >= 0) & (col < grid.width) & (row < grid.height)
    used, mapped, reference, confidence = set[int](), list[int](), list[int](), list[int]()
    with (
        SceneReader(judged.raster.scene, (judged.raster.band,), "any", as_stored=True) as reader,
        _confidence(judged.confidence) as read_confidence,
    ):
        for i in np.flatnonzero(inside).tolist():
            window = Window(int(row[i]), int(col[i]), 1, 1)
            class_id = matching.class_id(shapes.values[i])
            box = reader.read(window)
            if class_id is None or not box.valid[0, 0]:
                continue
            found = int(box.values[0, 0, 0])
            _require_stratum(shapes, i, found, judged)
            certain = read_confidence(window)
            mapped.append(found)
            reference.append(class_id)
            confidence.append(NO_CONFIDENCE if certain is None else int(certain[0, 0]))
            used.add(i)
    tally.add_pairs(
        np.array(mapped, np.int64), np.array(reference, np.int64), np.array(confidence, np.uint8)
    )
    return used


def _require_stratum(shapes: ReferenceShapes, i: int, found: int, judged: JudgedMap) -> None:
    """Refuse points that were drawn from another map: their weights would be wrong."""
    stratum = shapes.strata[i] if shapes.strata else None
    if stratum is not None and stratum != found:
        msg = (
            f"point {i + 1} was drawn from class {stratum} of a map, and "
            f"{judged.raster.scene.label} has class {found} there"
        )
        raise MismatchError(
            msg, hint="Points estimate the accuracy of the map that they were drawn from."
        )


def _pixel_m2(grid: PixelGrid) -> float:
    """Return the ground area of a pixel; NaN without a CRS, or where it is not the same all over.

    Estimates are in pixels. Where pixels of the equator and of the far north differ, they
    are no areas: such a map is judged in an equal-area CRS.
    """
    areas = pixel_areas(grid)
    if areas is None:
        return float("nan")
    found = areas.tables[..., 0]
    mean = float(found.mean())
    return mean if np.ptp(found) <= _SAME_AREA * mean else float("nan")


def _mean_area(areas_px: list[tuple[float, int]]) -> float | None:
    """Return the mean area of a pixel over the maps; None where one has no CRS."""
    total_px = sum(n for _, n in areas_px)
    if not total_px:
        return None
    mean = sum(area * n for area, n in areas_px) / total_px
    return None if np.isnan(mean) else mean


def _refuse_to_overwrite(options: EvaluateOptions) -> None:
    if options.out is None or options.overwrite:
        return
    for name in ("evaluation.json", "report.html"):
        if (options.out / name).exists():
            msg = f"{options.out} holds an evaluation already ({name})"
            raise OutputError(msg, hint="Add --overwrite to replace it, or choose another --out.")


def _write(found: Evaluation, options: EvaluateOptions) -> dict[str, Path]:
    if options.out is None:
        return {}
    files = {"json": options.out / "evaluation.json", "report": options.out / "report.html"}
    record = {
        "maps": list(options.maps),
        "model": options.model,
        "references": list(options.references),
        "background": options.background,
        **found.as_json(),
    }
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        write_atomically(files["json"], text)
        write_atomically(files["report"], report_page(found, options.maps, options.references))
    except OSError as error:
        msg = f"cannot write to {options.out}: {error.strerror or error}"
        raise OutputError(msg) from error
    return files
