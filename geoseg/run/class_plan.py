"""Everything decided before a class raster is vectorised, as one frozen value."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from geoseg.errors import OptionError, OutputError
from geoseg.grid.tiling import Tiling
from geoseg.grid.window import round_up
from geoseg.legend import Legend
from geoseg.model.legend_text import read_legend
from geoseg.options import POLYGON_SUFFIXES, Outlines, VectoriseOptions
from geoseg.raster.class_raster import (
    ClassRaster,
    ConfidenceRaster,
    open_class_raster,
    open_confidence,
)
from geoseg.run.plan import outlines_of
from geoseg.version import __version__

__all__ = ["ClassPlan", "make_class_plan"]

_BLOCK_PX: Final = 2048
_NO_CLASS: Final = 255


@dataclass(frozen=True, kw_only=True)
class ClassPlan:
    """One class raster, and the polygons that it becomes."""

    raster: ClassRaster
    """The input."""
    nodata: int | None
    """A value that is nodata beside what the file declares."""
    nodata_id: int
    """The value that stands for nodata in traces."""
    confidence: ConfidenceRaster | None
    """Confidence of every pixel."""
    legend: Legend | None
    """The user's legend; else the raster's own is used."""
    block_shape: tuple[int, int]
    """(height, width) of a block."""
    workers: int
    """Blocks worked on at a time."""
    outlines: Outlines
    """How the polygons are drawn."""
    targets: tuple[Path, ...]
    """Files to make."""
    warnings: tuple[str, ...]
    """What the user should know."""

    @property
    def is_traced(self) -> bool:
        """True where blocks trace their outlines; a sieved map is traced when it is there."""
        return self.outlines.min_px <= 1

    @cached_property
    def tiling(self) -> Tiling:
        """The blocks."""
        grid = self.raster.scene.grid
        height, width = self.block_shape
        return Tiling(
            height=grid.height,
            width=grid.width,
            core_height_px=height,
            core_width_px=width,
            halo_px=0,
            stride_px=1,
            block_rows=1,
            block_cols=1,
        )

    @property
    def store_folder(self) -> Path:
        """Hidden folder beside the first target."""
        return self.targets[0].with_name(f".{self.targets[0].name}.geoseg")

    @property
    def digest(self) -> str:
        """Digest of all that decides the traces."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    def identity(self) -> dict[str, Any]:
        """Return the facts behind ``digest`` as JSON values."""
        certain = self.confidence
        return {
            "geoseg": __version__,
            "raster": self.raster.scene.label,
            "fingerprint": self.raster.scene.fingerprint,
            "band": self.raster.band,
            "nodata": [self.nodata, self.nodata_id],
            "confidence": None
            if certain is None
            else [certain.scene.label, certain.scene.fingerprint, certain.scale, certain.offset],
        }

    def with_blocks(self, shape: tuple[int, int]) -> ClassPlan:
        """Return the plan with other blocks; the result stays the same."""
        return replace(self, block_shape=shape)


def make_class_plan(options: VectoriseOptions) -> ClassPlan:
    """Open the headers, check that everything fits, and decide.

    Raises:
        GeosegError: Anything that would make the work fail or its result wrong.
    """
    targets = _targets(options)
    raster = open_class_raster(options.raster, options.band)
    grid = raster.scene.grid
    confidence = None
    if options.confidence is not None:
        confidence = open_confidence(options.confidence, grid)
    nodata_id = _nodata_id(raster, options.nodata)
    legend = None
    if options.legend is not None:
        legend = read_legend(options.legend, nodata_id=nodata_id, flag="--legend")
    warnings = []
    if grid.crs_wkt is None:
        warnings.append(
            f"{raster.scene.label} has no CRS: polygons are in its own coordinates, areas in pixels"
        )
    return ClassPlan(
        raster=raster,
        nodata=options.nodata,
        nodata_id=nodata_id,
        confidence=confidence,
        legend=legend,
        block_shape=_block_shape(raster, options.block_px or _BLOCK_PX),
        workers=options.workers or _cores(),
        outlines=outlines_of(options, grid),
        targets=targets,
        warnings=tuple(warnings),
    )


def _targets(options: VectoriseOptions) -> tuple[Path, ...]:
    """Return the files to make, none of which may be there or be asked for twice."""
    from geoseg.vector.writers import check_format  # noqa: PLC0415 - only where needed

    targets = [Path(path).absolute() for path in options.out]
    targets += [targets[0].with_suffix(POLYGON_SUFFIXES[name]) for name in options.formats]
    targets = list(dict.fromkeys(targets))
    for target in targets:
        check_format(target)
        if not target.parent.is_dir():
            msg = f"cannot write {target}: there is no folder {target.parent}"
            raise OutputError(msg, hint="Make it first, or choose another --out.")
        if target.is_dir():
            msg = f"{target} is a folder, expected the name of a file to make"
            raise OutputError(msg, hint="Choose another --out.")
        if target.exists() and not options.overwrite:
            msg = f"{target} is there already"
            raise OutputError(msg, hint="Add --overwrite to replace it, or choose another --out.")
    return tuple(targets)


def _nodata_id(raster: ClassRaster, wanted: int | None) -> int:
    """Return the user's or the file's nodata value where a byte holds it, else 255."""
    declared = raster.scene.nodata[raster.band - 1] if wanted is None else wanted
    if declared is None or declared != int(declared) or not 0 <= declared <= _NO_CLASS:
        if wanted is not None:
            msg = f"--nodata must be 0 to {_NO_CLASS}, got {wanted}"
            raise OptionError(msg)
        return _NO_CLASS
    return int(declared)


def _block_shape(raster: ClassRaster, block_px: int) -> tuple[int, int]:
    """Return a block of about ``block_px`` squared that cuts few of the file's own blocks.

    A file in strips is cut into strips, or each of them would be decoded for every block
    that it crosses.
    """
    grid = raster.scene.grid
    down, across = raster.scene.block_shape
    if across >= grid.width > block_px:
        rows = max(1, block_px * block_px // grid.width)
        return min(round_up(rows, down), grid.height), grid.width
    height, width = round_up(block_px, down), round_up(block_px, across)
    if max(height, width) > 2 * block_px:
        height = width = block_px
    return min(height, grid.height), min(width, grid.width)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
