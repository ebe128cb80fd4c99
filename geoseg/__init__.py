"""geoseg turns a georeferenced image of any size into a land-cover map and polygons."""

__version__ = "0.1.0"
