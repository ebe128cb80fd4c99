"""Seeded synthetic scenes from above, with true labels: for examples, tests and training."""

from sample_scenes.canvas import BUILDING, LAND, NODATA, ROAD, VEGETATION, WATER
from sample_scenes.scene import STYLES, Style, make_bands, make_scene

__all__ = [
    "BUILDING",
    "LAND",
    "NODATA",
    "ROAD",
    "STYLES",
    "VEGETATION",
    "WATER",
    "Style",
    "make_bands",
    "make_scene",
]
