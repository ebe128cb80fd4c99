"""Raster to polygons: trace, join, simplify, write."""
