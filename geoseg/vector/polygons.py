"""Class map in, polygon files out: the vector room's front door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from geoseg.errors import OutputError, SceneError
from geoseg.memory import return_freed_pages
from geoseg.options import Outlines
from geoseg.vector.area import pixel_areas
from geoseg.vector.assemble import assemble
from geoseg.vector.background import ahead, fan_out
from geoseg.vector.dissolve import dissolved
from geoseg.vector.drawing import Drawing
from geoseg.vector.features import Features, LayerInfo, to_record_batch
from geoseg.vector.join import join
from geoseg.vector.lattice import CornerMap
from geoseg.vector.postgis import Table, require_free
from geoseg.vector.strip import Strip
from geoseg.vector.trace import BlockTrace, trace_block
from geoseg.vector.writers import check_format, check_place, write_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pyarrow as pa

    from geoseg.grid.pixel_grid import PixelGrid
    from geoseg.legend import Legend
    from geoseg.vector.regions import Regions

__all__ = ["EXACT", "Strip", "Table", "VectorSummary", "check_polygons", "write_polygons"]

EXACT: Final = Outlines()
"""Every region, along the edges of its pixels."""
_CORNERS_PER_RETURN: Final = 3_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorSummary:
    """What was written."""

    n_polygons: int
    """Number of polygons in the layer."""
    px_count: dict[int, int]
    """Pixels per class id, every class of the legend."""
    area_m2: dict[int, float] | None
    """Square metres on the ground per class id, or None without a CRS."""


def check_polygons(*, grid: PixelGrid, targets: Sequence[Path | Table], outlines: Outlines) -> None:
    """Refuse now what ``write_polygons`` could not do after hours of work.

    Databases are asked whether they are there, have PostGIS and room under the name.

    Raises:
        OptionError: A target's ending or the CRS is unknown, or outlines are asked for
            that do not exist.
        OutputError: No such database, or a table that must stay.
    """
    drawing = Drawing(grid, outlines)
    for target in targets:
        check_place(target, drawing.crs_wkt)
        if isinstance(target, Table):
            require_free(target)


def write_polygons(
    strips: Iterable[Strip | BlockTrace],
    *,
    grid: PixelGrid,
    legend: Legend,
    targets: Sequence[Path | Table],
    layer: str = "polygons",
    outlines: Outlines = EXACT,
    progress: Callable[[int], None] | None = None,
    temp_dir: Path,
) -> VectorSummary:
    """Write the regions of a class map as polygons, by default pixel-exact.

    Features come in one order whatever the height of the strips, so the same map gives
    the same bytes. Memory is bounded by a few strips and what touches their lower edge.
    Strips are read in a thread of their own, regions are joined in another, and every
    target is written in one.
    Areas and counts are those of the pixels, however the outlines are drawn.

    Args:
        strips: The map from top to bottom, full width, without gaps; or blocks of it that
            are traced already, row by row of a grid of blocks, each from left to right.
        grid: Where the pixels lie.
        legend: Names and colours; ``legend.nodata_id`` gets no polygon.
        targets: Files to write, ending in .gpkg, .fgb, .parquet or .geojson; existing
            ones are replaced, and a failure leaves none. Tables of a database too, see
            :func:`geoseg.vector.postgis.write_postgis`.
        layer: Name of the layer in the formats that have names.
        outlines: How they are drawn. Simplified or smoothed ones leave no gap and no
            overlap: :func:`geoseg.vector.simplify.simplify_arcs`,
            :func:`geoseg.vector.smooth.smoothed`. With ``connectivity`` 8 the layer is one
            of MultiPolygons, as a polygon cannot hang together by a point. With
            ``dissolve`` the MultiPolygons come at the end, are put aside in ``temp_dir``
            and held one at a time. ``min_px`` is for who makes the strips.
        progress: Called with the number of rows done after each strip, in the thread that
            also reads the strips.
        temp_dir: Existing folder for what a format must put aside while it is written.

    Returns:
        Counts and areas.

    Raises:
        OptionError: A target's ending or the CRS is unknown, or outlines are asked for
            that do not exist.
        SceneError: A pixel's class id is not in the legend.
        OutputError: A file cannot be written, or the strips do not tile the grid.
    """
    for target in targets:
        check_format(target)
    _use_one_heap()
    drawing = Drawing(grid, outlines)
    areas = pixel_areas(grid)
    tally = _Tally(legend, with_area=areas is not None)
    info = _layer_info(layer, drawing, legend, temp_dir, multi=drawing.multi or outlines.dissolve)
    traces = ahead(_traces(strips, grid, legend, progress))
    regions = join(
        traces,
        height=grid.height,
        width=grid.width,
        traced=CornerMap(width=grid.width) if drawing.simplifies else None,
        connectivity=drawing.connectivity,
    )
    features: Iterator[Features] = (
        part for some in ahead(_tidied(regions)) for part in assemble(some, drawing, areas)
    )
    if outlines.dissolve:
        decimals = 0 if areas is None else areas.decimals
        features = dissolved(features, temp_dir, decimals=decimals)
    batches = (to_record_batch(tally.counted(part), legend) for part in features)
    try:
        fan_out(batches, [_writer(target, info) for target in targets])
    except BaseException:
        for target in targets:
            if isinstance(target, Path):
                target.unlink(missing_ok=True)
        raise
    return tally.summary()


def _use_one_heap() -> None:
    """Let Arrow's buffers share the heap of the arrays that they come from and go to."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    pa.set_memory_pool(pa.system_memory_pool())


