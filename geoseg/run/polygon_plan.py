"""What the options ask of the polygons, decided and checked before the first pixel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from geoseg.grid.pixel_grid import PixelGrid
from geoseg.options import DEFAULT_SIMPLIFY, Outlines, RunOptions, VectoriseOptions
from geoseg.vector.measures import length_pixels, min_pixels
from geoseg.vector.polygons import Table

__all__ = ["outlines_of", "table_of", "targets_of"]

_MARK_LETTERS = 16


def outlines_of(options: RunOptions | VectoriseOptions, grid: PixelGrid) -> Outlines:
    """Return how the polygons are drawn, in pixels of their grid.

    Raises:
        OptionError: A length or area without a unit, or in metres without a CRS.
    """
    area, tolerance = options.min_area, options.simplify
    if tolerance is None:
        tolerance = "0" if options.smooth else DEFAULT_SIMPLIFY
    return Outlines(
        min_px=1 if area is None else max(1, min_pixels(area, grid)),
        simplify_px=length_pixels(tolerance, grid),
        method=options.simplify_method,
        smooth=options.smooth,
        dissolve=options.dissolve,
        connectivity=options.connectivity,
        crs=options.crs,
    )


def table_of(
    options: RunOptions | VectoriseOptions, *, stem: str, digest: str, outlines: Outlines
) -> Table | None:
    """Return the database table that is asked for.

    Its mark is the same for the same pixels and outlines, so that a command that is
    repeated after a crash may replace what it wrote.

    Raises:
        OptionError: No address of a database, or no name of a table.
    """
    if options.postgis is None:
        return None
    facts = json.dumps([digest, asdict(outlines)], sort_keys=True)
    return Table(
        url=options.postgis,
        # A dot would stand for a schema.
        name=options.table or f"{stem.replace('.', '_')}_polygons",
        mark=hashlib.sha256(facts.encode()).hexdigest()[:_MARK_LETTERS],
        overwrite=options.overwrite,
    )


def targets_of(files: Iterable[Path], table: Table | None) -> list[Path | Table]:
    """Return all that polygons are written to: files, then the table."""
    return [*files] if table is None else [*files, table]
