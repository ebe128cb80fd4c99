"""The legend: class ids, names and colours, and the id that means nodata."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from geoseg.errors import ModelError

__all__ = ["MAX_CLASS_ID", "Legend", "LegendClass", "found_legend", "whole_number"]

_PALETTE = (
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948", "#b07aa1", "#9c755f",
    "#ff9da7", "#86bcb6", "#d37295", "#8cd17d", "#499894", "#b6992d", "#a0cbe8", "#79706e",
)  # fmt: skip
_GOLDEN = 0.6180339887
_COLOUR = re.compile(r"^#[0-9a-fA-F]{6}$")
_WHOLE = re.compile(r"-?[0-9]{1,40}(\.0+)?")
MAX_CLASS_ID = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendClass:
    """One class of a map."""

    class_id: int
    """Pixel value in the class raster, 0 to 254 in maps of geoseg's own."""
    name: str
    """Name as people read it, unique within the legend."""
    colour: str
    """``#rrggbb``."""
    description: str = ""
    """What belongs to the class, one sentence."""

    def __post_init__(self) -> None:
        if not self.name.strip():
            msg = f"class {self.class_id} has no name"
            raise ModelError(msg)
        if not _COLOUR.match(self.colour):
            msg = f"class {self.name!r}: colour {self.colour!r} is not of the form #rrggbb"
            raise ModelError(msg)

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The colour as three numbers 0..255."""
        return (
            int(self.colour[1:3], 16),
            int(self.colour[3:5], 16),
            int(self.colour[5:7], 16),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Legend:
    """The classes of a map in the order of the model's score channels."""

    classes: tuple[LegendClass, ...]
    """Channel k of the scores belongs to ``classes[k]``."""
    nodata_id: int = 255
    """Pixel value of everything that has no class; never a class id."""
    wide: bool = False
    """Ids are any numbers of four bytes, in class rasters that others made."""

    def __post_init__(self) -> None:
        if not self.classes:
            msg = "the legend holds no class"
            raise ModelError(msg)
        ids = [c.class_id for c in self.classes]
        names = [c.name for c in self.classes]
        if len(set(ids)) != len(ids) or len(set(names)) != len(names):
            msg = f"class ids and names must be unique; found ids {ids}, names {names}"
            raise ModelError(msg)
        if self.nodata_id in ids:
            msg = f"nodata id {self.nodata_id} is also the id of a class"
            raise ModelError(msg)
        if self.wide:
            return
        if not 0 <= self.nodata_id <= MAX_CLASS_ID + 1:
            msg = f"nodata id {self.nodata_id} is outside 0..{MAX_CLASS_ID + 1}"
            raise ModelError(msg)
        for class_id in ids:
            if not 0 <= class_id <= MAX_CLASS_ID:
                msg = f"class id {class_id} is outside 0..{MAX_CLASS_ID}"
                raise ModelError(msg)

    def __iter__(self) -> Iterator[LegendClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def ids(self) -> tuple[int, ...]:
        """Class ids in channel order."""
        return tuple(c.class_id for c in self.classes)

    def by_id(self, class_id: int) -> LegendClass:
        """Return the class with this id; KeyError if there is none."""
        for item in self.classes:
            if item.class_id == class_id:
                return item
        raise KeyError(class_id)


def found_legend(
    values: Iterable[int],
    *,
    names: Mapping[int, str],
    colours: Mapping[int, str],
    nodata_id: int = 255,
) -> Legend:
    """Return the legend of a class raster that says little or nothing about its classes.

    Args:
        values: Values that occur.
        names: Names that the raster gives; a class without one is ``class 7``.
        colours: ``#rrggbb`` that the raster gives; others come from a fixed palette.
        nodata_id: Value that is no class.

    Returns:
        The classes that occur or have a name, by value; where there are none, one class.
    """
    ids = sorted(({*values, *names} - {nodata_id}) or {int(nodata_id == 0)})
    fresh = _fresh_colours({colours[i].lower() for i in ids if i in colours})
    taken: set[str] = set()
    classes = []
    for i in ids:
        name = names.get(i, f"class {i}")
        name = name if name not in taken else f"{name} ({i})"
        taken.add(name)
        classes.append(LegendClass(class_id=i, name=name, colour=colours.get(i) or next(fresh)))
    return Legend(classes=tuple(classes), nodata_id=nodata_id, wide=True)


def whole_number(text: str) -> int | None:
    """Return the number that a text is, 3.0 as 3; None for anything else."""
    return int(text.partition(".")[0]) if _WHOLE.fullmatch(text) else None


def _fresh_colours(used: set[str]) -> Iterator[str]:
    """Yield colours unlike each other, first a fixed palette, then hues by the golden ratio."""
    yield from (c for c in _PALETTE if c not in used)
    step = 0
    while True:
        step += 1
        levels = (0.45 + 0.15 * (step % 3), 0.6 + 0.12 * (step % 4))
        red, green, blue = colorsys.hsv_to_rgb(step * _GOLDEN % 1, *levels)
        yield "#" + "".join(f"{round(255 * part):02x}" for part in (red, green, blue))
