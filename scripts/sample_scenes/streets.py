"""Street nets of the synthetic scenes: a warped grid, curved roads, markings and cars."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sample_scenes.canvas import ROAD, Canvas, jitter, pick, value_noise
from sample_scenes.ground import textured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sample_scenes.canvas import Bools, Colour, Floats

ASPHALT: tuple[Colour, ...] = (
    (0.37, 0.37, 0.38),
    (0.44, 0.44, 0.44),
    (0.31, 0.31, 0.33),
    (0.52, 0.51, 0.50),
)
PAVING: tuple[Colour, ...] = ((0.60, 0.58, 0.55), (0.66, 0.63, 0.58), (0.55, 0.54, 0.53))
CARS: tuple[Colour, ...] = (
    (0.92, 0.92, 0.92),
    (0.15, 0.15, 0.16),
    (0.62, 0.63, 0.65),
    (0.55, 0.13, 0.12),
    (0.15, 0.22, 0.42),
    (0.8, 0.8, 0.78),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A warped, turned grid of lines; streets run on the lines, blocks lie between."""

    angle: float
    """Turn in radians."""

    u: Floats
    """First coordinate in metres, (row, col)."""

    v: Floats
    """Second coordinate in metres, (row, col)."""

    lines_u: NDArray[np.float64]
    """Where lines of constant u lie, metres, rising."""

    lines_v: NDArray[np.float64]
    """Where lines of constant v lie, metres, rising."""

    def to_ground(self, canvas: Canvas, u: float, v: float) -> tuple[float, float]:
        """Give row and column in metres of a grid position, to about a metre."""
        cos, sin = float(np.cos(self.angle)), float(np.sin(self.angle))
        row, col = u * cos - v * sin, u * sin + v * cos
        top, left = canvas.shape[0] - 1, canvas.shape[1] - 1
        for _ in range(6):
            # A fixed-point step: the warp is gentle, so its value near a guess corrects it.
            at = (
                min(max(int(row / canvas.step_m), 0), top),
                min(max(int(col / canvas.step_m), 0), left),
            )
            clamped_row, clamped_col = (at[0] + 0.5) * canvas.step_m, (at[1] + 0.5) * canvas.step_m
            du = u - float(self.u[at]) - ((row - clamped_row) * cos + (col - clamped_col) * sin)
            dv = v - float(self.v[at]) - (-(row - clamped_row) * sin + (col - clamped_col) * cos)
            row, col = row + du * cos - dv * sin, col + du * sin + dv * cos
        return row, col

    def cell_ids(self) -> Floats:
        """Give every block a number, (row, col)."""
        i = np.searchsorted(self.lines_u, self.u.ravel()).reshape(self.u.shape)
        j = np.searchsorted(self.lines_v, self.v.ravel()).reshape(self.v.shape)
        return (i * 1000 + j).astype(np.float32)

    def line_distance(self, axis: int) -> tuple[Floats, NDArray[np.int64]]:
        """Give the distance in metres to the nearest line of one family, and its number."""
        at, lines = (self.u, self.lines_u) if axis == 0 else (self.v, self.lines_v)
        middles = (lines[1:] + lines[:-1]) / 2
        nearest = np.searchsorted(middles, at.ravel()).reshape(at.shape)
        return np.abs(at - lines[nearest].astype(np.float32)), nearest


def make_grid(
    rng: np.random.Generator, canvas: Canvas, *, block_m: tuple[float, float], bend_m: float
) -> Grid:
    """Lay out a grid of lines over the canvas.

    Args:
        rng: The source of randomness.
        canvas: Gives the extent.
        block_m: Smallest and largest distance between lines.
        bend_m: How far lines wander from straight.

    Returns:
        The grid.
    """
    angle = float(rng.uniform(0, np.pi / 2))
    rows, cols = canvas.axes_m()
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    cell = 260 / canvas.step_m
    u = rows * cos + cols * sin + value_noise(rng, canvas.shape, cell) * np.float32(bend_m)
    v = cols * cos - rows * sin + value_noise(rng, canvas.shape, cell) * np.float32(bend_m)

    def lines(low: float, high: float, stretch: float) -> NDArray[np.float64]:
        count = int((high - low) / block_m[0] / stretch) + 4
        steps = rng.uniform(block_m[0], block_m[1], count) * stretch
        return np.asarray(low - block_m[1] + np.cumsum(steps))

    long = float(rng.uniform(1.0, 1.9))
    return Grid(
        angle=angle,
        u=u,
        v=v,
        lines_u=lines(float(u.min()), float(u.max()), 1.0),
        lines_v=lines(float(v.min()), float(v.max()), long),
    )


