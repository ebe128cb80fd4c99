"""Integer pixel windows: (row, col) offsets and (height, width) sizes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Window", "ceil_div", "round_up"]


def ceil_div(value: int, step: int) -> int:
    """Return the smallest n with ``n * step >= value``."""
    return -(-value // step)


def round_up(value: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is ``>= value``."""
    return ceil_div(value, step) * step


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels; offsets may be negative (padding), sizes may be 0."""

    row_off: int
    col_off: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            msg = f"window sizes must not be negative: {self.height} x {self.width}"
            raise ValueError(msg)

    @property
    def row_end(self) -> int:
        """First row after the window."""
        return self.row_off + self.height

    @property
    def col_end(self) -> int:
        """First column after the window."""
        return self.col_off + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def size_px(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def expand(self, margin_px: int) -> Window:
        """Grow by ``margin_px`` on all four sides (may leave the scene)."""
        return Window(
            self.row_off - margin_px,
            self.col_off - margin_px,
            self.height + 2 * margin_px,
            self.width + 2 * margin_px,
        )

    def intersect(self, other: Window) -> Window:
        """Return the common part; size 0 where there is none."""
        row = max(self.row_off, other.row_off)
        col = max(self.col_off, other.col_off)
        height = max(0, min(self.row_end, other.row_end) - row)
        width = max(0, min(self.col_end, other.col_end) - col)
        return Window(row, col, height, width)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Return the slices of this window in an array that holds ``outer``."""
        row = self.row_off - outer.row_off
        col = self.col_off - outer.col_off
        return slice(row, row + self.height), slice(col, col + self.width)
