"""Whole synthetic scenes: town, coast, farmland and desert, with their labels."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from sample_scenes import desert, ground, houses, sensor, settlement, streets, trees
from sample_scenes.canvas import (
    BUILDING,
    LAND,
    NODATA,
    ROAD,
    VEGETATION,
    Canvas,
    Sun,
    jitter,
    pick,
    value_noise,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sample_scenes.canvas import Bools, Floats

Style = Literal["town", "coast", "farmland", "desert"]
STYLES: tuple[Style, ...] = get_args(Style)


def make_scene(
    seed: int, height: int, width: int, gsd_m: float, style: Style
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Bools]:
    """Make a scene and its labels; the same arguments give the same pixels.

    Args:
        seed: Seed of the scene.
        height: Rows.
        width: Columns.
        gsd_m: Ground sample distance in metres.
        style: What kind of place.

    Returns:
        Red, green and blue (3, row, col), labels (row, col) with 255 outside the footprint, and
        the footprint (row, col), True where there is data. Pixels have counts 1 to 255 inside the
        footprint and 0 outside.
    """
    bands, labels, valid = make_bands(seed, height, width, gsd_m, style)
    return bands[:3], labels, valid


def make_bands(
    seed: int, height: int, width: int, gsd_m: float, style: Style
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Bools]:
    """Make a scene like `make_scene`, with near infrared as a fourth band."""
    rng = np.random.default_rng([seed, STYLES.index(style)])
    # Twice the resolution, then averaged: edges get the mixed pixels that real images have.
    canvas = _blank(rng, 2 * height, 2 * width, gsd_m / 2)
    _DRAWN[style](rng, canvas)
    labels = sensor.halve_labels(canvas.labels)
    image = sensor.halve(sensor.illuminate(canvas))
    infrared = sensor.near_infrared(rng, image, labels)
    counts = sensor.expose(rng, np.concatenate([image, infrared[..., None]], axis=-1))
    valid = sensor.footprint(rng, height, width)
    counts[:, ~valid] = 0
    labels[~valid] = NODATA
    return counts, labels, valid


def _blank(rng: np.random.Generator, height: int, width: int, step_m: float) -> Canvas:
    azimuth = rng.uniform(0, 2 * np.pi)
    return Canvas(
        rgb=np.zeros((height, width, 3), dtype=np.float32),
        labels=np.full((height, width), LAND, dtype=np.uint8),
        light=np.ones((height, width), dtype=np.float32),
        step_m=step_m,
        sun=Sun(
            row=float(np.sin(azimuth)),
            col=float(np.cos(azimuth)),
            length=float(rng.uniform(0.35, 0.95)),
        ),
    )


def _draw_town(rng: np.random.Generator, canvas: Canvas) -> None:
    ground.lay_ground(rng, canvas, rng.uniform(0.35, 0.8))
    settlement.settle(
        rng, canvas, np.ones(canvas.shape, dtype=bool), river=bool(rng.random() < 0.5)
    )


def _draw_coast(rng: np.random.Generator, canvas: Canvas) -> None:
    ground.lay_ground(rng, canvas, rng.uniform(0.25, 0.7))
    shore = ground.winding_line(
        rng, canvas, rng.uniform(20, 70), rng.uniform(180, 320)
    ) + np.float32(rng.uniform(-60, 60))
    shore += value_noise(rng, canvas.shape, 30 / canvas.step_m) * np.float32(4)
    inland = shore > 42
    settlement.settle(rng, canvas, inland, river=False)
    ground.flood_sea(rng, canvas, shore)
    # Houses stand on dry land only, so what the sea or the beach covered lies flat again.
    canvas.light[shore <= 30] = 1
    streets.pave_line(rng, canvas, shore - 38, rng.uniform(6, 10))
    trees.plant_many(
        rng,
        canvas,
        (shore > 24) & (shore < 31),
        per_hectare=rng.uniform(10, 70),
        radius_m=(1.5, 3.2),
    )
    _moor_boats(rng, canvas, shore)


def _draw_farmland(rng: np.random.Generator, canvas: Canvas) -> None:
    ground.lay_ground(rng, canvas, 0.8)
    grid = streets.make_grid(rng, canvas, block_m=(70, 190), bend_m=rng.uniform(6, 30))
    ids = grid.cell_ids()
    ground.sow_fields(rng, canvas, (grid.u, grid.v), ids)
    free = np.ones(canvas.shape, dtype=bool)
    free &= ~_plant_hedges(rng, canvas, grid)
    free &= ~streets.pave_grid(rng, canvas, grid, width_m=(3, 5), missing=0.7)
    road = ground.winding_line(rng, canvas, 25, 320)
    wet = np.zeros(canvas.shape, dtype=bool)
    if rng.random() < 0.75:
        wet |= ground.dig_river(
            rng, canvas, ground.winding_line(rng, canvas, 50, 170), rng.uniform(9, 34)
        )
    if rng.random() < 0.6:
        wet |= ground.dig_pond(rng, canvas, *canvas.random_spot(rng), rng.uniform(18, 55))
    free &= ~streets.pave_line(rng, canvas, road, rng.uniform(6, 11)) & ~wet
    for _ in range(int(rng.integers(2, 6))):
        _build_farm(rng, canvas, free & (canvas.labels != ROAD))
    trees.grow_wood(
        rng,
        canvas,
        free & (canvas.labels != BUILDING) & (canvas.labels != ROAD),
        rng.uniform(0.05, 0.25),
    )
    streets.park_cars(rng, canvas, canvas.labels == ROAD, per_hectare=5, angle=grid.angle)


def _plant_hedges(rng: np.random.Generator, canvas: Canvas, grid: streets.Grid) -> Bools:
    """Line some field edges with grass and trees; return where."""
    hedges = np.zeros(canvas.shape, dtype=bool)
    for axis in (0, 1):
        distance, nearest = grid.line_distance(axis)
        lines = grid.lines_u if axis == 0 else grid.lines_v
        hedges |= (distance < 3.2) & (rng.random(len(lines)) < 0.45)[nearest]
    canvas.paint(
        hedges,
        ground.textured(rng, canvas, jitter(rng, pick(rng, ground.LAWNS), 0.1), 0.08),
        VEGETATION,
    )
    trees.plant_many(rng, canvas, hedges, per_hectare=rng.uniform(60, 200), radius_m=(1.4, 4.0))
    return hedges


def _build_farm(rng: np.random.Generator, canvas: Canvas, free: Bools) -> None:
    """Set a yard with a house, barns and trees somewhere free."""
    row_m, col_m = canvas.random_spot(rng)
    turn = float(rng.uniform(0, np.pi))
    rows, cols = canvas.axes_m()
    yard = (
        np.hypot(rows - row_m, cols - col_m)
        + 8 * value_noise(rng, canvas.shape, 20 / canvas.step_m)
        < rng.uniform(26, 42)
    ) & free
    canvas.paint(
        yard, ground.textured(rng, canvas, jitter(rng, pick(rng, ground.SOILS), 0.1), 0.06), LAND
    )
    placed: list[houses.House] = []
    for slot in range(int(rng.integers(3, 6))):
        side = turn + slot * np.pi / 2 + rng.normal(0, 0.08)
        gap = rng.uniform(15, 20)
        at = (row_m + gap * np.sin(side), col_m + gap * np.cos(side))
        kind = "hall" if rng.random() < 0.5 else None
        placed.append(
            houses.random_house(rng, *at, side, room_m=float(rng.uniform(13, 24)), kind=kind)
        )
    houses.raise_group(
        rng, canvas, [house for house in placed if houses.stands_on(canvas, free, house)]
    )
    trees.plant_many(rng, canvas, yard & (canvas.labels == LAND), per_hectare=25, radius_m=(2, 4.5))


def _moor_boats(rng: np.random.Generator, canvas: Canvas, shore: Floats) -> None:
    """Put a few boats on the sea; they keep the label of the water."""
    spots = np.argwhere((shore[::8, ::8] < -35) & (shore[::8, ::8] > -220))
    for spot in (
        spots[rng.choice(len(spots), min(14, len(spots)), replace=False)] if len(spots) else ()
    ):
        row_m, col_m = float(spot[0] * 8 * canvas.step_m), float(spot[1] * 8 * canvas.step_m)
        where = canvas.window(row_m, col_m, 6)
        if where is None:
            continue
        dr, dc = canvas.local(where, row_m, col_m)
        turn = rng.uniform(0, np.pi)
        along = dr * np.float32(np.cos(turn)) + dc * np.float32(np.sin(turn))
        across = dc * np.float32(np.cos(turn)) - dr * np.float32(np.sin(turn))
        hull = (along / np.float32(rng.uniform(2.5, 5))) ** 2 + (across / np.float32(1.1)) ** 2 < 1
        canvas.rgb[where][hull] = (0.90, 0.90, 0.88)


_DRAWN = {
    "town": _draw_town,
    "coast": _draw_coast,
    "farmland": _draw_farmland,
    "desert": desert.draw_desert,
}
