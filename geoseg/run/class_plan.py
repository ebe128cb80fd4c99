"""Everything decided before a class raster is vectorised, as one frozen value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from geoseg.cores import usable_cores
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
from geoseg.run.polygon_plan import outlines_of, table_of, targets_of
from geoseg.vector.polygons import Table, check_polygons
from geoseg.vector.writers import check_format
from geoseg.version import __version__

__all__ = ["NO_VALUE", "ClassPlan", "make_class_plan"]

_BLOCK_PX: Final = 4096
_LARGEST_BYTE: Final = 255
NO_VALUE: Final = -(2**31)
"""Stands for nodata where no value does: the least number of four bytes."""


@dataclass(frozen=True, kw_only=True)
class ClassPlan:
    """One class raster, and the polygons that it becomes."""

    raster: ClassRaster
    """The input."""
    nodata: int | None
    """A value that is nodata beside what the file declares."""
    nodata_id: int
    """The value that stands for nodata in what is traced."""
    dtype: Literal["uint8", "int32"]
    """Type of what is traced."""
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
    table: Table | None
    """Table of a database that the polygons go to as well."""
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
        """Hidden folder beside the first file, or for a table in the current folder."""
        if self.targets:
            return self.targets[0].with_name(f".{self.targets[0].name}.geoseg")
        name = "polygons" if self.table is None else self.table.name.replace("/", "_")
        return Path.cwd() / f".{name}.geoseg"

    @property
    def labels(self) -> tuple[str, ...]:
        """What is made, as it may be shown: files, then the table."""
        files = tuple(str(target) for target in self.targets)
        return files if self.table is None else (*files, self.table.label)

    def polygon_targets(self, files: Sequence[Path]) -> list[Path | Table]:
        """Return all that polygons are written to, the files under these names."""
        return targets_of(files, self.table)

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
            "nodata": [self.nodata, self.nodata_id, self.dtype],
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
    nodata_id, dtype = _coding(raster, options.nodata)
    legend = None
    if options.legend is not None:
        legend = read_legend(options.legend, nodata_id=nodata_id, wide=True, flag="--legend")
    warnings = []
    if grid.crs_wkt is None:
        warnings.append(
            f"{raster.scene.label} has no CRS: polygons are in its own coordinates, areas in pixels"
        )
    plan = ClassPlan(
        raster=raster,
        nodata=options.nodata,
        nodata_id=nodata_id,
        dtype=dtype,
        confidence=confidence,
        legend=legend,
        block_shape=_block_shape(raster, options.block_px or _BLOCK_PX),
        workers=options.workers or usable_cores(),
        outlines=outlines_of(options, grid),
        targets=targets,
        table=None,
        warnings=tuple(warnings),
    )
    table = table_of(options, stem=raster.scene.stem, digest=plan.digest, outlines=plan.outlines)
    plan = replace(plan, table=table)
    check_polygons(grid=grid, targets=plan.polygon_targets(plan.targets), outlines=plan.outlines)
    return plan


def _targets(options: VectoriseOptions) -> tuple[Path, ...]:
    """Return the files to make, none of which may be there or be asked for twice."""
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


def _coding(raster: ClassRaster, wanted: int | None) -> tuple[int, Literal["uint8", "int32"]]:
    """Return the value for nodata, and the type that holds it beside all classes."""
    scene = raster.scene
    declared = scene.nodata[raster.band - 1] if wanted is None else wanted
    is_byte = scene.dtypes[raster.band - 1] == "uint8"
    if declared is not None and declared == int(declared):
        value = int(declared)
        if is_byte and 0 <= value <= _LARGEST_BYTE:
            return value, "uint8"
        if not is_byte and NO_VALUE <= value < -NO_VALUE:
            return value, "int32"
    if wanted is not None:
        msg = f"--nodata {wanted} is no value of {scene.dtypes[raster.band - 1]}"
        raise OptionError(msg)
    is_whole = not scene.has_dataset_mask and scene.alpha_band is None
    return NO_VALUE, "uint8" if is_byte and is_whole else "int32"


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
