"""Boxes in longitude and latitude as a small map in SVG."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

__all__ = ["footprints_svg"]

Box = tuple[float, float, float, float]

_WIDE: Final = 900.0
_TALLEST: Final = 520.0
_SHORTEST: Final = 160.0
_LEAST_SPAN: Final = 0.02
_MARGIN: Final = 0.06
_LEAST_MARK: Final = 3.0
_LINES: Final = 5
_STEPS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)
_LEAST_COSINE: Final = 0.2


def footprints_svg(boxes: Sequence[tuple[Box, str]]) -> str:
    """Return the map.

    Lengths north and east are in proportion at its middle, so that the boxes have about the
    shape that they have on the ground.

    Args:
        boxes: (west, south, east, north) in degrees, and a colour; at least one. A box whose
            west is greater than its east lies across the date line.
    """
    parts = [(part, colour) for box, colour in boxes for part in _parts(box)]
    view = _View([part for part, _ in parts])
    paths: dict[str, list[str]] = defaultdict(list)
    for part, colour in parts:
        paths[colour].append(view.path(part))
    # One path per colour: ten thousand elements of their own would be slow to draw.
    shapes = "".join(
        f'<path d="{"".join(found)}" fill="{escape(colour)}" fill-opacity=".35" '
        f'stroke="{escape(colour)}" stroke-width="1"/>'
        for colour, found in paths.items()
    )
    return (
        f'<svg class="wide" viewBox="0 0 {_WIDE:.0f} {view.tall:.0f}" font-size="11" role="img" '
        f'aria-label="Map of the scenes"><rect width="100%" height="100%" fill="#f1f4f6"/>'
        f"{view.graticule()}{shapes}</svg>"
    )


def _parts(box: Box) -> list[Box]:
    west, south, east, north = box
    if west <= east:
        return [box]
    return [(west, south, 180.0, north), (-180.0, south, east, north)]


class _View:
    """The part of the Earth that is shown, and how it becomes a picture."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        wests, souths, easts, norths = zip(*boxes, strict=True)
        self._west, self._east = _wider(min(wests), max(easts))
        self._south, self._north = _wider(min(souths), max(norths))
        middle = math.radians((self._south + self._north) / 2)
        narrowing = max(math.cos(middle), _LEAST_COSINE)
        tall = _WIDE * (self._north - self._south) / ((self._east - self._west) * narrowing)
        self.tall = min(max(tall, _SHORTEST), _TALLEST)
        # Where that is not the picture's own shape, the map gets room at two sides.
        self._scale_y = min(self.tall, tall) / (self._north - self._south)
        self._scale_x = self._scale_y * narrowing
        self._left = (_WIDE - self._scale_x * (self._east - self._west)) / 2
        self._top = (self.tall - self._scale_y * (self._north - self._south)) / 2

    def x(self, lon: float) -> float:
        return self._left + (lon - self._west) * self._scale_x

    def y(self, lat: float) -> float:
        return self._top + (self._north - lat) * self._scale_y

    def path(self, box: Box) -> str:
        """Return a box as a part of a path; a tiny one is drawn so that it can be seen."""
        west, south, east, north = box
        x, y = self.x(west), self.y(north)
        wide = max(self.x(east) - x, _LEAST_MARK)
        high = max(self.y(south) - y, _LEAST_MARK)
        return f"M{x:.1f} {y:.1f}h{wide:.1f}v{high:.1f}h{-wide:.1f}z"

    def graticule(self) -> str:
        """Return lines of longitude and latitude with their names."""
        span = max(self._east - self._west, self._north - self._south)
        step = next((s for s in _STEPS if span / s <= _LINES), _STEPS[-1])
        lines = []
        for lon in _multiples(step, self._west, self._east):
            x = self.x(lon)
            lines.append(
                f'<path d="M{x:.1f} 0V{self.tall:.0f}" stroke="#d5dbdf"/>'
                f'<text x="{x + 3:.1f}" y="{self.tall - 5:.0f}" fill="#5b6770">'
                f"{_degrees(lon, 'EW')}</text>"
            )
        for lat in _multiples(step, self._south, self._north):
            y = self.y(lat)
            lines.append(
                f'<path d="M0 {y:.1f}H{_WIDE:.0f}" stroke="#d5dbdf"/>'
                f'<text x="4" y="{y - 3:.1f}" fill="#5b6770">{_degrees(lat, "NS")}</text>'
            )
        return "".join(lines)


def _wider(low: float, high: float) -> tuple[float, float]:
    """Return the span with a margin, and not so narrow that one place fills the picture."""
    extra = max((high - low) * _MARGIN, (_LEAST_SPAN - (high - low)) / 2)
    return low - extra, high + extra


def _multiples(step: float, low: float, high: float) -> list[float]:
    return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _degrees(value: float, letters: str) -> str:
    text = f"{abs(value):.3f}".rstrip("0").rstrip(".")
    return f"{text}°" if text == "0" else f"{text}° {letters[value < 0]}"
