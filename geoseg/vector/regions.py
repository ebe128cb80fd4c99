"""Regions and rings in pixel corners: what the join hands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.vector.lattice import CornerMap

__all__ = ["Regions", "Rings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """Complete regions with their rings, exterior first, then holes from the top down."""

    class_id: NDArray[np.int32]
    """(n,) class of each region."""
    stats: NDArray[np.int64]
    """(n, 4) pixels, sum of stored confidence, pixels with a confidence, 255 minus least."""
    rings: NDArray[np.int64]
    """(n + 1,) index of each region's first ring, and the end."""
    corners: NDArray[np.int64]
    """(k + 1,) index of each ring's first corner, and the end."""
    places: NDArray[np.int32]
    """(m, 2) row, col of the corners; a ring begins at its first corner by row and
    column, keeps the region on the left as displayed, and does not repeat a corner at
    its end. Corners where boundaries branch are there even on a straight line."""
    is_node: NDArray[np.bool_]
    """(m,) True at corners where three or four boundaries meet."""
    groups: NDArray[np.int64]
    """(g + 1,) index of each group's first region, and the end; a group is one region,
    or with 8-connectivity those that touch diagonally."""
    traced: CornerMap | None = None
    """Every corner of the scene in the rows of these regions, where the join was to keep it."""

    def __len__(self) -> int:
        return len(self.class_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """Closed rings; the arrays are those of :class:`Regions`."""

    region: NDArray[np.int32]
    hole: NDArray[np.uint8]
    corners: NDArray[np.int64]
    places: NDArray[np.int32]
    is_node: NDArray[np.bool_]

    def take(self, which: NDArray[np.intp]) -> Rings:
        """Return some of the rings in the given order."""
        lengths = np.diff(self.corners)[which]
        corners = np.concatenate([[0], np.cumsum(lengths)])
        source = np.repeat(self.corners[which] - corners[:-1], lengths)
        source += np.arange(corners[-1])
        return Rings(
            region=self.region[which],
            hole=self.hole[which],
            corners=corners,
            places=self.places.take(source, axis=0),
            is_node=self.is_node.take(source),
        )

    def plus(self, other: Rings) -> Rings:
        """Return these rings and then the others."""
        return Rings(
            region=np.concatenate([self.region, other.region]),
            hole=np.concatenate([self.hole, other.hole]),
            corners=np.concatenate([self.corners, other.corners[1:] + self.corners[-1]]),
            places=np.concatenate([self.places, other.places]),
            is_node=np.concatenate([self.is_node, other.is_node]),
        )
