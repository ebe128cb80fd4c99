"""Houses of the synthetic scenes: pitched and flat roofs, cast shadows, pools."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sample_scenes.canvas import BUILDING, WATER, Canvas, jitter, pick, value_noise

if TYPE_CHECKING:
    from sample_scenes.canvas import Bools, Colour, Floats

TILES: tuple[Colour, ...] = (
    (0.66, 0.36, 0.26),
    (0.58, 0.31, 0.24),
    (0.72, 0.44, 0.31),
    (0.50, 0.31, 0.27),
    (0.40, 0.37, 0.37),
    (0.31, 0.31, 0.34),
)
FLATS: tuple[Colour, ...] = (
    (0.80, 0.79, 0.76),
    (0.68, 0.68, 0.68),
    (0.88, 0.87, 0.84),
    (0.55, 0.55, 0.56),
    (0.76, 0.71, 0.62),
    (0.44, 0.45, 0.47),
)
SHEETS: tuple[Colour, ...] = (
    (0.62, 0.68, 0.72),
    (0.45, 0.55, 0.64),
    (0.72, 0.72, 0.70),
    (0.55, 0.40, 0.36),
    (0.40, 0.52, 0.45),
    (0.85, 0.86, 0.87),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One building: a rectangle, perhaps with a wing."""

    row_m: float
    """Row of the middle in metres."""

    col_m: float
    """Column of the middle in metres."""

    turn: float
    """Direction of the ridge in radians."""

    length_m: float
    """Size along the ridge."""

    width_m: float
    """Size across the ridge."""

    height_m: float
    """Height, for the shadow."""

    kind: str
    """gable, hip, flat or hall."""

    wing: tuple[float, float] | None = None
    """Length and width of a wing at the end, or None."""


def random_house(
    rng: np.random.Generator,
    row_m: float,
    col_m: float,
    turn: float,
    *,
    room_m: float,
    kind: str | None = None,
) -> House:
    """Draw the properties of a house that fits a plot.

    Args:
        rng: The source of randomness.
        row_m: Row of the middle in metres.
        col_m: Column of the middle in metres.
        turn: Direction of the street in radians.
        room_m: Diameter of the plot.
        kind: Fixed kind of roof, or None for any.

    Returns:
        The house.
    """
    kind = kind or ("gable", "hip", "flat")[int(rng.choice(3, p=(0.42, 0.28, 0.30)))]
    length = float(np.clip(room_m * rng.uniform(0.55, 0.9), 6, 90))
    width = float(min(length * rng.uniform(0.5, 0.95), 16 if kind in {"gable", "hip"} else 60))
    height = (
        float(rng.uniform(4, 9)) if kind != "flat" else float(rng.uniform(3.5, 5 + room_m * 0.35))
    )
    wing = (
        (float(width * rng.uniform(0.5, 0.9)), float(length * rng.uniform(0.3, 0.5)))
        if rng.random() < 0.3
        else None
    )
    return House(
        row_m=row_m,
        col_m=col_m,
        turn=turn + (np.pi / 2 if rng.random() < 0.3 else 0.0),
        length_m=length,
        width_m=width,
        height_m=height,
        kind=kind,
        wing=wing,
    )


def _outline(house: House, along: Floats, across: Floats) -> tuple[Bools, Bools]:
    """Give the main body and the wing in the frame of the house."""
    main = (np.abs(along) < house.length_m / 2) & (np.abs(across) < house.width_m / 2)
    if house.wing is None:
        return main, np.zeros_like(main)
    reach, breadth = house.wing
    middle = house.length_m / 2 - breadth / 2
    wing = (
        (np.abs(along - middle) < breadth / 2) & (across > 0) & (across < house.width_m / 2 + reach)
    )
    return main, wing & ~main


def _facets(house: House, along: Floats, across: Floats, wing: Bools) -> tuple[Floats, Floats]:
    """Give the slope of the roof along and across the ridge, -1 to 1."""
    if house.kind in {"flat", "hall"}:
        slant = 0.35 if house.kind == "hall" else 0.0
        return np.zeros_like(along), np.sign(across) * np.float32(slant)
    fall_across, fall_along = np.sign(across), np.zeros_like(along)
    if house.kind == "hip":
        end = house.length_m / 2 - np.abs(along) < house.width_m / 2 - np.abs(across)
        fall_along = np.where(end, np.sign(along), 0)
        fall_across = np.where(end, 0, fall_across)
    if house.wing is not None:
        middle = house.length_m / 2 - house.wing[1] / 2
        fall_along = np.where(wing, np.sign(along - middle), fall_along)
        fall_across = np.where(wing, 0, fall_across)
    return fall_along.astype(np.float32), fall_across.astype(np.float32)


