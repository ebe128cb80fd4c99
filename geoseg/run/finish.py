"""From committed pieces to rasters and polygon files, in the store's ``final`` folder.

Without a minimum area the polygons are joined from what the blocks traced. With one, the
map is sieved once from top to bottom, and the same strips become the class raster and the
polygons.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.grid.tiling import BlockIndex, slice_order
from geoseg.raster.cog import LayerBand, MosaicPiece, mosaic_vrt, write_cog
from geoseg.raster.piece import read_piece
from geoseg.raster.strips import read_strips, written_strips
from geoseg.run.block import nodata_trace, slices, trace_layers
from geoseg.run.plan import RunPlan
from geoseg.run.store import RunStore, write_atomically
from geoseg.vector.polygons import Strip, VectorSummary, write_polygons
from geoseg.vector.sieve import sieve
from geoseg.vector.trace import BlockTrace

__all__ = ["PolygonResult", "raster_names", "write_polygon_files", "write_rasters"]

STRIP_ROWS: Final = 512
"""Rows that are sieved at a time; the height of a tile in the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolygonResult:
    """What became of the class map."""

    files: dict[str, Path]
    """Polygon files by name."""
    summary: VectorSummary | None
    """Counts and areas; None where no polygons were asked for."""
    class_px: tuple[int, ...] | None
    """Pixels per class of the sieved map in the legend's order; None where not sieved."""


def write_polygon_files(
    plan: RunPlan, store: RunStore, wait: Callable[[BlockIndex], None] = lambda _: None
) -> PolygonResult:
    """Write the polygons in every format, and the sieved map where one was asked for.

    Args:
        plan: The plan.
        store: Holds what the blocks made.
        wait: Called with each block before its outlines are read, not before a sieve.
    """
    files = plan.polygon_files(store.final)
    counts = np.zeros(256, np.int64)
    if plan.is_sieved:
        blocks: Iterator[Strip | BlockTrace] = _sieved_strips(plan, store, counts)
    else:
        blocks = _committed_traces(plan, store, wait)
    summary: VectorSummary | None = None
    if plan.wants_polygons:
        summary = write_polygons(
            blocks,
            grid=plan.scene.grid.subgrid(plan.output),
            legend=plan.card.legend,
            targets=plan.polygon_targets(store.final),
            outlines=plan.outlines,
            temp_dir=store.final,
        )
    else:
        for _ in blocks:
            pass
    return PolygonResult(
        files={f"polygons_{name}": path for name, path in files.items()},
        summary=summary,
        class_px=tuple(int(counts[i]) for i in plan.card.legend.ids) if plan.is_sieved else None,
    )


def _committed_traces(
    plan: RunPlan, store: RunStore, wait: Callable[[BlockIndex], None]
) -> Iterator[BlockTrace]:
    """Yield what the blocks traced, a row of slices across the output after the other."""
    for block, number in slice_order(plan.blocks(), lambda block: len(slices(plan, block))):
        wait(block)
        yield _committed_trace(plan, store, block, number)


def _committed_trace(plan: RunPlan, store: RunStore, block: BlockIndex, number: int) -> BlockTrace:
    """Return a slice of a block's trace; made now where the block was run without polygons."""
    trace = store.read_trace(block, number)
    if trace is not None:
        return trace
    place = slices(plan, block)[number]
    if not store.piece_path(block).is_file():
        return nodata_trace(plan, place)
    classes, confidence = read_piece(store.piece_path(block), (1, 2))
    return trace_layers(plan, block, classes, confidence, place)


