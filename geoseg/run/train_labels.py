"""Labels of a scene as sets of classes on the model's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.matching import Matching, parse_match
from geoseg.errors import MismatchError, OptionError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend, LegendClass, found_legend
from geoseg.raster.aligned import aligned_reader, burnt, shift_px
from geoseg.raster.class_raster import ClassRaster, open_class_raster
from geoseg.run.train_pairs import TrainPair
from geoseg.training.label_sets import Labels, bits_of, label_dtype
from geoseg.vector.reference import VECTOR_SUFFIXES, ReferenceShapes, read_reference_shapes

__all__ = ["LabelSource", "common_legend", "label_reader", "open_labels"]

_IGNORE: Final = 255
_NO_NUMBER: Final = -(2**62)
NONE_OF_THEM: Final = "-"
"""What a label stands for that is known to be none of the classes, where these overlap."""
_NODATA: Final = 255
_LARGEST_ID: Final = 254

ReadLabels = Callable[[Window], Labels]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """The labels of one scene, opened but for their pixels."""

    pair: TrainPair
    """Whose they are."""
    grid: PixelGrid
    """The model's grid over the scene."""
    raster: ClassRaster | None
    """A class raster ..."""
    shapes: ReferenceShapes | None
    """... or polygons in the pixels of the grid."""
    values: tuple[int | str, ...]
    """Labels that occur."""
    fingerprint: str
    """Changes with the file."""

    def windows(self, side_px: int) -> Iterator[Window]:
        """Yield squares of the grid that may hold labels."""
        for row in range(0, self.grid.height, side_px):
            height = min(side_px, self.grid.height - row)
            for col in range(0, self.grid.width, side_px):
                window = Window(row, col, height, min(side_px, self.grid.width - col))
                if self.shapes is None or len(_touching(self.shapes, window)):
                    yield window


def open_labels(
    pair: TrainPair, scene_grid: PixelGrid, grid: PixelGrid, align: str | None, fingerprint: str
) -> LabelSource:
    """Open the labels of a scene and look which ones occur.

    Args:
        pair: Scene and labels.
        scene_grid: The scene's own grid.
        grid: The model's grid over the scene.
        align: ``nearest``, or None to refuse label rasters on another grid.
        fingerprint: Of the file, where it is no raster.

    Raises:
        GeosegError: They cannot be read, or do not belong to the scene.
    """
    if pair.labels.lower().endswith(VECTOR_SUFFIXES):
        shapes = read_reference_shapes(pair.labels, grid, pair.column)
        if shapes.points is not None:
            msg = f"{pair.labels} holds points, expected polygons"
            raise OptionError(msg, hint="A point labels one pixel; draw small polygons instead.")
        values: tuple[int | str, ...] = tuple(dict.fromkeys(v for v in shapes.values if v))
        return LabelSource(
            pair=pair, grid=grid, raster=None, shapes=shapes, values=values, fingerprint=fingerprint
        )
    raster = open_class_raster(pair.labels, None)
    if align is None and shift_px(raster.scene.grid, scene_grid) is None:
        with aligned_reader(raster, scene_grid, resample=False):
            pass  # tells in one line how the grids differ
    source = LabelSource(
        pair=pair, grid=grid, raster=raster, shapes=None, values=(),
        fingerprint=raster.scene.fingerprint,
    )  # fmt: skip
    found: set[int] = set()
    with _numbers(source) as read:
        for window in source.windows(4096):
            found.update(np.unique(read(window)).tolist())
    if found <= {_NO_NUMBER}:
        msg = f"no label of {pair.labels} lies on {pair.image}"
        raise MismatchError(msg, hint="Do they lie in one place? Is all of it nodata?")
    return LabelSource(
        pair=pair, grid=grid, raster=raster, shapes=None,
        values=tuple(sorted(found - {_NO_NUMBER})), fingerprint=raster.scene.fingerprint,
    )  # fmt: skip


@contextmanager
def _numbers(source: LabelSource) -> Iterator[Callable[[Window], NDArray[np.int64]]]:
    """Yield a function that reads class numbers on the model's grid, ``_NO_NUMBER`` for none."""
    if source.raster is None:  # pragma: no cover - asked for rasters only
        raise AssertionError
    with aligned_reader(source.raster, source.grid, resample=True) as read:

        def numbers(window: Window) -> NDArray[np.int64]:
            pixels = read(window)
            return np.where(pixels.valid, pixels.values, _NO_NUMBER)

        yield numbers


def common_legend(sources: list[LabelSource], match: str | None) -> Legend:
    """Return the classes that the labels themselves tell.

    Numbers keep their ids, and names that the files give them; texts get ids from 0 in the
    order of the alphabet. 255 without a name is no class.

    Raises:
        OptionError: There is no class, one only, or an id beyond 254.
    """
    numbers, texts = dict[int, str](), set[str]()
    colours: dict[int, str] = {}
    for source in sources:
        told = parse_match(source.pair.match or match)
        names = dict(source.raster.names) if source.raster else {}
        colours |= dict(source.raster.colours) if source.raster else {}
        for value in source.values:
            text = told.get(str(value), told.get(names.get(_as_number(value), ""), None))
            if text is not None:
                for part in (part.strip() for part in text.split("|")):
                    if part.isdecimal():
                        numbers.setdefault(int(part), f"class {part}")
                    elif part and part != NONE_OF_THEM:
                        texts.add(part)
                continue
            number = _as_number(value)
            if _is_ignored(value, names):
                continue
            if number < 0:
                texts.add(str(value))
            else:
                numbers[number] = names.get(number, f"class {number}")
    return _legend(numbers, texts, colours)