def _fittings(rng: np.random.Generator, house: House, along: Floats, across: Floats) -> Floats:
    """Give the brightness of chimneys, machines and parapets relative to the roof."""
    gain = np.ones(np.broadcast_shapes(along.shape, across.shape), dtype=np.float32)
    if house.kind == "flat":
        rim = (np.abs(along) > house.length_m / 2 - 0.7) | (
            np.abs(across) > house.width_m / 2 - 0.7
        )
        gain[rim] *= np.float32(rng.uniform(0.8, 1.25))
        for _ in range(int(house.length_m * house.width_m / 90)):
            a, b = rng.uniform(-0.4, 0.4) * house.length_m, rng.uniform(-0.4, 0.4) * house.width_m
            size = rng.uniform(0.6, 2.2)
            gain[(np.abs(along - a) < size) & (np.abs(across - b) < size * 0.8)] *= np.float32(
                rng.uniform(0.55, 1.25)
            )
    elif house.kind == "hall":
        gain += np.sin(along * np.float32(2 * np.pi / 1.7)) * np.float32(0.05)
    else:
        gain[np.abs(across) < 0.3] *= np.float32(0.9)
        a = rng.uniform(-0.35, 0.35) * house.length_m
        gain[(np.abs(along - a) < 0.5) & (np.abs(across - 1.1) < 0.5)] *= np.float32(0.6)
    return gain


def cast_shadow(canvas: Canvas, house: House) -> None:
    """Darken the ground that a house keeps from the sun."""
    reach = house.height_m * canvas.sun.length
    around = (
        np.hypot(house.length_m, house.width_m) / 2 + (house.wing[0] if house.wing else 0.0) + 1
    )
    where = canvas.window(house.row_m, house.col_m, around + reach)
    if where is None:
        return
    dr, dc = canvas.local(where, house.row_m, house.col_m)
    cos, sin = np.float32(np.cos(house.turn)), np.float32(np.sin(house.turn))
    dark = np.zeros(canvas.labels[where].shape, dtype=bool)
    # The shadow is the footprint swept along the light; steps of a pixel leave no gaps.
    for step in np.arange(0, reach + canvas.step_m, canvas.step_m * 1.5):
        r, c = dr - np.float32(canvas.sun.row * step), dc - np.float32(canvas.sun.col * step)
        main, wing = _outline(house, r * cos + c * sin, c * cos - r * sin)
        dark |= main | wing
    canvas.light[where][dark] = 0


def build(rng: np.random.Generator, canvas: Canvas, house: House) -> None:
    """Draw the roof of a house and label it."""
    around = (
        np.hypot(house.length_m, house.width_m) / 2 + (house.wing[0] if house.wing else 0.0) + 1
    )
    where = canvas.window(house.row_m, house.col_m, around)
    palette = {"flat": FLATS, "hall": SHEETS}.get(house.kind, TILES)
    colour = np.asarray(jitter(rng, pick(rng, palette), 0.14), dtype=np.float32)
    if where is None:
        return
    dr, dc = canvas.local(where, house.row_m, house.col_m)
    cos, sin = np.float32(np.cos(house.turn)), np.float32(np.sin(house.turn))
    along, across = dr * cos + dc * sin, dc * cos - dr * sin
    main, wing = _outline(house, along, across)
    fall_along, fall_across = _facets(house, along, across, wing)
    toward = -(
        fall_along * (cos * canvas.sun.row + sin * canvas.sun.col)
        + fall_across * (cos * canvas.sun.col - sin * canvas.sun.row)
    )
    grain = rng.standard_normal(along.shape, dtype=np.float32) * np.float32(0.03)
    stain = value_noise(rng, (along.shape[0], along.shape[1]), 4 / canvas.step_m) * np.float32(0.06)
    gain = (1 + np.float32(0.24) * toward + grain + stain) * _fittings(rng, house, along, across)
    roof = main | wing
    canvas.rgb[where][roof] = (colour * gain[..., None])[roof]
    canvas.labels[where][roof] = BUILDING
    canvas.light[where][roof] = 1


def lay_pool(
    rng: np.random.Generator, canvas: Canvas, row_m: float, col_m: float, turn: float
) -> None:
    """Draw a swimming pool with a pale rim."""
    where = canvas.window(row_m, col_m, 9)
    if where is None:
        return
    dr, dc = canvas.local(where, row_m, col_m)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = np.abs(dr * cos + dc * sin), np.abs(dc * cos - dr * sin)
    half_length, half_width = rng.uniform(3, 5.5), rng.uniform(1.8, 3)
    canvas.rgb[where][(along < half_length + 0.8) & (across < half_width + 0.8)] = (
        0.80,
        0.77,
        0.70,
    )
    pool = (along < half_length) & (across < half_width)
    canvas.rgb[where][pool] = jitter(rng, (0.28, 0.66, 0.74), 0.15)
    canvas.labels[where][pool] = WATER


def stands_on(canvas: Canvas, allowed: Bools, house: House) -> bool:
    """Tell whether the middle and the corners of a house lie on allowed ground."""
    cos, sin = np.cos(house.turn), np.sin(house.turn)
    half_a, half_b = house.length_m / 2 + 1, house.width_m / 2 + 1
    wing = house.wing[0] if house.wing else 0.0
    for a, b in (
        (0, 0),
        (half_a, half_b + wing),
        (half_a, -half_b),
        (-half_a, half_b + wing),
        (-half_a, -half_b),
    ):
        row = int((house.row_m + a * cos - b * sin) / canvas.step_m)
        col = int((house.col_m + a * sin + b * cos) / canvas.step_m)
        if 0 <= row < canvas.shape[0] and 0 <= col < canvas.shape[1] and not allowed[row, col]:
            return False
    return True


def raise_group(rng: np.random.Generator, canvas: Canvas, group: list[House]) -> None:
    """Draw houses, all shadows first: shadows lie on the ground, not on roofs."""
    for house in group:
        cast_shadow(canvas, house)
    for house in group:
        build(rng, canvas, house)
