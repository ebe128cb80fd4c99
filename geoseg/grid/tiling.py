"""How a scene is cut: cores that cover it once, windows around them, blocks of them.

Everything is anchored at the scene's first pixel, and a block is a whole number of
cores. So a window sees the same pixels whichever block it belongs to, and the block
size can be anything without changing a pixel of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, product
from typing import Final, NamedTuple

from geoseg.grid.window import Window, ceil_div, round_up

__all__ = ["BlockIndex", "CoreIndex", "Tiling", "even_core_px", "shared_cores_px", "slice_order"]

_FEW_WINDOWS: Final = 36
_LIKELY_WORKERS: Final = (2, 4)
_MORE_PX: Final = 1.1


class BlockIndex(NamedTuple):
    """Position of a block in the grid of blocks."""

    row: int
    col: int

    @property
    def name(self) -> str:
        """File-name stem of the block's piece; sorts in reading order."""
        return f"r{self.row:05d}_c{self.col:05d}"

    def __str__(self) -> str:
        """Name the block for people."""
        return f"row {self.row}, column {self.col}"


class CoreIndex(NamedTuple):
    """Position of a core in the grid of cores."""

    row: int
    col: int


def slice_order(
    blocks: Iterable[BlockIndex], n_slices: Callable[[BlockIndex], int]
) -> Iterator[tuple[BlockIndex, int]]:
    """Yield (block, slice): a row of slices across the scene after the other, from the top.

    Args:
        blocks: In reading order.
        n_slices: How many slices a block has; blocks side by side have as many.
    """
    for _, row in groupby(blocks, key=lambda block: block.row):
        side_by_side = list(row)
        for number in range(n_slices(side_by_side[0])):
            for block in side_by_side:
                yield block, number