def _as_number(value: int | str) -> int:
    """Return a label as a number, -1 for a text."""
    text = str(value)
    return int(text) if text.isdecimal() else -1


def _legend(numbers: dict[int, str], texts: set[str], colours: dict[int, str]) -> Legend:
    numbers.pop(-1, None)
    taken = {name.casefold() for name in numbers.values()}
    free = (i for i in range(_LARGEST_ID + 1) if i not in numbers)
    # Forest and forest are one class, as everywhere.
    folded = {text.casefold(): text for text in sorted(texts, reverse=True)}
    new = sorted(text for fold, text in folded.items() if fold not in taken)
    numbers |= dict(zip(free, new, strict=False))
    if len(numbers) < 2:  # noqa: PLR2004 - a map needs two classes
        found = ", ".join(repr(name) for name in numbers.values()) or "none"
        msg = f"the labels hold {'one class only' if numbers else 'no class'} ({found})"
        raise OptionError(msg, hint="Label what is not of the class too, or name --classes.")
    if max(numbers) > _LARGEST_ID:
        msg = f"the labels hold class {max(numbers)}, a map takes 0 to {_LARGEST_ID}"
        raise OptionError(msg, hint="Give them other ids with --classes and --match.")
    found_classes = found_legend(numbers, names=numbers, colours=colours, nodata_id=_NODATA)
    return Legend(
        classes=tuple(
            LegendClass(class_id=c.class_id, name=c.name, colour=c.colour)
            for c in found_classes.classes
        ),
        nodata_id=_NODATA,
    )


@contextmanager
def label_reader(
    source: LabelSource, legend: Legend, match: str | None, *, overlap: bool
) -> Iterator[ReadLabels]:
    """Yield a function that reads sets of classes in windows of the model's grid.

    Args:
        source: The labels.
        legend: The classes.
        match: What values stand for, where the pair does not say it.
        overlap: Polygons that overlap give a pixel all their classes; else the last one wins.

    Raises:
        MismatchError: A label is no class of the legend.
    """
    dtype = label_dtype(len(legend) + overlap)
    sets = _sets(source, legend, source.pair.match or match, overlap=overlap)
    if source.shapes is not None:
        shapes = source.shapes
        bits = [sets.get(value, 0) for value in shapes.values]
        yield lambda window: _burnt_sets(shapes, bits, window, dtype, overlap=overlap)
        return
    known = np.array(sorted(sets), np.int64)
    table = np.array([0, *(sets[v] for v in sorted(sets))], np.uint64).astype(dtype)
    with _numbers(source) as read:

        def looked_up(window: Window) -> Labels:
            values = read(window)
            place = np.searchsorted(known, values).clip(max=max(len(known) - 1, 0))
            hit = known[place] == values if len(known) else np.zeros(values.shape, np.bool_)
            found: Labels = table[np.where(hit, place + 1, 0)]
            return found

        yield looked_up


def _is_ignored(value: int | str, names: dict[int, str]) -> bool:
    """Tell whether a label is 255 and nobody gave it a name, or below 0."""
    number = _as_number(value)
    is_negative = isinstance(value, int) and value < 0
    return (number == _IGNORE and number not in names) or is_negative


def _sets(
    source: LabelSource, legend: Legend, match: str | None, *, overlap: bool
) -> dict[int | str, int]:
    """Return the set of classes that each label stands for."""
    told = parse_match(match)
    names = {c.class_id: c.name for c in legend}
    index = {c.class_id: k for k, c in enumerate(legend)}
    own_names = dict(source.raster.names) if source.raster else {}
    single = {value: text for value, text in told.items() if "|" not in text}
    try:
        matching = Matching(names=names, told=single, reference_names=own_names)
        found = {}
        for value in source.values:
            several = told.get(str(value), told.get(own_names.get(_as_number(value), ""), ""))
            if several == NONE_OF_THEM:
                found[value] = bits_of([len(legend)]) if overlap else 0
                continue
            if "|" in several:
                ids = [matching.class_id(part.strip()) for part in several.split("|")]
            elif _is_ignored(value, own_names) and str(value) not in told:
                ids = []
            else:
                ids = [matching.class_id(value)]
            found[value] = bits_of(index[i] for i in ids if i is not None)
    except MismatchError as error:
        msg = f"{source.pair.labels}: {error}".replace("the reference says", "they say")
        msg = msg.replace("the reference", "the labels").replace("the map", "the legend")
        raise MismatchError(msg, hint=error.hint) from error
    return found


def _touching(shapes: ReferenceShapes, window: Window) -> NDArray[np.intp]:
    b = shapes.bounds
    inside = (b[:, 3] > window.row_off) & (b[:, 1] < window.row_end)
    return np.flatnonzero(inside & (b[:, 2] > window.col_off) & (b[:, 0] < window.col_end))


def _burnt_sets(
    shapes: ReferenceShapes,
    bits: list[int],
    window: Window,
    dtype: np.dtype[np.unsignedinteger[Any]],
    *,
    overlap: bool,
) -> Labels:
    which = [int(i) for i in _touching(shapes, window)]
    total = np.zeros(window.shape, dtype)
    if overlap:
        for value in {bits[i] for i in which} - {0}:
            own = [(shapes.geometries[i], i) for i in which if bits[i] == value]
            total[burnt(own, window) >= 0] |= dtype.type(value)
        return total
    number = burnt([(shapes.geometries[i], i) for i in which], window)
    inside = number >= 0
    total[inside] = np.array([0, *bits], np.uint64).astype(dtype)[number[inside] + 1]
    return total
