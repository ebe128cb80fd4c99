"""Whole synthetic scenes: town, coast and farmland, with their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from sample_scenes import ground, houses, sensor, streets, trees
from sample_scenes.canvas import BUILDING, LAND, NODATA, ROAD, VEGETATION, WATER, Canvas, Sun, jitter, pick, value_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sample_scenes.canvas import Bools, Floats

Style = Literal["town", "coast", "farmland"]
STYLES: tuple[Style, ...] = get_args(Style)


def make_scene(seed: int, height: int, width: int, gsd_m: float, style: Style) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Bools]:
    """Make a scene and its labels; the same arguments give the same pixels.

    Args:
        seed: Seed of the scene.
        height: Rows.
        width: Columns.
        gsd_m: Ground sample distance in metres.
        style: What kind of place.

    Returns:
        Red, green and blue (3, row, col), labels (row, col) with 255 outside the footprint, and the footprint
        (row, col), True where there is data. Pixels have counts 1 to 255 inside the footprint and 0 outside.
    """
    bands, labels, valid = make_bands(seed, height, width, gsd_m, style)
    return bands[:3], labels, valid


def make_bands(seed: int, height: int, width: int, gsd_m: float, style: Style) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Bools]:
    """Make a scene like `make_scene`, with near infrared as a fourth band."""
    rng = np.random.default_rng([seed, STYLES.index(style)])
    # Twice the resolution, then averaged: edges get the mixed pixels that real images have.
    canvas = _blank(rng, 2 * height, 2 * width, gsd_m / 2)
    {"town": _draw_town, "coast": _draw_coast, "farmland": _draw_farmland}[style](rng, canvas)
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
        sun=Sun(row=float(np.sin(azimuth)), col=float(np.cos(azimuth)), length=float(rng.uniform(0.35, 0.95))),
    )


def _draw_town(rng: np.random.Generator, canvas: Canvas) -> None:
    ground.lay_ground(rng, canvas, rng.uniform(0.35, 0.8))
    _settle(rng, canvas, np.ones(canvas.shape, dtype=bool), river=bool(rng.random() < 0.5))


def _draw_coast(rng: np.random.Generator, canvas: Canvas) -> None:
    ground.lay_ground(rng, canvas, rng.uniform(0.25, 0.7))
    shore = ground.winding_line(rng, canvas, rng.uniform(20, 70), rng.uniform(180, 320)) + np.float32(rng.uniform(-60, 60))
    shore += value_noise(rng, canvas.shape, 30 / canvas.step_m) * np.float32(4)
    inland = shore > 42
    _settle(rng, canvas, inland, river=False)
    ground.flood_sea(rng, canvas, shore)
    # Houses stand on dry land only, so what the sea or the beach covered lies flat again.
    canvas.light[shore <= 30] = 1
    streets.pave_line(rng, canvas, shore - 38, rng.uniform(6, 10))
    trees.plant_many(rng, canvas, (shore > 24) & (shore < 31), per_hectare=rng.uniform(10, 70), radius_m=(1.5, 3.2))
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
        wet |= ground.dig_river(rng, canvas, ground.winding_line(rng, canvas, 50, 170), rng.uniform(9, 34))
    if rng.random() < 0.6:
        wet |= ground.dig_pond(rng, canvas, *_spot(rng, canvas), rng.uniform(18, 55))
    free &= ~streets.pave_line(rng, canvas, road, rng.uniform(6, 11)) & ~wet
    for _ in range(int(rng.integers(2, 6))):
        _build_farm(rng, canvas, free & (canvas.labels != ROAD))
    trees.grow_wood(rng, canvas, free & (canvas.labels != BUILDING) & (canvas.labels != ROAD), rng.uniform(0.05, 0.25))
    streets.park_cars(rng, canvas, canvas.labels == ROAD, per_hectare=5, angle=grid.angle)


def _spot(rng: np.random.Generator, canvas: Canvas) -> tuple[float, float]:
    return float(rng.uniform(0.15, 0.85) * canvas.size_m[0]), float(rng.uniform(0.15, 0.85) * canvas.size_m[1])


def _plant_hedges(rng: np.random.Generator, canvas: Canvas, grid: streets.Grid) -> Bools:
    """Line some field edges with grass and trees; return where."""
    hedges = np.zeros(canvas.shape, dtype=bool)
    for axis in (0, 1):
        distance, nearest = grid.line_distance(axis)
        lines = grid.lines_u if axis == 0 else grid.lines_v
        hedges |= (distance < 3.2) & (rng.random(len(lines)) < 0.45)[nearest]
    canvas.paint(hedges, ground.textured(rng, canvas, jitter(rng, pick(rng, ground.LAWNS), 0.1), 0.08), VEGETATION)
    trees.plant_many(rng, canvas, hedges, per_hectare=rng.uniform(60, 200), radius_m=(1.4, 4.0))
    return hedges


def _build_farm(rng: np.random.Generator, canvas: Canvas, free: Bools) -> None:
    """Set a yard with a house, barns and trees somewhere free."""
    row_m, col_m = _spot(rng, canvas)
    turn = float(rng.uniform(0, np.pi))
    rows, cols = canvas.axes_m()
    yard = (np.hypot(rows - row_m, cols - col_m) + 8 * value_noise(rng, canvas.shape, 20 / canvas.step_m) < rng.uniform(26, 42)) & free
    canvas.paint(yard, ground.textured(rng, canvas, jitter(rng, pick(rng, ground.SOILS), 0.1), 0.06), LAND)
    placed: list[houses.House] = []
    for slot in range(int(rng.integers(3, 6))):
        side = turn + slot * np.pi / 2 + rng.normal(0, 0.08)
        gap = rng.uniform(15, 20)
        at = (row_m + gap * np.sin(side), col_m + gap * np.cos(side))
        kind = "hall" if rng.random() < 0.5 else None
        placed.append(houses.random_house(rng, *at, side, room_m=float(rng.uniform(13, 24)), kind=kind))
    _raise(rng, canvas, [house for house in placed if _stands_on(canvas, free, house)])
    trees.plant_many(rng, canvas, yard & (canvas.labels == LAND), per_hectare=25, radius_m=(2, 4.5))


def _stands_on(canvas: Canvas, allowed: Bools, house: houses.House) -> bool:
    """Tell whether the middle and the corners of a house lie on allowed ground."""
    cos, sin = np.cos(house.turn), np.sin(house.turn)
    half_a, half_b = house.length_m / 2 + 1, house.width_m / 2 + 1
    wing = house.wing[0] if house.wing else 0.0
    for a, b in ((0, 0), (half_a, half_b + wing), (half_a, -half_b), (-half_a, half_b + wing), (-half_a, -half_b)):
        row = int((house.row_m + a * cos - b * sin) / canvas.step_m)
        col = int((house.col_m + a * sin + b * cos) / canvas.step_m)
        if 0 <= row < canvas.shape[0] and 0 <= col < canvas.shape[1] and not allowed[row, col]:
            return False
    return True


def _raise(rng: np.random.Generator, canvas: Canvas, group: list[houses.House]) -> None:
    """Draw all shadows before all roofs, so that no roof lies in its neighbour's shadow layer twice."""
    for house in group:
        houses.cast_shadow(canvas, house)
    for house in group:
        houses.build(rng, canvas, house)