def even_core_px(length_px: int, max_core_px: int, stride_px: int, extra: int = 0) -> int:
    """Return the core length that cuts ``length_px`` into even parts.

    The result is a multiple of ``stride_px``, at most ``max(max_core_px, stride_px)``,
    and needs no more cores than ``max_core_px`` itself would; so the last core of a row
    is nearly as full as the others and little is computed outside the scene. ``extra`` asks
    for so many parts more.
    """
    largest = max(max_core_px // stride_px, 1) * stride_px
    count = ceil_div(length_px, largest)
    return round_up(ceil_div(length_px, count + extra), stride_px)


def shared_cores_px(
    shape: tuple[int, int], max_core_px: int, halo_px: int, stride_px: int
) -> tuple[int, int]:
    """Return the core (height, width) that lets a few workers share a grid and end together.

    Of nine windows, two workers do the last one while one of them waits. Twelve smaller ones
    hold more halo and are done sooner. The number of workers must not change the map, so the
    choice is made for two and for four of them alike. Whoever maps many small scenes at a time
    keeps all workers busy anyway, so no more than a tenth may be computed in addition. A grid of
    many windows is cut as ``even_core_px`` would.

    Args:
        shape: (height, width) of the grid.
        max_core_px: Largest side of a core.
        halo_px: Context around a core.
        stride_px: Sides are multiples of it.
    """

    def cut(extras: tuple[int, ...]) -> tuple[int, int]:
        height, width = (
            even_core_px(length, max_core_px, stride_px, extra)
            for length, extra in zip(shape, extras, strict=True)
        )
        return height, width

    def windows(core: tuple[int, int]) -> int:
        return math.prod(ceil_div(length, side) for length, side in zip(shape, core, strict=True))

    def window_px(core: tuple[int, int]) -> int:
        return math.prod(side + 2 * halo_px for side in core)

    def cost(core: tuple[int, int]) -> int:
        turns = sum(round_up(windows(core), workers) for workers in _LIKELY_WORKERS)
        return turns * window_px(core)

    even = cut((0, 0))
    if windows(even) >= _FEW_WINDOWS:
        return even
    most_px = _MORE_PX * windows(even) * window_px(even)
    cores = [cut(extras) for extras in product((0, 1), repeat=2)]
    # The first of equals has the fewest windows.
    return min((c for c in cores if windows(c) * window_px(c) <= most_px), key=cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Cores, windows and blocks of one pixel grid, computed, never stored.

    Post-conditions: the cores of all blocks are disjoint and cover the grid; every
    window has the shape ``window_shape`` and an origin that is a multiple of
    ``stride_px`` away from the grid's origin.
    """

    height: int
    """Rows of the grid."""
    width: int
    """Columns of the grid."""
    core_height_px: int
    """Rows that a window contributes."""
    core_width_px: int
    """Columns that a window contributes."""
    halo_px: int
    """Context around a core on every side."""
    stride_px: int
    """Total stride of the model."""
    block_rows: int
    """Cores per block, downwards."""
    block_cols: int
    """Cores per block, across."""

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.block_rows, self.block_cols) < 1:
            msg = f"sizes must be positive: {self}"
            raise ValueError(msg)
        if self.stride_px < 1 or self.halo_px < 0:
            msg = f"stride must be positive and halo not negative: {self}"
            raise ValueError(msg)
        for name, value in (
            ("core_height_px", self.core_height_px),
            ("core_width_px", self.core_width_px),
            ("halo_px", self.halo_px),
        ):
            if value % self.stride_px or (value == 0 and name != "halo_px"):
                msg = f"{name} = {value} is not a positive multiple of {self.stride_px}"
                raise ValueError(msg)

    @property
    def window_shape(self) -> tuple[int, int]:
        """(height, width) of every window."""
        return self.core_height_px + 2 * self.halo_px, self.core_width_px + 2 * self.halo_px

    @property
    def core_counts(self) -> tuple[int, int]:
        """Cores (downwards, across)."""
        return (
            ceil_div(self.height, self.core_height_px),
            ceil_div(self.width, self.core_width_px),
        )

    @property
    def block_counts(self) -> tuple[int, int]:
        """Blocks (downwards, across)."""
        rows, cols = self.core_counts
        return ceil_div(rows, self.block_rows), ceil_div(cols, self.block_cols)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        rows, cols = self.block_counts
        return rows * cols

    @property
    def n_windows(self) -> int:
        """Number of windows, were every one of them to hold valid pixels."""
        rows, cols = self.core_counts
        return rows * cols

    @property
    def redundancy(self) -> float:
        """Pixels forwarded per pixel of the grid, were every window to be forwarded."""
        height, width = self.window_shape
        return self.n_windows * height * width / (self.height * self.width)

    def blocks(self) -> Iterator[BlockIndex]:
        """Yield every block in reading order."""
        rows, cols = self.block_counts
        for row in range(rows):
            for col in range(cols):
                yield BlockIndex(row, col)

    def core_window(self, core: CoreIndex) -> Window:
        """Return the core's pixels, clipped to the grid."""
        full = Window(
            core.row * self.core_height_px,
            core.col * self.core_width_px,
            self.core_height_px,
            self.core_width_px,
        )
        return full.intersect(Window(0, 0, self.height, self.width))

    def model_window(self, core: CoreIndex) -> Window:
        """Return what the model sees for a core; it may leave the grid on any side."""
        height, width = self.window_shape
        return Window(
            core.row * self.core_height_px - self.halo_px,
            core.col * self.core_width_px - self.halo_px,
            height,
            width,
        )

    def block_window(self, block: BlockIndex) -> Window:
        """Return the pixels that a block contributes, clipped to the grid."""
        full = Window(
            block.row * self.block_rows * self.core_height_px,
            block.col * self.block_cols * self.core_width_px,
            self.block_rows * self.core_height_px,
            self.block_cols * self.core_width_px,
        )
        return full.intersect(Window(0, 0, self.height, self.width))

    def block_cores(self, block: BlockIndex, ring: int = 0) -> Iterator[CoreIndex]:
        """Yield the cores of a block in reading order, with ``ring`` more on every side."""
        rows, cols = self.core_counts
        first_row, first_col = block.row * self.block_rows, block.col * self.block_cols
        last_row = min(first_row + self.block_rows + ring, rows)
        last_col = min(first_col + self.block_cols + ring, cols)
        for row in range(max(first_row - ring, 0), last_row):
            for col in range(max(first_col - ring, 0), last_col):
                yield CoreIndex(row, col)
