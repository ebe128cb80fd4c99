"""Take corners out of outlines, the least important first, and keep the coverage.

Strategy: only corners between two nodes are taken, and whether one may go depends on its
own arc and on the *traced* corners of the scene, never on what another arc has lost. So an
arc loses the same corners whichever of its two regions asks, and however the scene was cut.

Why the result stays a coverage: let arcs lose corners one after the other, in any order.
When corner b between a and c goes, the edge a-c is new. It could cross another edge only if
that edge ended inside the triangle a-b-c, as it crosses neither a-b nor b-c; but b only goes
where the closed triangle holds no other corner of its arc as it is now, and no traced
corner of any other arc, a superset of those that are left. It could lie on another edge
a-c only if a and c both were nodes; an arc that is not straight from the start therefore
keeps a corner between its nodes, and one that ends where it begins keeps three.
"""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.options import SimplifyMethod
    from geoseg.vector.lattice import CornerMap

__all__ = ["simplify_arcs"]


def simplify_arcs(
    corners: NDArray[np.int64],
    places: NDArray[np.int32],
    is_node: NDArray[np.bool_],
    traced: CornerMap,
    *,
    tolerance_px: float,
    method: SimplifyMethod = "visvalingam",
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return rings with fewer corners; nodes stay, and neighbours stay glued.

    ``visvalingam`` takes a corner while the triangle that it makes with the corners next
    to it is smaller than ``tolerance_px`` squared (square pixels), smallest first;
    ``douglas-peucker`` takes those that lie nearer than ``tolerance_px`` to the line that
    remains. Corners whose going would touch another outline stay.

    Args:
        corners: (k + 1,) index of each ring's first corner, and the end.
        places: (m, 2) row, col of the corners; a ring without nodes begins at its first
            corner by row and column.
        is_node: (m,) True where three or more boundaries meet.
        traced: Every corner of the scene in the rows of these rings.
        tolerance_px: Length in pixels, 0 or more.
        method: How the importance of a corner is measured.

    Returns:
        The new indices (k + 1,) and the row, col of the corners that stay (p, 2).
    """
    from geoseg.vector.simplify_kernels import simplify_rings

    by_area = method == "visvalingam"
    limit = 2 * tolerance_px**2 if by_area else tolerance_px
    in_map = places - np.array([traced.first_row, 0], np.int32)
    with traced.guard:
        kept, begins = simplify_rings(corners, in_map, is_node, traced.words, limit, by_area)
    return begins, places[kept]
