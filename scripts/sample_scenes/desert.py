"""Settlements on sand: walled blocks, towers, wide roads with medians, lagoons, few plants."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sample_scenes import ground, settlement, streets, trees
from sample_scenes.canvas import (
    BUILDING,
    LAND,
    ROAD,
    VEGETATION,
    WATER,
    Canvas,
    fractal_noise,
    jitter,
    pick,
    value_noise,
)

if TYPE_CHECKING:
    from sample_scenes.canvas import Bools, Colour, Floats

SANDS: tuple[Colour, ...] = (
    (0.62, 0.61, 0.60),
    (0.70, 0.68, 0.65),
    (0.55, 0.54, 0.54),
    (0.74, 0.69, 0.60),
    (0.66, 0.57, 0.46),
    (0.80, 0.78, 0.75),
)
SCRUBS: tuple[Colour, ...] = ((0.34, 0.37, 0.26), (0.28, 0.33, 0.22), (0.40, 0.42, 0.33))
PLOTS: dict[str, tuple[float, str | None]] = {
    "homes": (14.0, "flat"),
    "estate": (20.0, None),
    "flats": (36.0, "flat"),
    "works": (60.0, "hall"),
}
ODDS = (3.0, 1.6, 1.4, 0.8, 4.0, 0.3, 2.2)


def draw_desert(rng: np.random.Generator, canvas: Canvas) -> None:
    """Draw a settlement on sand."""
    sand = _lay_sand(rng, canvas)
    grid = streets.make_grid(rng, canvas, block_m=(80, 190), bend_m=rng.uniform(2, 24))
    kinds = _zone(rng, canvas, grid.cell_ids(), sand)
    paved = streets.pave_grid(rng, canvas, grid, width_m=(7, 13), missing=rng.uniform(0.1, 0.5))
    paved |= kinds["parking"]
    if rng.random() < 0.35:
        paved |= _pave_loops(rng, canvas)
    if rng.random() < 0.7:
        paved |= _pave_highway(rng, canvas, sand)
    wet = np.zeros(canvas.shape, dtype=bool)
    for _ in range(int(rng.integers(0, 3))):
        wet |= ground.dig_pond(rng, canvas, *canvas.random_spot(rng), rng.uniform(30, 110))
    free = ~paved & ~wet & (canvas.labels != ROAD)
    settlement.fill_blocks(rng, canvas, grid, kinds, free, PLOTS)
    open_ground = free & (canvas.labels != BUILDING) & (canvas.labels != WATER)
    for name, per_hectare in (("park", 60.0), ("estate", 45.0), ("homes", 20.0), ("bare", 2.0)):
        trees.plant_many(
            rng, canvas, open_ground & kinds[name],
            per_hectare=per_hectare * rng.uniform(0.3, 1.3), radius_m=(1.2, 3.6),
        )  # fmt: skip
    streets.park_cars(
        rng, canvas, canvas.labels == ROAD, per_hectare=rng.uniform(5, 30), angle=grid.angle
    )


def _lay_sand(rng: np.random.Generator, canvas: Canvas) -> Floats:
    """Cover the canvas with sand of two colours, with scrub here and there; return the sand."""
    pale = ground.textured(rng, canvas, jitter(rng, pick(rng, SANDS), 0.12), 0.06, 25)
    other = ground.textured(rng, canvas, jitter(rng, pick(rng, SANDS), 0.12), 0.09, 8)
    patch = fractal_noise(rng, canvas.shape, 90 / canvas.step_m, 5)
    share = np.clip(0.5 + patch * np.float32(rng.uniform(0.3, 1.5)), 0, 1)[..., None]
    sand = pale * (1 - share) + other * share
    canvas.paint(np.ones(canvas.shape, dtype=bool), sand, LAND)
    field = fractal_noise(rng, canvas.shape, 60 / canvas.step_m, 5)
    scrub = field > np.quantile(field[::8, ::8], rng.uniform(0.92, 1.0))
    tone = ground.textured(rng, canvas, jitter(rng, pick(rng, SCRUBS), 0.12), 0.12, 6)
    canvas.paint(scrub, tone, VEGETATION)
    return sand


def _zone(rng: np.random.Generator, canvas: Canvas, ids: Floats, sand: Floats) -> dict[str, Bools]:
    """Give every block a use and paint its ground; return where each use is."""
    kinds = settlement.share_out(rng, ids, ODDS)
    lawn = ground.textured(rng, canvas, jitter(rng, pick(rng, ground.LAWNS), 0.15), 0.08)
    paving = ground.textured(rng, canvas, jitter(rng, pick(rng, streets.PAVING), 0.15), 0.05)
    yard = sand * np.float32(rng.uniform(0.8, 1.1))
    canvas.paint(kinds["park"], lawn, VEGETATION)
    canvas.paint(kinds["parking"], paving, ROAD)
    canvas.paint(kinds["flats"], paving, LAND)
    canvas.paint(kinds["works"], yard, LAND)
    green = value_noise(rng, canvas.shape, 14 / canvas.step_m) > rng.uniform(-0.2, 0.9)
    for name in ("homes", "estate"):
        canvas.paint(kinds[name] & green, lawn, VEGETATION)
        canvas.paint(kinds[name] & ~green, yard, LAND)
    return kinds


def _pave_highway(rng: np.random.Generator, canvas: Canvas, sand: Floats) -> Bools:
    """Draw two carriageways with a median and sandy verges; return the strip."""
    line = ground.winding_line(rng, canvas, rng.uniform(5, 40), rng.uniform(250, 500))
    median_m, lanes_m = rng.uniform(2, 8), rng.uniform(9, 22)
    side = np.abs(line)
    strip = side < median_m + lanes_m + rng.uniform(6, 20)
    canvas.paint(strip, sand, LAND)
    canvas.light[strip] = 1
    road = (side > median_m) & (side < median_m + lanes_m)
    tone = jitter(rng, pick(rng, streets.ASPHALT), 0.2)
    canvas.paint(road, ground.textured(rng, canvas, tone, 0.04, 6), ROAD)
    lanes = road & ((side - median_m) % np.float32(3.6) < 0.3)
    canvas.rgb[lanes] = canvas.rgb[lanes] * np.float32(0.7) + np.float32(0.2)
    if rng.random() < 0.5:
        lawn = ground.textured(rng, canvas, jitter(rng, pick(rng, ground.LAWNS), 0.15), 0.08)
        canvas.paint(side < median_m - 0.6, lawn, VEGETATION)
    return np.asarray(strip)


def _pave_loops(rng: np.random.Generator, canvas: Canvas) -> Bools:
    """Draw the curved ramps of a junction; return where they are."""
    row_m, col_m = canvas.random_spot(rng)
    rows, cols = canvas.axes_m()
    radius_m, width_m = rng.uniform(28, 60), rng.uniform(7, 11)
    gap_m = radius_m * rng.uniform(1.2, 1.6)
    tone = jitter(rng, pick(rng, streets.ASPHALT), 0.2)
    asphalt = ground.textured(rng, canvas, tone, 0.04, 6)
    ramps = np.zeros(canvas.shape, dtype=bool)
    for down, right in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        at = np.float32(row_m + down * gap_m), np.float32(col_m + right * gap_m)
        away = np.hypot(rows - at[0], cols - at[1])
        ramps |= np.abs(away - np.float32(radius_m)) < width_m / 2
    canvas.paint(ramps, asphalt, ROAD)
    return ramps
