"""Settlements of the synthetic scenes: blocks between streets, their uses, houses and trees."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sample_scenes import ground, houses, streets, trees
from sample_scenes.canvas import (
    BUILDING,
    LAND,
    ROAD,
    VEGETATION,
    WATER,
    Canvas,
    jitter,
    pick,
    value_noise,
)

if TYPE_CHECKING:
    from sample_scenes.canvas import Bools, Floats


USES = ("homes", "flats", "works", "park", "bare", "parking", "estate")
ODDS = (4.0, 2.0, 1.2, 1.4, 1.2, 0.35, 2.0)
# How much room a house has in metres, and its roof, by the use of the block.
PLOTS: dict[str, tuple[float, str | None]] = {
    "homes": (15.0, None),
    "estate": (21.0, None),
    "flats": (30.0, "flat"),
    "works": (44.0, "hall"),
}


def settle(rng: np.random.Generator, canvas: Canvas, inland: Bools, *, river: bool) -> None:
    """Draw a settlement: streets, blocks of several kinds, houses, trees, perhaps a river."""
    grid = streets.make_grid(rng, canvas, block_m=(62, 105), bend_m=rng.uniform(4, 34))
    ids = grid.cell_ids()
    kinds = _zone(rng, canvas, ids, inland)
    paved = streets.pave_grid(rng, canvas, grid, width_m=(6, 9), missing=0.08)
    paved |= kinds["parking"]
    wet = np.zeros(canvas.shape, dtype=bool)
    if river:
        wet |= ground.dig_river(
            rng, canvas, ground.winding_line(rng, canvas, 60, 230), rng.uniform(22, 55)
        )
        _bridge(rng, canvas, grid, wet)
    if rng.random() < 0.6:
        wet |= ground.dig_pond(rng, canvas, *canvas.random_spot(rng), rng.uniform(14, 38))
    free = inland & ~paved & ~wet
    fill_blocks(rng, canvas, grid, kinds, free & (canvas.labels != WATER))
    open_ground = free & (canvas.labels != BUILDING) & (canvas.labels != WATER)
    trees.grow_wood(rng, canvas, open_ground & kinds["park"], rng.uniform(0.2, 0.6))
    trees.plant_many(
        rng,
        canvas,
        open_ground & ~kinds["bare"],
        per_hectare=rng.uniform(8, 30),
        radius_m=(1.6, 4.6),
    )
    streets.park_cars(
        rng, canvas, canvas.labels == ROAD, per_hectare=rng.uniform(10, 35), angle=grid.angle
    )


def _bridge(rng: np.random.Generator, canvas: Canvas, grid: streets.Grid, wet: Bools) -> None:
    """Carry every second street of one direction over the water."""
    distance, nearest = grid.line_distance(int(rng.integers(2)))
    deck = (distance < 5) & (nearest % 3 == 0) & wet
    canvas.paint(
        deck, ground.textured(rng, canvas, jitter(rng, (0.55, 0.54, 0.52), 0.1), 0.03), ROAD
    )
    wet &= ~deck


def _zone(rng: np.random.Generator, canvas: Canvas, ids: Floats, inland: Bools) -> dict[str, Bools]:
    """Give every block a use and paint its ground; return where each use is."""
    kinds = share_out(rng, ids, ODDS)
    kinds = {name: where & inland for name, where in kinds.items()}
    lawn = ground.textured(rng, canvas, jitter(rng, pick(rng, ground.LAWNS), 0.1), 0.07)
    soil = ground.textured(rng, canvas, jitter(rng, pick(rng, ground.SOILS), 0.1), 0.05)
    yard = ground.textured(rng, canvas, jitter(rng, (0.58, 0.56, 0.53), 0.1), 0.04)
    canvas.paint(kinds["park"], lawn, VEGETATION)
    canvas.paint(kinds["bare"], soil, LAND)
    canvas.paint(kinds["works"], soil, LAND)
    canvas.paint(kinds["parking"], yard, ROAD)
    gardens = value_noise(rng, canvas.shape, 16 / canvas.step_m) > rng.uniform(-0.5, 0.3)
    for name in ("homes", "estate", "flats"):
        canvas.paint(kinds[name] & gardens, lawn, VEGETATION)
        canvas.paint(kinds[name] & ~gardens, soil, LAND)
    return kinds


def share_out(rng: np.random.Generator, ids: Floats, odds: tuple[float, ...]) -> dict[str, Bools]:
    """Give every block one of ``USES``, by shares that scatter about the odds."""
    cells, index = np.unique(ids, return_inverse=True)
    shares = rng.dirichlet(odds)
    use = rng.choice(len(USES), cells.size, p=shares)[index.reshape(ids.shape)]
    return {name: use == number for number, name in enumerate(USES)}


def fill_blocks(
    rng: np.random.Generator,
    canvas: Canvas,
    grid: streets.Grid,
    kinds: dict[str, Bools],
    free: Bools,
    plots: dict[str, tuple[float, str | None]] = PLOTS,
) -> None:
    """Stand houses in rows along the streets, larger ones where the block is for flats or works."""
    group: list[houses.House] = []
    taken = ~free
    for name, (room, roof) in plots.items():
        depth = room * 1.12
        for low_u, high_u in zip(grid.lines_u[:-1], grid.lines_u[1:], strict=True):
            for u in np.arange(low_u + 8 + depth / 2, high_u - 5 - depth / 2 + 0.1, depth):
                for v in np.arange(grid.lines_v[0], grid.lines_v[-1], room * rng.uniform(1.0, 1.3)):
                    row_m, col_m = grid.to_ground(
                        canvas, float(u + rng.normal(0, 0.8)), float(v + rng.normal(0, 0.8))
                    )
                    if not (0 <= row_m < canvas.size_m[0] and 0 <= col_m < canvas.size_m[1]):
                        continue
                    if (
                        not kinds[name][int(row_m / canvas.step_m), int(col_m / canvas.step_m)]
                        or rng.random() < 0.1
                    ):
                        continue
                    turn = grid.angle + np.pi / 2 + rng.normal(0, 0.03)
                    house = houses.random_house(rng, row_m, col_m, turn, room_m=room, kind=roof)
                    if houses.stands_on(canvas, ~taken, house):
                        group.append(house)
                        _take(canvas, taken, house)
                    elif (
                        name in {"homes", "estate"}
                        and rng.random() < 0.15
                        and free[int(row_m / canvas.step_m), int(col_m / canvas.step_m)]
                    ):
                        houses.lay_pool(rng, canvas, row_m, col_m, turn)
    houses.raise_group(rng, canvas, group)


def _take(canvas: Canvas, taken: Bools, house: houses.House) -> None:
    """Mark the ground around a house as used."""
    where = canvas.window(house.row_m, house.col_m, max(house.length_m, house.width_m) / 2)
    if where is not None:
        taken[where] = True
