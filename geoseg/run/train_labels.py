"""Labels of a scene as sets of classes on the model's grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geoseg.accuracy.confusion import occurring
from geoseg.accuracy.matching import (
    HeldValues,
    Matching,
    parse_match,
    with_background,
)
from geoseg.errors import MismatchError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.legend import Legend, whole_number
from geoseg.raster.aligned import ClassPixels, aligned_reader, burnt, is_inside, shift_px
from geoseg.raster.class_raster import ClassRaster, open_class_raster
from geoseg.run.train_pairs import TrainPair
from geoseg.training.label_sets import Labels, bits_of, label_dtype
from geoseg.vector.reference import VECTOR_SUFFIXES, ReferenceShapes, read_reference_shapes

__all__ = [
    "NONE_OF_THEM",
    "LabelSource",
    "classes_of",
    "is_ignored",
    "label_reader",
    "nothing_there",
    "open_labels",
    "require_classes",
    "told_of",
]

_IGNORE: Final = 255
NONE_OF_THEM: Final = "-"
"""What a label stands for that is known to be none of the classes, where these overlap."""
_READ_PX: Final = 4096
_SCENE: Final = "the scene"

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
    background_value: int | None = None
    """Nodata of a raster, read as a label: where the pair names a background, it stands there."""

    @property
    def names(self) -> dict[int, str]:
        """What a raster calls its own numbers."""
        return dict(self.raster.names) if self.raster else {}

    @property
    def held(self) -> HeldValues:
        """Its values and names; of a raster that reaches beyond the scene, those on the scene."""
        texts = frozenset(str(value) for value in self.values)
        if self.raster is None:
            return HeldValues(texts=texts)
        is_all = is_inside(self.raster.scene.grid, self.grid)
        if self.background_value is not None:
            texts |= {str(self.background_value)}
        return HeldValues(texts=texts | self.raster.told_values, is_all=is_all)

    def windows(self, side_px: int) -> Iterator[Window]:
        """Yield squares of the grid that may hold labels; with a background, all of them."""
        everywhere = self.shapes is None or self.pair.background is not None
        for row in range(0, self.grid.height, side_px):
            height = min(side_px, self.grid.height - row)
            for col in range(0, self.grid.width, side_px):
                window = Window(row, col, height, min(side_px, self.grid.width - col))
                if everywhere or (self.shapes and self.shapes.touching_window(window)):
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
        shapes = read_reference_shapes(
            pair.labels, grid, pair.column, role="labels", takes_points=False
        )
        if pair.background is None and not shapes.touching_window(grid.window):
            raise nothing_there(pair)
        return LabelSource(
            pair=pair, grid=grid, raster=None, shapes=shapes,
            values=tuple(dict.fromkeys(v for v in shapes.values if v)), fingerprint=fingerprint,
        )  # fmt: skip
    raster = open_class_raster(pair.labels, None, flag=None)
    background_value = None if pair.background is None else raster.unlabelled_value
    if background_value is not None:
        raster = raster.with_nodata_as_value()
    if align is None and shift_px(raster.scene.grid, scene_grid) is None:
        with aligned_reader(raster, scene_grid, resample=False, target=_SCENE):
            pass  # tells in one line how the grids differ
    source = LabelSource(
        pair=pair, grid=grid, raster=raster, shapes=None, values=(),
        fingerprint=raster.scene.fingerprint, background_value=background_value,
    )  # fmt: skip
    found: set[int] = set()
    with aligned_reader(raster, grid, resample=True, target=_SCENE) as read:
        for window in source.windows(_READ_PX):
            pixels = read(window)
            found.update(occurring(pixels.values[pixels.valid]).tolist())
    if not found:
        raise nothing_there(pair)
    return replace(source, values=tuple(sorted(found)))


def nothing_there(pair: TrainPair) -> MismatchError:
    """Return the error of a pair without a label."""
    msg = f"no label of {pair.labels} lies on {pair.image}"
    return MismatchError(msg, hint="Do they lie in one place? Is all of it nodata?")


def require_classes(sources: list[LabelSource], legend: Legend, match: str | None) -> None:
    """Refuse labels that are no class of the legend, before any of them is read again.

    Raises:
        MismatchError: There is one.
    """
    for source in sources:
        _sets(source, legend, match, overlap=False)


def told_of(source: LabelSource, match: str | None) -> dict[int | str, str]:
    """Return what the user says of labels, by the value or by the file's own name for it."""
    told = _match_of(source, match)
    names = {str(number): name for number, name in source.names.items()}
    found = {}
    for value in source.values:
        text = told.get(str(value), told.get(names.get(str(value), "")))
        if text is not None:
            found[value] = text
    return found