def _sieved_strips(plan: RunPlan, store: RunStore, counts: NDArray[np.int64]) -> Iterator[Strip]:
    """Yield the sieved map, writing it to a file and counting its pixels on the way."""
    nodata = plan.card.legend.nodata_id
    mosaic = store.final / "labels.vrt"
    bands = [
        LayerBand(piece_band=1, description="class", nodata=nodata),
        LayerBand(piece_band=2, description="confidence", nodata=255),
    ]
    write_atomically(mosaic, _mosaic(plan, store, bands))
    read = partial(_strips, mosaic)
    with written_strips(_sieved_path(store), plan.output.shape) as write:
        for strip in sieve(read, min_px=plan.outlines.min_px, nodata_id=nodata):
            write(strip.window, strip.classes.astype(np.uint8, copy=False))
            counts += np.bincount(strip.classes.ravel(), minlength=256)
            yield strip


def _strips(path: Path) -> Iterator[Strip]:
    for window, values in read_strips(path, STRIP_ROWS):
        yield Strip(window, values[0], values[1])


def _sieved_path(store: RunStore) -> Path:
    return store.final / "sieved.tif"


def raster_names(plan: RunPlan) -> tuple[str, ...]:
    """Return the names of the raster layers that were asked for."""
    return tuple(_raster_layers(plan))


def write_rasters(
    plan: RunPlan, store: RunStore, names: Collection[str] | None = None
) -> dict[str, Path]:
    """Write one COG per raster layer that was asked for, side by side.

    Overviews take half of the time, and GDAL makes those of one file with one thread.

    Args:
        plan: The plan.
        store: Holds what the blocks made.
        names: Only these layers; default all.
    """
    found = _raster_layers(plan)
    layers = {name: found[name] for name in (found if names is None else names)}
    files = {name: store.final / f"{name}.tif" for name in layers}

    def write(name: str) -> None:
        sieved = name == "classes" and plan.is_sieved
        mosaic = _sieved_mosaic if sieved else _mosaic
        write_cog(
            mosaic(plan, store, layers[name]),
            files[name],
            overviews="MODE" if name.startswith("classes") else "AVERAGE",
            threads=plan.workers,
        )

    with ThreadPoolExecutor(plan.workers, thread_name_prefix="geoseg-raster") as pool:
        for _ in pool.map(write, layers):
            pass
    _sieved_path(store).unlink(missing_ok=True)
    return files


def _mosaic(plan: RunPlan, store: RunStore, bands: list[LayerBand]) -> str:
    """Return the VRT that shows the finished pieces as one raster."""
    pieces = [
        MosaicPiece(path=store.piece_path(block), window=plan.scene_window(block))
        for block in plan.blocks()
        if store.piece_path(block).is_file()
    ]
    return _vrt(plan, pieces, bands)


def _sieved_mosaic(plan: RunPlan, store: RunStore, bands: list[LayerBand]) -> str:
    """Return the VRT that shows the sieved map."""
    return _vrt(plan, [MosaicPiece(path=_sieved_path(store), window=plan.output)], bands)


def _vrt(plan: RunPlan, pieces: list[MosaicPiece], bands: list[LayerBand]) -> str:
    metadata = {"TIFFTAG_SOFTWARE": "geoseg", "GEOSEG_MODEL": plan.card.name}
    return mosaic_vrt(
        pieces, grid=plan.scene.grid, output=plan.output, bands=bands, metadata=metadata
    )


def _raster_layers(plan: RunPlan) -> dict[str, list[LayerBand]]:
    legend, layers = plan.card.legend, plan.layers
    byte = LayerBand(piece_band=2, description="confidence", nodata=255, scale=1 / 250)
    classes = LayerBand(piece_band=1, description="class", nodata=legend.nodata_id, legend=legend)
    found = {"classes": [classes]}
    if plan.keep_raw:
        found["classes_raw"] = [classes]
    if plan.confidence:
        found["confidence"] = [byte]
    if plan.seams:
        band = layers.index("seams") + 1
        found["seams"] = [replace(byte, piece_band=band, description="seam disagreement")]
    if plan.scores:
        found["scores"] = [
            replace(
                byte,
                piece_band=layers.index(f"score_{c.class_id}") + 1,
                description=f"score of {c.name}",
            )
            for c in legend
        ]
    return found