def _tidied(regions: Iterator[Regions]) -> Iterator[Regions]:
    """Hand regions on, and give back the holes that they leave in the memory.

    Arrays of all sizes come and go with every slice; without this the process would grow
    by a quarter of what it holds.
    """
    corners = 0
    for some in regions:
        yield some
        corners += len(some.places)
        if corners > _CORNERS_PER_RETURN:
            corners = 0
            return_freed_pages()


def _traces(
    blocks: Iterable[Strip | BlockTrace],
    grid: PixelGrid,
    legend: Legend,
    progress: Callable[[int], None] | None,
) -> Iterator[BlockTrace]:
    """Trace what is not traced yet, refusing unknown class ids and wrong widths."""
    known = np.array([*legend.ids, legend.nodata_id])
    for block in blocks:
        trace = block if isinstance(block, BlockTrace) else _trace(block, grid, legend)
        strangers = np.setdiff1d(trace.region_class, known)
        if len(strangers):
            msg = f"the class raster holds id {strangers[0]}, which the legend does not know"
            raise SceneError(msg, hint=f"ids of the legend: {', '.join(map(str, legend.ids))}")
        yield trace
        if progress is not None and trace.window.col_end == grid.width:
            progress(trace.window.height)


def _trace(strip: Strip, grid: PixelGrid, legend: Legend) -> BlockTrace:
    window, classes, confidence = strip
    if (window.col_off, window.width) != (0, grid.width):
        msg = f"strip {window} does not span the {grid.width} columns of the map"
        raise OutputError(msg)
    return trace_block(classes, confidence, window, nodata_id=legend.nodata_id)


class _Tally:
    """Running totals per class."""

    def __init__(self, legend: Legend, *, with_area: bool) -> None:
        self._ids = np.sort(legend.ids)
        self._with_area = with_area
        self._count = 0
        self._px = np.zeros(len(legend), dtype=np.int64)
        self._area_m2 = np.zeros(len(legend))

    def counted(self, features: Features) -> Features:
        """Add features to the totals and return them."""
        self._count += len(features.class_id)
        place = np.searchsorted(self._ids, features.class_id)
        np.add.at(self._px, place, features.stats[:, 0])
        if features.area_m2 is not None:
            np.add.at(self._area_m2, place, features.area_m2)
        return features

    def summary(self) -> VectorSummary:
        ids = self._ids.tolist()
        area = dict(zip(ids, self._area_m2.tolist(), strict=True)) if self._with_area else None
        px_count = dict(zip(ids, self._px.tolist(), strict=True))
        return VectorSummary(n_polygons=self._count, px_count=px_count, area_m2=area)


def _writer(target: Path | Table, info: LayerInfo) -> Callable[[Iterator[pa.RecordBatch]], None]:
    return lambda batches: write_layer(batches, target, info)


def _layer_info(
    name: str, drawing: Drawing, legend: Legend, temp_dir: Path, *, multi: bool
) -> LayerInfo:
    return LayerInfo(
        name=name,
        crs_wkt=drawing.crs_wkt,
        legend=legend,
        bounds=drawing.bounds,
        temp_dir=temp_dir,
        pixel_size=drawing.pixel_size,
        multi=multi,
    )