def _match_of(source: LabelSource, match: str | None) -> dict[str, str]:
    """Return what ``--match`` says, and ``--background`` of a raster's nodata."""
    told = parse_match(source.pair.match or match)
    return with_background(told, source.names, source.background_value, source.pair.background)


def classes_of(meaning: str) -> list[str]:
    """Return the classes that ``A|B`` names; none for nothing, and for none of them."""
    return [part.strip() for part in meaning.split("|") if part.strip() not in {"", NONE_OF_THEM}]


def is_ignored(source: LabelSource, value: int | str) -> bool:
    """Tell whether a label is 255 and nobody gave it a name, or below 0."""
    number = whole_number(str(value))
    return number is not None and (number < 0 or (number == _IGNORE and number not in source.names))


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
    sets, rest = _sets(source, legend, match, overlap=overlap)
    if source.shapes is not None:
        shapes = source.shapes
        bits = [sets.get(value, 0) for value in shapes.values]
        yield lambda window: _burnt_sets(shapes, (bits, rest), window, dtype, overlap=overlap)
    elif source.raster is not None:
        known = np.array(source.values, np.int64)
        table = np.array([sets[value] for value in source.values], np.uint64).astype(dtype)
        with aligned_reader(source.raster, source.grid, resample=True, target=_SCENE) as read:
            yield lambda window: _looked_up(read(window), known, table)


def _looked_up(pixels: ClassPixels, known: NDArray[np.int64], table: Labels) -> Labels:
    """Return the sets that numbers stand for.

    Numbers that are not among the sorted known ones tell nothing: where the grid is another,
    a pixel that no window of the first look took may be the nearest in a smaller one.
    """
    values = pixels.values[pixels.valid]
    place = np.searchsorted(known, values).clip(max=len(known) - 1)
    found = np.zeros(pixels.values.shape, table.dtype)
    found[pixels.valid] = np.where(known[place] == values, table[place], 0)
    return found


def _sets(
    source: LabelSource, legend: Legend, match: str | None, *, overlap: bool
) -> tuple[dict[int | str, int], int]:
    """Return the set of classes that each label stands for, and that of unlabelled ground."""
    told = told_of(source, match)
    index = {c.class_id: k for k, c in enumerate(legend)}
    matching = Matching(
        names={c.class_id: c.name for c in legend},
        told=_match_of(source, match),
        reference_names=source.names,
        source=f"the labels {source.pair.labels}",
        target="the legend",
    )

    def set_of(meaning: str, option: str) -> int:
        if overlap and meaning.strip() == NONE_OF_THEM:
            return bits_of([len(legend)])
        return bits_of(index[matching.named(part, option)] for part in classes_of(meaning))

    # First, so that a background that is no class is told by its own name.
    rest = set_of(source.pair.background or "", "--background")
    found: dict[int | str, int] = {}
    for value in source.values:
        meaning = told.get(value)
        if meaning is not None:
            found[value] = set_of(meaning, "--match")
            continue
        ids = [] if is_ignored(source, value) else [matching.class_id(value)]
        found[value] = bits_of(index[i] for i in ids if i is not None)
    return found, rest


def _burnt_sets(
    shapes: ReferenceShapes,
    sets: tuple[list[int], int],
    window: Window,
    dtype: np.dtype[np.unsignedinteger[Any]],
    *,
    overlap: bool,
) -> Labels:
    """Return the sets of a window: those of the polygons, and one for what none of them covers.

    A polygon that is left out covers its ground all the same: somebody said to leave it out.
    """
    bits, rest = sets
    which = shapes.touching_window(window)
    number = burnt([(shapes.geometries[i], i) for i in which], window)
    table = np.array([rest, *bits], np.uint64).astype(dtype)
    if not overlap:
        return table[number + 1]
    total: Labels = np.where(number < 0, table[0], table[0] * 0)
    for value in {bits[i] for i in which} - {0}:
        own = [(shapes.geometries[i], i) for i in which if bits[i] == value]
        total[burnt(own, window) >= 0] |= dtype.type(value)
    return total
