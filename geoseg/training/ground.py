"""Ground that several scenes share, or where one of them ends beside another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyproj
from numpy.typing import NDArray

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.window import Window
from geoseg.training.split import TRAIN

__all__ = ["foreign_gaps", "same_ground"]

_SAME_GROUND: Final = 0.02
"""Part of a block that two scenes may share: grids do not meet to the pixel."""


def same_ground(
    grids: Sequence[PixelGrid], names: Sequence[str], places: NDArray[np.int64], side_px: int
) -> NDArray[np.intp]:
    """Return a number for each block; blocks of two scenes that overlap have the same one.

    Args:
        grids: Grid of each scene.
        names: File of each scene; without a CRS only this tells where it is.
        places: (block, 3) scene, block row, block column.
        side_px: Side of a block.
    """
    groups = np.arange(len(places))
    if len(grids) == 1:
        return groups
    world = _worlds(grids, names)[places[:, 0]]
    boxes = _boxes(grids, places, side_px)
    for k in range(len(places)):
        left, bottom, right, top = boxes[k]
        wide, tall = _SAME_GROUND * (right - left), _SAME_GROUND * (top - bottom)
        overlaps = (
            (places[:, 0] > places[k, 0]) & (world == world[k])
            & (boxes[:, 0] < right - wide) & (boxes[:, 2] > left + wide)
            & (boxes[:, 1] < top - tall) & (boxes[:, 3] > bottom + tall)
        )  # fmt: skip
        for other in np.flatnonzero(overlaps):
            groups[groups == groups[other]] = groups[k]
    found: NDArray[np.intp] = np.unique(groups, return_inverse=True)[1]
    return found


def foreign_gaps(
    grids: Sequence[PixelGrid],
    names: Sequence[str],
    places: NDArray[np.int64],
    part: NDArray[np.int8],
    side_px: int,
    gap_px: int,
) -> list[tuple[int, Window]]:
    """Return the strips of training blocks that touch ground of the other parts in other scenes.

    Scenes are often sheets of one image, cut without an overlap.

    Args:
        grids: Grid of each scene.
        names: File of each scene.
        places: (block, 3) scene, block row, block column.
        part: (block,) as ``split_blocks`` gives it.
        side_px: Side of a block.
        gap_px: Width of a strip.

    Returns:
        (block, window within the block) of what must not be trained on.
    """
    world = _worlds(grids, names)
    boxes = _boxes(grids, places, side_px)
    room = 2 * gap_px / side_px * (boxes[:, 2:] - boxes[:, :2])
    low, high = boxes[:, :2] - room, boxes[:, 2:] + room
    found = []
    for number in range(len(grids)):
        own = np.flatnonzero((places[:, 0] == number) & (part == TRAIN))
        if not len(own):
            continue
        near = (
            (places[:, 0] != number) & (part != TRAIN) & (world[places[:, 0]] == world[number])
            & (low < high[own].max(axis=0)).all(axis=1) & (high > low[own].min(axis=0)).all(axis=1)
        )  # fmt: skip
        blocks = {tuple(places[block, 1:].tolist()): int(block) for block in own}
        for other in np.flatnonzero(near):
            window = _window_of(boxes[other], grids[number], _first_crs(grids)).expand(gap_px)
            found += _cut(window, blocks, side_px)
    return found


def _worlds(grids: Sequence[PixelGrid], names: Sequence[str]) -> NDArray[np.intp]:
    """Return a number for each scene; those of one number have coordinates in common."""
    first = {name: k for k, name in reversed(list(enumerate(names, 1)))}
    return np.array(
        [0 if grid.crs else first[name] for grid, name in zip(grids, names, strict=True)], np.intp
    )


def _first_crs(grids: Sequence[PixelGrid]) -> pyproj.CRS | None:
    return next((grid.crs for grid in grids if grid.crs is not None), None)


def _boxes(
    grids: Sequence[PixelGrid], places: NDArray[np.int64], side_px: int
) -> NDArray[np.float64]:
    """Return (block, 4) left, bottom, right, top in the first CRS of all, or in none."""
    moves = [_mover(grid.crs, _first_crs(grids)) for grid in grids]
    boxes = []
    for number, row, col in places.tolist():
        window = Window(row * side_px, col * side_px, side_px, side_px)
        box = grids[number].subgrid(window.intersect(grids[number].window)).bounds
        move = moves[number]
        boxes.append(tuple(box) if move is None else move.transform_bounds(*box))
    return np.array(boxes, np.float64)


def _mover(source: pyproj.CRS | None, target: pyproj.CRS | None) -> pyproj.Transformer | None:
    """Return what brings coordinates from one CRS to another; None where it is one."""
    if source is None or target is None or source == target:
        return None
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def _window_of(box: NDArray[np.float64], grid: PixelGrid, crs: pyproj.CRS | None) -> Window:
    """Return the pixels of a grid that a box in a CRS touches; it may lie outside."""
    move = _mover(crs, grid.crs)
    left, bottom, right, top = box if move is None else move.transform_bounds(*box)
    back = ~grid.transform
    corners = [
        back @ corner for corner in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    cols, rows = zip(*corners, strict=True)
    if not all(map(math.isfinite, (*cols, *rows))):
        return Window(0, 0, 0, 0)
    row, col = math.floor(min(rows)), math.floor(min(cols))
    return Window(row, col, math.ceil(max(rows)) - row, math.ceil(max(cols)) - col)


def _cut(
    window: Window, blocks: dict[tuple[int, ...], int], side_px: int
) -> list[tuple[int, Window]]:
    """Return what a window takes of some blocks by (row, column), seen from each of them."""
    found = []
    for row in range(window.row_off // side_px, -(-window.row_end // side_px)):
        for col in range(window.col_off // side_px, -(-window.col_end // side_px)):
            if (row, col) in blocks:
                core = Window(row * side_px, col * side_px, side_px, side_px)
                rows, cols = window.intersect(core).within(core)
                inside = Window(
                    rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start
                )
                found.append((blocks[row, col], inside))
    return found