def _settle(rng: np.random.Generator, canvas: Canvas, inland: Bools, *, river: bool) -> None:
    """Draw a settlement: streets, blocks of several kinds, houses, trees, perhaps a river."""
    grid = streets.make_grid(rng, canvas, block_m=(62, 105), bend_m=rng.uniform(4, 34))
    ids = grid.cell_ids()
    kinds = _zone(rng, canvas, ids, inland)
    paved = streets.pave_grid(rng, canvas, grid, width_m=(6, 9), missing=0.08)
    paved |= kinds["parking"]
    wet = np.zeros(canvas.shape, dtype=bool)
    if river:
        wet |= ground.dig_river(rng, canvas, ground.winding_line(rng, canvas, 60, 230), rng.uniform(22, 55))
        _bridge(rng, canvas, grid, wet)
    if rng.random() < 0.6:
        wet |= ground.dig_pond(rng, canvas, *_spot(rng, canvas), rng.uniform(14, 38))
    free = inland & ~paved & ~wet
    _fill_blocks(rng, canvas, grid, kinds, free & (canvas.labels != WATER))
    open_ground = free & (canvas.labels != BUILDING) & (canvas.labels != WATER)
    trees.grow_wood(rng, canvas, open_ground & kinds["park"], rng.uniform(0.2, 0.6))
    trees.plant_many(rng, canvas, open_ground & ~kinds["bare"], per_hectare=rng.uniform(8, 30), radius_m=(1.6, 4.6))
    streets.park_cars(rng, canvas, canvas.labels == ROAD, per_hectare=rng.uniform(10, 35), angle=grid.angle)


