"""Trees of the synthetic scenes: crowns with light and shade, woods and rows."""

# ruff: noqa: PLR2004
# The numbers below are sizes and odds of what is drawn; names would say no more.

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sample_scenes.canvas import VEGETATION, Canvas, fractal_noise, jitter, pick

if TYPE_CHECKING:
    from sample_scenes.canvas import Bools, Colour, Floats

CROWNS: tuple[Colour, ...] = (
    (0.21, 0.30, 0.13),
    (0.26, 0.35, 0.15),
    (0.17, 0.26, 0.13),
    (0.31, 0.37, 0.17),
    (0.22, 0.28, 0.16),
)


def plant(
    rng: np.random.Generator,
    canvas: Canvas,
    row_m: float,
    col_m: float,
    radius_m: float,
    colour: Colour,
) -> None:
    """Draw one crown: a bumpy disc, bright toward the sun, and its shadow.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        row_m: Row of the trunk in metres.
        col_m: Column of the trunk in metres.
        radius_m: Radius of the crown.
        colour: Colour of the crown in half light.
    """
    fall = radius_m * 1.1 * canvas.sun.length
    where = canvas.window(row_m, col_m, radius_m * 1.25 + fall)
    if where is None:
        return
    dr, dc = canvas.local(where, row_m, col_m)
    phase = rng.uniform(0, 2 * np.pi, 3)
    angle = np.arctan2(dr, dc)
    bumps = (
        1
        + 0.09 * np.sin(3 * angle + phase[0])
        + 0.07 * np.sin(5 * angle + phase[1])
        + 0.05 * np.sin(8 * angle + phase[2])
    )
    edge = np.float32(radius_m) * bumps
    distance = np.sqrt(dr * dr + dc * dc)
    crown = distance < edge
    shadow = (
        np.hypot(dr - np.float32(canvas.sun.row * fall), dc - np.float32(canvas.sun.col * fall))
        < radius_m
    )
    # Painted at once and not through `light`: a crown also shades roofs and crowns.
    shaded = shadow & ~crown & (canvas.light[where] > 0)
    canvas.rgb[where][shaded] *= np.float32(0.62)
    toward = -(dr * np.float32(canvas.sun.row) + dc * np.float32(canvas.sun.col)) / np.float32(
        radius_m
    )
    clumps = rng.standard_normal(distance.shape, dtype=np.float32)
    clumps[1:] = (clumps[1:] + clumps[:-1]) * np.float32(0.7)
    gain = 1 + 0.42 * toward - 0.18 * (distance / radius_m) ** 2 + 0.13 * clumps
    canvas.rgb[where][crown] = (
        np.asarray(colour, dtype=np.float32) * np.clip(gain, 0.25, 2)[..., None]
    )[crown]
    canvas.labels[where][crown] = VEGETATION
    canvas.light[where][crown] = 1


def plant_many(
    rng: np.random.Generator,
    canvas: Canvas,
    allowed: Bools,
    *,
    per_hectare: float,
    radius_m: tuple[float, float],
) -> None:
    """Scatter trees over a mask.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        allowed: Where trunks may stand, (row, col).
        per_hectare: Trees per hectare of the mask.
        radius_m: Smallest and largest radius of a crown.
    """
    spots = np.flatnonzero(allowed[::3, ::3])
    width = allowed[::3, ::3].shape[1]
    count = min(int(spots.size * 9 * canvas.step_m**2 / 1e4 * per_hectare), 9000)
    kind = pick(rng, CROWNS)
    chosen = np.sort(rng.choice(spots, count)) if count else np.empty(0, dtype=np.int64)
    for spot in chosen:
        row_m = (int(spot) // width * 3 + rng.uniform(0, 3)) * canvas.step_m
        col_m = (int(spot) % width * 3 + rng.uniform(0, 3)) * canvas.step_m
        radius = radius_m[0] + (radius_m[1] - radius_m[0]) * float(rng.beta(1.6, 2.4))
        plant(
            rng,
            canvas,
            row_m,
            col_m,
            radius,
            jitter(rng, kind if rng.random() < 0.6 else pick(rng, CROWNS), 0.2),
        )


def grow_wood(rng: np.random.Generator, canvas: Canvas, allowed: Bools, share: float) -> Bools:
    """Cover the densest part of a noise field with closed wood and return where it is.

    Args:
        rng: The source of randomness.
        canvas: Drawn in place.
        allowed: Where wood may grow, (row, col).
        share: Share of the canvas that wood would cover if all were allowed.

    Returns:
        Where the wood is, (row, col).
    """
    field: Floats = fractal_noise(rng, canvas.shape, 110 / canvas.step_m, 5)
    wood = (field > np.quantile(field[::8, ::8], 1 - share)) & allowed
    floor = np.asarray(jitter(rng, (0.13, 0.19, 0.10), 0.2), dtype=np.float32)
    canvas.rgb[wood] = floor * (1 + np.float32(0.2) * field[wood, None])
    canvas.labels[wood] = VEGETATION
    plant_many(rng, canvas, wood, per_hectare=260, radius_m=(2.0, 4.6))
    return wood
