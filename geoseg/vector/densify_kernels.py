"""Compiled: more vertices on long edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.vector.compiled import compiled, compiled_into_callers

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["cut_long_edges"]


@compiled_into_callers
def _pieces(p: NDArray[np.float64], q: NDArray[np.float64], longest: float) -> int:
    """Return into how many pieces an edge is cut."""
    length = max(abs(p[0] - q[0]), abs(p[1] - q[1]))
    return max(1, int(np.ceil(length / longest)))


@compiled("Tuple((int64[::1], float64[:, ::1]))(int64[::1], float64[:, ::1], float64)")
def cut_long_edges(
    corners: NDArray[np.int64], places: NDArray[np.float64], longest: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Cut edges into equal pieces; both directions of an edge give the same numbers.

    Args:
        corners: (k + 1,) first vertex of each ring, and the end.
        places: (m, 2) vertices.
        longest: Length of the longer leg of an edge that is not cut.

    Returns:
        The new first vertices (k + 1,), and all vertices (p, 2).
    """
    begins = np.empty_like(corners)
    total = 0
    for k in range(len(corners) - 1):
        begins[k] = total
        for i in range(corners[k], corners[k + 1]):
            after = i + 1 if i + 1 < corners[k + 1] else corners[k]
            total += _pieces(places[i], places[after], longest)
    begins[len(corners) - 1] = total
    out = np.empty((total, 2))
    n = 0
    for k in range(len(corners) - 1):
        for i in range(corners[k], corners[k + 1]):
            p = places[i]
            q = places[i + 1 if i + 1 < corners[k + 1] else corners[k]]
            pieces = _pieces(p, q, longest)
            ahead = bool(p[0] < q[0] or (p[0] == q[0] and p[1] < q[1]))
            out[n] = p
            for step in range(1, pieces):
                for axis in range(2):
                    if ahead:
                        out[n + step, axis] = p[axis] + (q[axis] - p[axis]) * (step / pieces)
                    else:
                        back = (pieces - step) / pieces
                        out[n + step, axis] = q[axis] + (p[axis] - q[axis]) * back
            n += pieces
    return begins, out
