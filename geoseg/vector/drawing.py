"""From corners of pixels to the lines of a map: simplified or smoothed, then placed."""

# ruff: noqa: PLC0415 - heavy libraries load when they are needed

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoseg.errors import OptionError
from geoseg.options import SIMPLIFY_METHODS
from geoseg.vector.diagonal import EIGHT
from geoseg.vector.lattice import CornerMap
from geoseg.vector.reproject import Reprojection
from geoseg.vector.simplify import simplify_arcs
from geoseg.vector.smooth import smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.grid.pixel_grid import Bounds, PixelGrid
    from geoseg.options import Outlines

__all__ = ["Drawing"]


class Drawing:
    """How the outlines of one map are drawn, the same for every polygon of it."""

    def __init__(self, grid: PixelGrid, outlines: Outlines) -> None:
        """Check what was asked for.

        Raises:
            OptionError: A negative tolerance, an unknown method, both ways at once, an
                unknown CRS, or a connectivity that is neither 4 nor 8.
        """
        if not 0 <= outlines.simplify_px < np.inf:
            msg = f"a tolerance of {outlines.simplify_px} pixels is not a length"
            raise OptionError(msg)
        if outlines.method not in SIMPLIFY_METHODS:
            msg = f"unknown method {outlines.method!r} of simplifying"
            raise OptionError(msg, hint=f"use one of {', '.join(SIMPLIFY_METHODS)}")
        if outlines.smooth and outlines.simplify_px > 0:
            msg = "outlines are either smoothed or simplified, not both"
            raise OptionError(msg, hint="smoothed outlines already have few vertices")
        if outlines.connectivity not in (4, EIGHT):
            msg = f"connectivity is 4 or 8, not {outlines.connectivity}"
            raise OptionError(msg)
        self._to = None if outlines.crs is None else Reprojection(grid, outlines.crs)
        # One feature per class leaves nothing to group.
        self.connectivity = 4 if outlines.dissolve else outlines.connectivity
        self._grid, self._smooth = grid, outlines.smooth
        self._simplify_px, self._method = outlines.simplify_px, outlines.method

    @property
    def simplifies(self) -> bool:
        """True where outlines need to know every corner near them."""
        return self._simplify_px > 0

    @property
    def multi(self) -> bool:
        """True where a polygon may have several parts."""
        return self.connectivity == EIGHT

    @property
    def crs_wkt(self) -> str | None:
        """CRS of the vertices."""
        return self._grid.crs_wkt if self._to is None else self._to.crs_wkt

    @property
    def bounds(self) -> Bounds:
        """Outer box of the map in the units of the vertices."""
        return self._grid.bounds if self._to is None else self._to.bounds

    @property
    def pixel_size(self) -> float:
        """Shortest side of the centre pixel in the units of the vertices."""
        across_x, across_y, down_x, down_y = self._centre_pixel
        return float(min(np.hypot(across_x, across_y), np.hypot(down_x, down_y)))

    @property
    def mirrored(self) -> bool:
        """True where rings that are counter-clockwise in pixels are clockwise as drawn."""
        across_x, across_y, down_x, down_y = self._centre_pixel
        return across_x * down_y - across_y * down_x > 0

    @property
    def _centre_pixel(self) -> tuple[float, float, float, float]:
        t = self._grid.transform
        return (t.a, t.d, t.b, t.e) if self._to is None else self._to.centre_pixel

    def lines(
        self,
        corners: NDArray[np.int64],
        places: NDArray[np.int32],
        is_node: NDArray[np.bool_],
        traced: CornerMap | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return rings as first vertices (k + 1,) and world x, y of the vertices (p, 2)."""
        drawn: NDArray[np.int32] | NDArray[np.float64] = places
        if self._smooth:
            is_fixed = is_node | self._on_frame_corner(places)
            corners, drawn = smoothed(corners, places, is_fixed)
        elif traced is not None:
            is_fixed = is_node | self._on_frame_corner(places)
            corners, drawn = simplify_arcs(
                corners, places, is_fixed, traced,
                tolerance_px=self._simplify_px, method=self._method,
            )  # fmt: skip
        if self._to is None:
            return corners, self._placed(drawn)
        corners, drawn = self._to.with_long_edges_cut(corners, drawn.astype(np.float64))
        return corners, self._to.moved(corners, self._placed(drawn))

    def _on_frame_corner(self, places: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Tell which places are the four corners of the map, which stay in any case."""
        row, col = places[:, 0], places[:, 1]
        on_row = (row == 0) | (row == self._grid.height)
        on_both: NDArray[np.bool_] = on_row & ((col == 0) | (col == self._grid.width))
        return on_both

    def _placed(self, places: NDArray[np.int32] | NDArray[np.float64]) -> NDArray[np.float64]:
        from geoseg.vector.assemble_kernels import placed, placed_exactly

        place = placed_exactly if places.dtype == np.int32 else placed
        t = self._grid.transform
        return place(places, np.array([[t.a, t.b, t.c], [t.d, t.e, t.f]]))
