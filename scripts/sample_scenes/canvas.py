"""The drawing surface of the synthetic scenes: arrays in metres, value noise and shapes.

Everything is drawn on a grid twice as fine as the scene (see `scene.make_scene`); lengths are
metres everywhere, so that one drawing routine serves every ground sample distance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]
    Colour = tuple[float, float, float]

BUILDING, LAND, ROAD, VEGETATION, WATER, NODATA = 0, 1, 2, 3, 4, 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """Where the light comes from."""

    row: float
    """Row part of the unit vector along which shadows fall."""

    col: float
    """Column part of the same vector."""

    length: float
    """Length of a shadow per metre of height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The scene while it is drawn; the arrays are filled in place.

    Drawing order is the order of occlusion: ground, streets, shadows, houses, trees.
    """

    rgb: Floats
    """Colour, (row, col, 3), 0 to 1."""

    labels: NDArray[np.uint8]
    """Class ids, (row, col)."""

    light: Floats
    """Light that arrives at the ground, (row, col); 1 is full sun."""

    step_m: float
    """Metres per pixel of this grid."""

    sun: Sun
    """The light."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def size_m(self) -> tuple[float, float]:
        """Height and width in metres."""
        return self.shape[0] * self.step_m, self.shape[1] * self.step_m

    def axes_m(self) -> tuple[Floats, Floats]:
        """Give row and column of the pixel centres in metres, (row, 1) and (1, col)."""
        rows = (np.arange(self.shape[0], dtype=np.float32) + 0.5) * self.step_m
        cols = (np.arange(self.shape[1], dtype=np.float32) + 0.5) * self.step_m
        return rows[:, None], cols[None, :]

    def window(self, row_m: float, col_m: float, reach_m: float) -> tuple[slice, slice] | None:
        """Cut the square around a point, or None where it leaves the canvas."""
        r0, r1 = int((row_m - reach_m) / self.step_m), int((row_m + reach_m) / self.step_m) + 1
        c0, c1 = int((col_m - reach_m) / self.step_m), int((col_m + reach_m) / self.step_m) + 1
        r0, c0, r1, c1 = max(r0, 0), max(c0, 0), min(r1, self.shape[0]), min(c1, self.shape[1])
        return None if r0 >= r1 or c0 >= c1 else (slice(r0, r1), slice(c0, c1))

    def local(
        self, where: tuple[slice, slice], row_m: float, col_m: float
    ) -> tuple[Floats, Floats]:
        """Give row and column offsets in metres from a point to the pixels of a window."""
        rows, cols = self.axes_m()
        dr, dc = rows[where[0]] - row_m, cols[:, where[1]] - col_m
        return np.asarray(dr, dtype=np.float32), np.asarray(dc, dtype=np.float32)

    def random_spot(self, rng: np.random.Generator) -> tuple[float, float]:
        """Draw a row and column in metres, away from the edges."""
        return (
            float(rng.uniform(0.15, 0.85) * self.size_m[0]),
            float(rng.uniform(0.15, 0.85) * self.size_m[1]),
        )

    def paint(self, mask: Bools, colour: Colour | Floats, label: int | None = None) -> None:
        """Colour the pixels of a mask over the whole canvas."""
        tone = np.asarray(colour, dtype=np.float32)
        self.rgb[mask] = tone[mask] if tone.ndim > 1 else tone
        if label is not None:
            self.labels[mask] = label


def value_noise(rng: np.random.Generator, shape: tuple[int, int], cell_px: float) -> Floats:
    """Draw smooth noise in -1 to 1 with bumps of a given size.

    Only products and sums, no transforms: the same seed gives the same bits on every machine.

    Args:
        rng: The source of randomness.
        shape: Height and width in pixels.
        cell_px: Size of a bump in pixels.

    Returns:
        Noise, (row, col).
    """
    cell = max(cell_px, 1.0)
    knots = rng.uniform(-1, 1, (int(shape[0] / cell) + 3, int(shape[1] / cell) + 3)).astype(
        np.float32
    )
    at_row, at_col = np.arange(shape[0]) / cell, np.arange(shape[1]) / cell
    i, j = at_row.astype(np.int64), at_col.astype(np.int64)
    t = ((at_row - i) ** 2 * (3 - 2 * (at_row - i))).astype(np.float32)[:, None]
    s = ((at_col - j) ** 2 * (3 - 2 * (at_col - j))).astype(np.float32)[None, :]
    rows = knots[i] * (1 - t) + knots[i + 1] * t
    return np.asarray(rows[:, j] * (1 - s) + rows[:, j + 1] * s, dtype=np.float32)


def fractal_noise(
    rng: np.random.Generator, shape: tuple[int, int], cell_px: float, octaves: int = 4
) -> Floats:
    """Sum value noise over octaves; about -1 to 1."""
    total = np.zeros(shape, dtype=np.float32)
    weight = 1.0
    for _ in range(octaves):
        total += np.float32(weight) * value_noise(rng, shape, cell_px)
        cell_px, weight = cell_px / 2, weight * 0.55
        if cell_px < 1:
            break
    return total


def jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    """Vary a colour: mostly its brightness, a little its hue."""
    gain = 1 + rng.uniform(-amount, amount)
    r, g, b = (min(1.0, max(0.0, c * gain + rng.uniform(-amount, amount) * 0.12)) for c in colour)
    return r, g, b


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Choose one colour."""
    return colours[int(rng.integers(len(colours)))]
