"""The legend: class ids, names and colours, and the id that means nodata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from geoseg.errors import ModelError

__all__ = ["Legend", "LegendClass"]

_COLOUR = re.compile(r"^#[0-9a-fA-F]{6}$")
MAX_CLASS_ID = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendClass:
    """One class of a map."""

    class_id: int
    """Pixel value in the class raster, 0 to 254."""
    name: str
    """Name as people read it, unique within the legend."""
    colour: str
    """``#rrggbb``."""
    description: str = ""
    """What belongs to the class, one sentence."""

    def __post_init__(self) -> None:
        if not 0 <= self.class_id <= MAX_CLASS_ID:
            msg = f"class id {self.class_id} is outside 0..{MAX_CLASS_ID}"
            raise ModelError(msg)
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
        if not 0 <= self.nodata_id <= 255:  # noqa: PLR2004 - uint8
            msg = f"nodata id {self.nodata_id} is outside 0..255"
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