def _bridge(rng: np.random.Generator, canvas: Canvas, grid: streets.Grid, wet: Bools) -> None:
    """Carry every second street of one direction over the water."""
    distance, nearest = grid.line_distance(int(rng.integers(2)))
    deck = (distance < 5) & (nearest % 3 == 0) & wet
    canvas.paint(deck, ground.textured(rng, canvas, jitter(rng, (0.55, 0.54, 0.52), 0.1), 0.03), ROAD)
    wet &= ~deck


def _zone(rng: np.random.Generator, canvas: Canvas, ids: Floats, inland: Bools) -> dict[str, Bools]:
    """Give every block a use and paint its ground; return where each use is."""
    names = ("homes", "flats", "works", "park", "bare", "parking", "estate")
    cells, index = np.unique(ids, return_inverse=True)
    shares = rng.dirichlet((4, 2.0, 1.2, 1.4, 1.2, 0.35, 2.0))
    use = rng.choice(len(names), cells.size, p=shares)[index.reshape(ids.shape)]
    kinds = {name: (use == number) & inland for number, name in enumerate(names)}
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


def _fill_blocks(rng: np.random.Generator, canvas: Canvas, grid: streets.Grid, kinds: dict[str, Bools], free: Bools) -> None:
    """Stand houses in rows along the streets, larger ones where the block is for flats or works."""
    group: list[houses.House] = []
    plots = {"homes": (15.0, None), "estate": (21.0, None), "flats": (30.0, "flat"), "works": (44.0, "hall")}
    taken = ~free
    for name, (room, roof) in plots.items():
        depth = room * 1.12
        for low_u, high_u in zip(grid.lines_u[:-1], grid.lines_u[1:], strict=True):
            for u in np.arange(low_u + 8 + depth / 2, high_u - 5 - depth / 2 + 0.1, depth):
                for v in np.arange(grid.lines_v[0], grid.lines_v[-1], room * rng.uniform(1.0, 1.3)):
                    row_m, col_m = grid.to_ground(canvas, float(u + rng.normal(0, 0.8)), float(v + rng.normal(0, 0.8)))
                    if not (0 <= row_m < canvas.size_m[0] and 0 <= col_m < canvas.size_m[1]):
                        continue
                    if not kinds[name][int(row_m / canvas.step_m), int(col_m / canvas.step_m)] or rng.random() < 0.1:
                        continue
                    turn = grid.angle + np.pi / 2 + rng.normal(0, 0.03)
                    house = houses.random_house(rng, row_m, col_m, turn, room_m=room, kind=roof)
                    if _stands_on(canvas, ~taken, house):
                        group.append(house)
                        _take(canvas, taken, house)
                    elif name in {"homes", "estate"} and rng.random() < 0.15 and free[int(row_m / canvas.step_m), int(col_m / canvas.step_m)]:
                        houses.lay_pool(rng, canvas, row_m, col_m, turn)
    _raise(rng, canvas, group)


def _take(canvas: Canvas, taken: Bools, house: houses.House) -> None:
    """Mark the ground around a house as used."""
    where = canvas.window(house.row_m, house.col_m, max(house.length_m, house.width_m) / 2)
    if where is not None:
        taken[where] = True


def _moor_boats(rng: np.random.Generator, canvas: Canvas, shore: Floats) -> None:
    """Put a few boats on the sea; they keep the label of the water."""
    spots = np.argwhere((shore[::8, ::8] < -35) & (shore[::8, ::8] > -220))
    for spot in spots[rng.choice(len(spots), min(14, len(spots)), replace=False)] if len(spots) else ():
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
