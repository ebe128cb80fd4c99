"""What of a batch's options cannot be right, told before a worker starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyproj
from affine import Affine

from geoseg.errors import OptionError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.model.device import resolve_device
from geoseg.options import BatchOptions, RunOptions
from geoseg.run.addresses import is_path
from geoseg.run.job_file import changed_options, read_job
from geoseg.run.ledger import Ledger
from geoseg.run.place import Root
from geoseg.run.polygon_plan import outlines_of
from geoseg.vector.aoi import is_box
from geoseg.vector.polygons import check_polygons

__all__ = ["check_options", "fitting_options"]


def check_options(options: BatchOptions) -> None:
    """Refuse what no scene could be mapped with: else every one of them would fail alike.

    Raises:
        OptionError: There is something.
    """
    _check_metrics(options.metrics)
    scene = options.scene
    # Lengths and areas are read on any grid in metres.
    anywhere = PixelGrid(
        height=1, width=1, transform=Affine(1, 0, 5e5, 0, -1, 5e6),
        crs_wkt=pyproj.CRS.from_epsg(32631).to_wkt(),
    )  # fmt: skip
    check_polygons(grid=anywhere, targets=[], outlines=outlines_of(scene, anywhere))
    is_here = options.cluster.scheduler == "local"
    if is_here and scene.device not in {"auto", "cpu"}:  # which need no torch to be known
        resolve_device(scene.device)
    _check_aoi(scene, is_here=is_here)


def _check_metrics(path: Path | None) -> None:
    if path is None:
        return
    folder = path.absolute().parent
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        what = "may not be written" if folder.is_dir() else "is not there"
        msg = f"cannot write --metrics {path}: the folder {folder} {what}"
        raise OptionError(msg, hint="Make it, or name another file.")


def _check_aoi(scene: RunOptions, *, is_here: bool) -> None:
    if scene.aoi is None or is_box(scene.aoi):
        return
    if is_here and is_path(scene.aoi) and not Path(scene.aoi).exists():
        msg = f"there is no area of interest {scene.aoi}"
        raise OptionError(msg, hint="Give a polygon file, or left,bottom,right,top.")


def fitting_options(root: Root, options: BatchOptions) -> BatchOptions:
    """Keep the results of one root of one kind.

    Where nothing has been mapped yet, as after a slip that made every scene fail, other settings
    are as good, and all scenes are tried with them.

    Raises:
        OptionError: The root holds maps or blocks that were made with other settings.
    """
    old = None if options.scene.overwrite else read_job(root)
    changed = [] if old is None else changed_options(old, options)
    if not changed:
        return options
    if not any(o.state == "done" or o.blocks_done for o in Ledger.read(root)):
        return replace(options, retry_failed=True)
    msg = f"{root.address} holds a batch with other settings ({', '.join(changed)})"
    raise OptionError(
        msg,
        hint="Repeat its command, add --overwrite to replace its maps, or choose another --out.",
    )
