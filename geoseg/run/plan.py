"""Everything decided before the first pixel is computed, as one frozen value.

A plan holds addresses and numbers only. It travels to workers, is written into the run
store, and its digest tells whether an interrupted run may be continued.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from geoseg.errors import OptionError, SceneError
from geoseg.grid.resample import GridScale
from geoseg.grid.tiling import BlockIndex, Tiling, even_core_px, shared_cores_px
from geoseg.grid.window import Window, ceil_div, round_up
from geoseg.memory import physical_memory_bytes
from geoseg.model.card import ModelCard, StitchMode
from geoseg.model.device import Device, choose_device
from geoseg.model.network import predictor_identity
from geoseg.model.registry import find_model
from geoseg.options import POLYGON_SUFFIXES, NodataRule, Outlines, RunOptions
from geoseg.raster.read import Polygons, sample_values
from geoseg.raster.scene import Scene, open_scene, select_bands
from geoseg.run.fit import check_value_range, collar_warnings, fit_grid
from geoseg.run.polygon_plan import outlines_of, table_of, targets_of
from geoseg.run.tuning import Setting, automatic_setting, stored_setting
from geoseg.vector.polygons import Table, check_polygons
from geoseg.version import __version__

__all__ = ["RunPlan", "make_plan"]

_BLOCK_PX: Final = 2048
_MOST_BLOCKS: Final = 2_000_000
_SMALL_SCENE_PX: Final = 4_000_000
_SMALL_CORE_PX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """One scene, one model, and how they meet."""

    scene: Scene
    """The input."""
    bands: tuple[int, ...]
    """1-based scene bands in the model's order."""
    nodata_rule: NodataRule
    """When a pixel is nodata."""
    value_range: tuple[float, float] | None
    """Scene values mapped onto the card's range, or None."""
    card: ModelCard
    """The model."""
    model_folder: Path
    """Where its weights are."""
    scale: GridScale
    """Scene pixels to model pixels."""
    tiling: Tiling
    """Cores, windows and blocks on the model's grid."""
    stitch: StitchMode
    """Crop or blend."""
    aoi: Polygons | None
    """Area of interest in the scene's pixel corners (col, row)."""
    output: Window
    """The part of the scene's grid that the result covers."""
    device: Device
    """Where and how precisely the network runs."""
    batch_size: int
    """Windows per forward pass."""
    workers: int
    """Blocks in the network at a time; does not change the result."""
    confidence: bool
    """Write ``confidence.tif``."""
    scores: bool
    """Write ``scores.tif``."""
    seams: bool
    """Write ``seams.tif``."""
    formats: tuple[str, ...]
    """Polygon formats."""
    table: Table | None
    """Table of a database that the polygons go to as well."""
    outlines: Outlines
    """How the polygons are drawn."""
    keep_raw: bool
    """Write ``classes_raw.tif``, the map with its small regions, too."""
    out: Path
    """Result folder."""
    warnings: tuple[str, ...]
    """What the user should know before the run."""
    sample_sha256: str
    """Digest of a few of the scene's pixels: remote files have no time of change."""
    setting_text: str
    """Where backend, precision, windows and workers come from."""
    is_measured: bool
    """True where they come from a measurement."""

    def blocks(self) -> list[BlockIndex]:
        """Return the blocks that touch the output, in reading order."""
        return [b for b in self.tiling.blocks() if self.output_window(b).size_px]

    def scene_window(self, block: BlockIndex) -> Window:
        """Return the scene pixels that a block is responsible for."""
        return self.scale.scene_window(self.tiling.block_window(block))

    def output_window(self, block: BlockIndex) -> Window:
        """Return the part of a block's scene pixels that lies in the output."""
        return self.scene_window(block).intersect(self.output)

    @property
    def blocks_in_flight(self) -> int:
        """Blocks worked on at a time: those in the network, and some that read or write.

        One more than workers hides what a disk does; of a remote scene, twice as many hide
        what the network between does. This bounds the memory.
        """
        return self.workers + (self.workers if self.scene.is_remote else 1)

    @property
    def wants_polygons(self) -> bool:
        """True where polygons go to a file or a database."""
        return bool(self.formats) or self.table is not None

    def polygon_files(self, folder: Path) -> dict[str, Path]:
        """Return the polygon file of each format in a folder."""
        return {name: folder / f"polygons{POLYGON_SUFFIXES[name]}" for name in self.formats}

    def polygon_targets(self, folder: Path) -> list[Path | Table]:
        """Return all that polygons are written to, with the files in a folder."""
        return targets_of(self.polygon_files(folder).values(), self.table)

    @property
    def is_sieved(self) -> bool:
        """True where small regions are removed from the finished map."""
        return self.outlines.min_px > 1

    @property
    def is_traced(self) -> bool:
        """True where blocks trace their outlines; a sieved map is traced when it is there."""
        return self.wants_polygons and not self.is_sieved

    @property
    def parts_per_core(self) -> int:
        """Parts, each way, of a core that a window at an edge may be cut down to.

        A GPU takes windows of one shape at a time, and a batch that is not full is filled up.
        """
        return 16 if self.device.is_cpu else 4

    @property
    def takes_labels(self) -> bool:
        """True where a window's labels are copied; else its scores are needed."""
        is_cropped = self.stitch == "crop" and self.scale.is_identity
        return is_cropped and not (self.scores or self.seams)

    @property
    def layers(self) -> tuple[str, ...]:
        """Meaning of a piece's bands, in order."""
        fixed = ["classes", "confidence"]
        if self.seams:
            fixed.append("seams")
        return (*fixed, *(f"score_{c.class_id}" for c in self.card.legend if self.scores))

    @property
    def redundancy(self) -> float:
        """Pixels forwarded per model pixel, were everything valid."""
        return self.tiling.redundancy

    @property
    def digest(self) -> str:
        """Digest of all that decides the pixels; blocks, batches and workers do not."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()

    @property
    def files_digest(self) -> str:
        """Digest of all that decides the files of the result: the pixels, and what is drawn."""
        facts = {
            "digest": self.digest,
            "formats": list(self.formats),
            "table": None if self.table is None else self.table.label,
            "outlines": asdict(self.outlines),
            "keep_raw": self.keep_raw,
            "confidence": self.confidence,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def layout(self) -> tuple[int, int]:
        """Cores per block (downwards, across)."""
        return self.tiling.block_rows, self.tiling.block_cols

    def with_layout(self, layout: tuple[int, int]) -> RunPlan:
        """Return the plan with other blocks; the result stays the same."""
        rows, cols = layout
        return replace(self, tiling=replace(self.tiling, block_rows=rows, block_cols=cols))

    def identity(self) -> dict[str, Any]:
        """Return the facts behind ``digest`` as JSON values."""
        tiling, scale = self.tiling, self.scale
        return {
            "geoseg": __version__,
            "scene": self.scene.label,
            "scene_fingerprint": self.scene.fingerprint,
            "sample_sha256": self.sample_sha256,
            "bands": list(self.bands),
            "nodata": self.scene.blank_value,
            "nodata_rule": self.nodata_rule,
            "value_range": self.value_range,
            "model": predictor_identity(self.card, self.device.backend),
            "steps": [scale.row_step, scale.col_step],
            "core_px": [tiling.core_height_px, tiling.core_width_px],
            "halo_px": tiling.halo_px,
            "parts_per_core": self.parts_per_core,
            "stitch": self.stitch,
            "aoi": self.aoi,
            "device": self.device.name.split(":")[0],
            "precision": self.device.precision,
            "backend": self.device.backend,
            "layers": list(self.layers),
        }


def make_plan(options: RunOptions, *, use_measured: bool = True) -> RunPlan:
    """Open the headers, check that everything fits, and decide.

    Args:
        options: What to do.
        use_measured: Follow what ``geoseg tune`` has found; else the automatic setting.

    Raises:
        GeosegError: Anything that would make the run fail or its result wrong.
    """
    scene = replace(open_scene(options.scene), blank_value=options.nodata)
    folder, card = find_model(options.model)
    bands = select_bands(scene, card.bands, options.bands)
    scale, warnings = fit_grid(scene, card, options.gsd_m)
    sample = sample_values(scene, bands, options.nodata_rule)
    check_value_range(scene, card, sample, mapped=options.value_range is not None)
    warnings += collar_warnings(scene, sample)
    aoi = _read_aoi(options.aoi, scene)
    setting, device_name = _setting(options, card, folder, use_measured=use_measured)
    device = setting.device(device_name)
    stitch: StitchMode = card.stitch if options.stitch == "auto" else options.stitch
    workers = options.workers or setting.workers
    tiling = _tiling(options, card, scale, setting.core_px, workers, is_cpu=device.is_cpu)
    _refuse_endless(scene, tiling)
    _refuse_giant(device, card, tiling)
    # More than there is to do would only take time and memory.
    workers = min(workers, max(tiling.n_blocks, setting.workers))
    most = max((tiling.block_rows + 2) * (tiling.block_cols + 2), setting.batch_size)
    batch_size = min(options.batch_size or setting.batch_size, most)
    if stitch == "crop" and tiling.halo_px < card.halo_px:
        warnings.append(
            f"halo of {tiling.halo_px} px is below the {card.halo_px} px measured for model "
            f"{card.name!r}: seams may show"
        )
    output = _output_window(scene, aoi)
    plan = RunPlan(
        scene=scene,
        bands=bands,
        nodata_rule=options.nodata_rule,
        value_range=options.value_range,
        card=card,
        model_folder=folder,
        scale=scale,
        tiling=tiling,
        stitch=stitch,
        aoi=aoi,
        output=output,
        device=device,
        batch_size=batch_size,
        workers=workers,
        confidence=options.confidence,
        scores=options.scores,
        seams=options.seams,
        formats=options.formats,
        table=None,
        outlines=outlines_of(options, scene.grid.subgrid(output)),
        keep_raw=options.keep_raw,
        out=(options.out or Path(f"{scene.stem}_geoseg")).absolute(),
        warnings=tuple(warnings),
        sample_sha256=hashlib.sha256(sample.tobytes()).hexdigest(),
        setting_text=(
            f"measured here {setting.measured}: {setting.mpx_per_s:.2f} Mpx/s"
            if setting.mpx_per_s
            else "automatic; 'geoseg tune' measures what is fastest here"
        ),
        is_measured=setting.mpx_per_s > 0,
    )
    table = table_of(options, stem=scene.stem, digest=plan.digest, outlines=plan.outlines)
    plan = replace(plan, table=table)
    targets = plan.polygon_targets(plan.out)
    check_polygons(grid=scene.grid.subgrid(output), targets=targets, outlines=plan.outlines)
    return plan


def _refuse_giant(device: Device, card: ModelCard, tiling: Tiling) -> None:
    """Refuse a window that the memory of this machine cannot hold, before the system kills us."""
    height, width = tiling.window_shape
    there = physical_memory_bytes() if device.is_cpu else None
    needed = device.bytes_per_px(card) * height * width
    if there is not None and needed > there:
        msg = (
            f"a window of {width} x {height} px needs {needed / 2**30:.0f} GiB, this machine has "
            f"{there / 2**30:.0f}"
        )
        raise OptionError(msg, hint="Use a smaller --window-px or --halo-px.")


def _refuse_endless(scene: Scene, tiling: Tiling) -> None:
    """Refuse a scene whose list of blocks alone would fill the memory.

    A VRT of a few hundred bytes can claim any size.
    """
    if tiling.n_blocks > _MOST_BLOCKS:
        msg = (
            f"{scene.label} has {scene.grid.width} x {scene.grid.height} px, which are "
            f"{tiling.n_blocks:,} blocks, expected at most {_MOST_BLOCKS:,}"
        )
        raise SceneError(msg, hint="Map it in parts: gdal_translate -of VRT -srcwin ... IN OUT.")


def _setting(
    options: RunOptions, card: ModelCard, folder: Path, *, use_measured: bool
) -> tuple[Setting, str]:
    """Return how the network runs, and the device's name.

    What ``geoseg tune`` has measured on this machine counts where nothing else was asked for.
    """
    device = choose_device(options.device, options.precision, card, folder, backend=options.backend)
    first = automatic_setting(card, device)
    asked = (options.precision, options.backend, options.halo_px) != ("auto", "auto", None)
    if asked or not use_measured:
        return first, device.name
    return stored_setting(card, folder, device.name) or first, device.name


def _read_aoi(text: str | None, scene: Scene) -> Polygons | None:
    if text is None:
        return None
    from geoseg.vector.aoi import read_aoi  # noqa: PLC0415 - shapely only where needed

    return read_aoi(text, scene.grid)


def _output_window(scene: Scene, aoi: Polygons | None) -> Window:
    """Return the whole scene, or the box of whole pixels around the AOI."""
    if aoi is None:
        return scene.grid.window
    cols, rows = zip(*(corner for polygon in aoi for corner in polygon[0]), strict=True)
    row, col = math.floor(min(rows) + 1e-6), math.floor(min(cols) + 1e-6)
    box = Window(row, col, math.ceil(max(rows) - 1e-6) - row, math.ceil(max(cols) - 1e-6) - col)
    return box.intersect(scene.grid.window)


def _tiling(
    options: RunOptions,
    card: ModelCard,
    scale: GridScale,
    largest_px: int,
    workers: int,
    *,
    is_cpu: bool,
) -> Tiling:
    stride = card.stride_px
    halo = round_up(card.halo_px if options.halo_px is None else options.halo_px, stride)
    core = _core_px(options, scale, stride, halo, largest_px)
    height, width = scale.model_height, scale.model_width
    if is_cpu and options.window_px is None:
        core_height, core_width = shared_cores_px((height, width), core, halo, stride)
    else:
        core_height, core_width = (even_core_px(length, core, stride) for length in (height, width))
    wanted = options.block_px or _BLOCK_PX
    # The block is counted in scene pixels, which are what is read and kept in memory.
    rows = max(1, round(wanted / (core_height * max(scale.row_step, 1.0))))
    cols = max(1, round(wanted / (core_width * max(scale.col_step, 1.0))))
    tiling = Tiling(
        height=height,
        width=width,
        core_height_px=core_height,
        core_width_px=core_width,
        halo_px=halo,
        stride_px=stride,
        block_rows=rows,
        block_cols=cols,
    )
    return tiling if options.block_px else _enough_blocks(tiling, workers)


def _core_px(options: RunOptions, scale: GridScale, stride: int, halo: int, largest_px: int) -> int:
    """Return the side of a core that is not made even yet; workers do not change it."""
    if options.window_px is None:
        # Small scenes are cut finer than memory asks for, to keep all cores busy.
        is_small = scale.model_height * scale.model_width <= _SMALL_SCENE_PX
        return min(largest_px, _SMALL_CORE_PX) if is_small else largest_px
    core = options.window_px // stride * stride - 2 * halo
    if core < stride:
        msg = (
            f"--window-px {options.window_px} leaves no pixels inside a halo of "
            f"{halo} px on both sides"
        )
        raise OptionError(msg, hint=f"Use at least {2 * halo + stride}.")
    return core


def _enough_blocks(tiling: Tiling, workers: int) -> Tiling:
    """Halve the blocks until every worker has a few, or a block is one core."""
    rows, cols = tiling.block_rows, tiling.block_cols
    counts = tiling.core_counts
    while rows * cols > 1 and ceil_div(counts[0], rows) * ceil_div(counts[1], cols) < 4 * workers:
        rows, cols = (rows, max(1, cols // 2)) if cols >= rows else (max(1, rows // 2), cols)
    return replace(tiling, block_rows=rows, block_cols=cols)