def pave_grid(
    rng: np.random.Generator,
    canvas: Canvas,
    grid: Grid,
    *,
    width_m: tuple[float, float],
    missing: float,
) -> Bools:
    """Draw streets on the lines of a grid.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        grid: The lines.
        width_m: Smallest and largest width of a carriageway.
        missing: Share of the lines without a street.

    Returns:
        Where streets and pavements are, (row, col).
    """
    asphalt = textured(rng, canvas, jitter(rng, pick(rng, ASPHALT), 0.1), 0.04, 6)
    paving = textured(rng, canvas, jitter(rng, pick(rng, PAVING), 0.08), 0.04, 6)
    pavement_m = float(rng.uniform(0, 2.6))
    lanes = np.zeros(canvas.shape, dtype=bool)
    sides = np.zeros(canvas.shape, dtype=bool)
    marks = np.zeros(canvas.shape, dtype=bool)
    for axis in (0, 1):
        distance, nearest = grid.line_distance(axis)
        lines = grid.lines_u if axis == 0 else grid.lines_v
        widths = rng.uniform(width_m[0], width_m[1], len(lines)) * np.where(
            rng.random(len(lines)) < 0.18, 1.7, 1.0
        )
        widths[rng.random(len(lines)) < missing] = 0
        half = widths[nearest].astype(np.float32) / 2
        lanes |= distance < half
        sides |= (distance < half + pavement_m) & (half > 0)
        other = grid.v if axis == 0 else grid.u
        marks |= (distance < 0.22) & ((other % 9) < 5) & (half > 3.2)
    canvas.paint(sides, paving, ROAD)
    canvas.paint(lanes, asphalt, ROAD)
    canvas.rgb[marks & lanes] = canvas.rgb[marks & lanes] * np.float32(0.4) + np.float32(0.45)
    return sides | lanes


def pave_line(rng: np.random.Generator, canvas: Canvas, line: Floats, width_m: float) -> Bools:
    """Draw one road with edge lines and a middle line along a winding line; return where it is."""
    half = width_m / 2
    road = np.abs(line) < half
    canvas.paint(
        np.abs(line) < half + 1.5,
        textured(rng, canvas, jitter(rng, pick(rng, PAVING), 0.1), 0.06, 8),
        ROAD,
    )
    canvas.paint(road, textured(rng, canvas, jitter(rng, pick(rng, ASPHALT), 0.1), 0.035, 6), ROAD)
    marks = (np.abs(line) < 0.25) | (np.abs(np.abs(line) - half + 0.7) < 0.22)
    canvas.rgb[marks] = canvas.rgb[marks] * np.float32(0.45) + np.float32(0.42)
    return np.asarray(np.abs(line) < half + 1.5)


def park_cars(
    rng: np.random.Generator, canvas: Canvas, roads: Bools, *, per_hectare: float, angle: float
) -> None:
    """Put cars on the roads, most of them along one of the two street directions."""
    spots = np.flatnonzero(roads[::4, ::4])
    count = int(spots.size * 16 * canvas.step_m**2 / 1e4 * per_hectare)
    width = roads[::4, ::4].shape[1]
    for spot in rng.choice(spots, count) if spots.size else ():
        row_m, col_m = (
            (int(spot) // width * 4 + 0.5) * canvas.step_m,
            (int(spot) % width * 4 + 0.5) * canvas.step_m,
        )
        turn = angle + (np.pi / 2 if rng.random() < 0.5 else 0.0) + rng.normal(0, 0.05)
        where = canvas.window(row_m, col_m, 3.2)
        colour = jitter(rng, pick(rng, CARS), 0.1)
        if where is None:
            continue
        dr, dc = canvas.local(where, row_m, col_m)
        along = dr * np.float32(np.cos(turn)) + dc * np.float32(np.sin(turn))
        across = dc * np.float32(np.cos(turn)) - dr * np.float32(np.sin(turn))
        body = (np.abs(along) < 2.2) & (np.abs(across) < 0.95) & roads[where]
        glass = body & (np.abs(along - 0.7) < 0.45)
        canvas.rgb[where][body] = colour
        canvas.rgb[where][glass] = (0.12, 0.14, 0.17)
