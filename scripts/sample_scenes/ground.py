"""Ground covers of the synthetic scenes: lawns, bare ground, fields and water."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sample_scenes.canvas import (
    LAND,
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

LAWNS: tuple[Colour, ...] = (
    (0.36, 0.45, 0.22),
    (0.42, 0.48, 0.27),
    (0.31, 0.41, 0.20),
    (0.47, 0.50, 0.30),
)
SOILS: tuple[Colour, ...] = (
    (0.62, 0.53, 0.41),
    (0.70, 0.62, 0.49),
    (0.54, 0.44, 0.34),
    (0.66, 0.60, 0.54),
)
SANDS: tuple[Colour, ...] = ((0.83, 0.75, 0.60), (0.79, 0.70, 0.55), (0.87, 0.81, 0.69))
CROPS: tuple[Colour, ...] = (
    (0.30, 0.43, 0.17),
    (0.38, 0.48, 0.20),
    (0.24, 0.37, 0.17),
    (0.46, 0.51, 0.24),
    (0.34, 0.41, 0.25),
)
PLOUGHED: tuple[Colour, ...] = (
    (0.50, 0.39, 0.29),
    (0.60, 0.49, 0.37),
    (0.43, 0.34, 0.27),
    (0.72, 0.63, 0.44),
    (0.66, 0.55, 0.42),
)
# From clear and blue over silt to algae and the near black of deep, still water.
WATERS: tuple[Colour, ...] = (
    (0.13, 0.23, 0.29),
    (0.17, 0.29, 0.31),
    (0.10, 0.19, 0.29),
    (0.22, 0.30, 0.27),
    (0.31, 0.33, 0.28),
    (0.33, 0.28, 0.20),
    (0.15, 0.27, 0.13),
    (0.21, 0.33, 0.12),
    (0.09, 0.19, 0.12),
    (0.05, 0.08, 0.07),
    (0.03, 0.04, 0.05),
)
SEAS: tuple[Colour, ...] = (
    (0.09, 0.27, 0.38),
    (0.12, 0.32, 0.40),
    (0.07, 0.22, 0.34),
    (0.05, 0.08, 0.09),
    (0.08, 0.16, 0.16),
)
SHALLOWS: tuple[Colour, ...] = ((0.33, 0.56, 0.56), (0.42, 0.62, 0.58), (0.35, 0.50, 0.47))


def textured(
    rng: np.random.Generator, canvas: Canvas, colour: Colour, contrast: float, cell_m: float = 12.0
) -> Floats:
    """Give a colour over the canvas with coarse mottling and fine grain, (row, col, 3)."""
    coarse = fractal_noise(rng, canvas.shape, cell_m / canvas.step_m, 4)
    hue = value_noise(rng, canvas.shape, 3 * cell_m / canvas.step_m)
    grain = rng.standard_normal(canvas.shape, dtype=np.float32)
    gain = 1 + np.float32(contrast) * (coarse + 0.35 * grain)
    tilt = np.stack([hue, 0 * hue, -hue], axis=-1) * np.float32(contrast * 0.15)
    return (np.asarray(colour, dtype=np.float32) * gain[..., None] + tilt).astype(np.float32)


def lay_ground(rng: np.random.Generator, canvas: Canvas, greenness: float) -> None:
    """Cover the canvas with grass and bare ground, mixed by smooth noise.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        greenness: Share of grass, 0 to 1.
    """
    grass = textured(rng, canvas, jitter(rng, pick(rng, LAWNS), 0.1), 0.07)
    soil = textured(rng, canvas, jitter(rng, pick(rng, SOILS), 0.1), 0.06)
    patch = fractal_noise(rng, canvas.shape, 70 / canvas.step_m, 4)
    green = patch < np.quantile(patch[::8, ::8], greenness)
    canvas.paint(green, grass, VEGETATION)
    canvas.paint(~green, soil, LAND)


def sow_fields(
    rng: np.random.Generator, canvas: Canvas, cells: tuple[Floats, Floats], ids: Floats
) -> None:
    """Fill the cells of a warped grid with crops and bare fields in rows.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        cells: The warped coordinates (u, v) in metres, each (row, col).
        ids: The number of the cell of each pixel, (row, col).
    """
    mottling = fractal_noise(rng, canvas.shape, 40 / canvas.step_m, 5)
    grain = rng.standard_normal(canvas.shape, dtype=np.float32)
    for cell in np.unique(ids):
        mask = ids == cell
        bare = rng.random() < 0.36
        colour = jitter(rng, pick(rng, PLOUGHED if bare else CROPS), 0.12)
        along = cells[int(rng.integers(2))][mask]
        rows = np.sin(along * np.float32(2 * np.pi / rng.uniform(1.6, 3.6))) * np.float32(
            rng.uniform(0.0, 0.06)
        )
        tramlines = (np.abs((along % np.float32(rng.uniform(18, 27))) - 2) < 0.9) * np.float32(
            rng.uniform(0.0, 0.14)
        )
        gain = (
            1
            + rows
            - tramlines
            + np.float32(rng.uniform(0.03, 0.10)) * mottling[mask]
            + 0.025 * grain[mask]
        )
        canvas.rgb[mask] = np.asarray(colour, dtype=np.float32) * gain[:, None]
        canvas.labels[mask] = LAND if bare else VEGETATION


def fill_water(
    rng: np.random.Generator, canvas: Canvas, mask: Bools, colour: Colour | Floats, glint: float
) -> None:
    """Draw water: nearly smooth, with long ripples and rare glint.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        mask: Where water is, (row, col).
        colour: One colour, or one per pixel.
        glint: Strength of the ripples, 0 to 1.
    """
    ripples = value_noise(rng, canvas.shape, 2.5 / canvas.step_m) + value_noise(
        rng, canvas.shape, 40 / canvas.step_m
    )
    gain = 1 + np.float32(0.02 + 0.05 * glint) * ripples
    sparkle = np.maximum(ripples - 1.75, 0) * np.float32(glint * 0.8)
    tone = (
        np.broadcast_to(np.asarray(colour, dtype=np.float32), canvas.rgb.shape) * gain[..., None]
        + sparkle[..., None]
    )
    canvas.paint(mask, tone.astype(np.float32), WATER)
    canvas.light[mask] = 1


def winding_line(rng: np.random.Generator, canvas: Canvas, bend_m: float, turn_m: float) -> Floats:
    """Give the signed distance in metres, (row, col), to a line that winds across the canvas."""
    rows, cols = canvas.axes_m()
    angle = rng.uniform(0, 2 * np.pi)
    across = rows * np.float32(np.cos(angle)) + cols * np.float32(np.sin(angle))
    middle = np.float32(np.cos(angle) * canvas.size_m[0] / 2 + np.sin(angle) * canvas.size_m[1] / 2)
    offset = rng.uniform(-0.2, 0.2) * min(canvas.size_m)
    wander = value_noise(rng, canvas.shape, turn_m / canvas.step_m) * np.float32(bend_m)
    return across - middle - np.float32(offset) + wander


def dig_river(rng: np.random.Generator, canvas: Canvas, line: Floats, width_m: float) -> Bools:
    """Draw a river with bare banks along a winding line; return where the water is."""
    ragged = value_noise(rng, canvas.shape, 9 / canvas.step_m) * 1.2 + value_noise(
        rng, canvas.shape, 60 / canvas.step_m
    ) * np.float32(width_m * 0.12)
    distance = np.abs(line) + ragged
    bank = distance < width_m / 2 + rng.uniform(1.5, 5)
    canvas.paint(bank, textured(rng, canvas, jitter(rng, pick(rng, SOILS), 0.1), 0.07), LAND)
    water = distance < width_m / 2
    fill_water(rng, canvas, water, jitter(rng, pick(rng, WATERS), 0.15), rng.uniform(0, 0.5))
    return water


def dig_pond(
    rng: np.random.Generator, canvas: Canvas, row_m: float, col_m: float, radius_m: float
) -> Bools:
    """Draw a pond or lake with a ragged shore and return where the water is."""
    rows, cols = canvas.axes_m()
    squash, angle = rng.uniform(0.55, 1.0), rng.uniform(0, np.pi)
    dr, dc = rows - np.float32(row_m), cols - np.float32(col_m)
    u = dr * np.float32(np.cos(angle)) + dc * np.float32(np.sin(angle))
    v = dc * np.float32(np.cos(angle)) - dr * np.float32(np.sin(angle))
    radius = np.sqrt(u * u + (v / np.float32(squash)) ** 2)
    edge = radius + fractal_noise(
        rng, canvas.shape, radius_m * 0.7 / canvas.step_m, 3
    ) * np.float32(radius_m * 0.25)
    canvas.paint(
        edge < radius_m + 2.5, textured(rng, canvas, jitter(rng, pick(rng, SOILS), 0.1), 0.07), LAND
    )
    water = np.asarray(edge < radius_m)
    fill_water(rng, canvas, water, jitter(rng, pick(rng, WATERS), 0.15), rng.uniform(0, 0.4))
    return water


def flood_sea(rng: np.random.Generator, canvas: Canvas, shore_m: Floats) -> None:
    """Draw sea, surf and beach by the distance to the shore.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        shore_m: Signed distance to the waterline in metres, negative at sea, (row, col).
    """
    beach = (shore_m >= 0) & (
        shore_m < rng.uniform(14, 30) + 6 * value_noise(rng, canvas.shape, 80 / canvas.step_m)
    )
    canvas.paint(beach, textured(rng, canvas, jitter(rng, pick(rng, SANDS), 0.06), 0.03), LAND)
    wet = beach & (shore_m < 4)
    canvas.rgb[wet] *= np.float32(0.82)
    deep = np.asarray(jitter(rng, pick(rng, SEAS), 0.15), dtype=np.float32)
    shallow = np.asarray(jitter(rng, pick(rng, SHALLOWS), 0.1), dtype=np.float32)
    mix = np.clip(
        -shore_m / np.float32(rng.uniform(40, 130))
        + 0.12 * value_noise(rng, canvas.shape, 45 / canvas.step_m),
        0,
        1,
    )[..., None]
    fill_water(
        rng,
        canvas,
        shore_m < 0,
        (shallow * (1 - mix) + deep * mix).astype(np.float32),
        rng.uniform(0.1, 0.7),
    )
    lines = value_noise(rng, canvas.shape, 35 / canvas.step_m) * 5
    for at in (2.0, 13.0):
        broken = value_noise(rng, canvas.shape, 14 / canvas.step_m)
        surf = (
            (np.abs(-shore_m - at + lines * (at > 5)) < 1.4 + broken * 1.2)
            & (shore_m < 0)
            & (broken > -0.4 + (at > 5) * 0.5)
        )
        canvas.rgb[surf] = canvas.rgb[surf] * np.float32(0.35) + np.float32(0.58)
