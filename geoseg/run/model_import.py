"""An smp folder into a model folder, with its halo measured on a real scene if given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import OptionError
from geoseg.grid.window import Window
from geoseg.model.card import ModelCard
from geoseg.model.halo import image_side_px
from geoseg.model.importing import ImportRequest, import_smp_folder
from geoseg.model.predictor import Pixels
from geoseg.raster.read import SceneReader
from geoseg.raster.scene import Scene, open_scene, select_bands

__all__ = ["halo_images", "import_model"]

# The stride is known when the network is built. None needs larger images than those of a
# stride that divides 256; what is too much is cut off.
_SIDE_PX: Final = image_side_px(32)
_IMAGES: Final = 2
_CANDIDATES_PER_AXIS: Final = 3
_LEAST_VALID: Final = 0.9
_SAME_GSD: Final = 0.05


def import_model(
    source: Path,
    out: Path,
    request: ImportRequest,
    *,
    halo_scene: str | None = None,
    overwrite: bool = False,
) -> ModelCard:
    """Make a model folder; see ``import_smp_folder``.

    Args:
        source: Folder that smp's ``save_pretrained`` wrote.
        out: Folder to make.
        request: What the smp folder does not tell.
        halo_scene: Scene to measure the halo on; synthetic images where None.
        overwrite: Replace an existing model folder.

    Raises:
        GeosegError: Something does not fit, in one line.
    """
    images = [] if halo_scene is None else halo_images(halo_scene, request)
    return import_smp_folder(source, out, request, images=images, overwrite=overwrite)


def halo_images(address: str, request: ImportRequest) -> list[Pixels]:
    """Return the two fullest squares of a scene, (band, row, col) raw pixels.

    Raises:
        SceneError: The scene cannot be read.
        MismatchError: It lacks the model's bands.
        OptionError: It is too small, too empty, or of another pixel size.
    """
    scene = open_scene(address)
    bands = select_bands(scene, request.bands, None)
    _require_size(scene, request.gsd_m)
    offsets = np.array([s.offset for s in request.scaling], np.float32)[:, None, None]
    found: list[tuple[float, Pixels]] = []
    with SceneReader(scene, bands, "any") as reader:
        for window in _candidates(scene):
            box = reader.read(window)
            share = float(np.mean(box.valid))
            fill = offsets.astype(box.values.dtype)
            found.append((share, np.where(box.valid, box.values, fill)))
            # Two are kept at a time: a square of many bands is large.
            found = sorted(found, key=lambda pair: -pair[0])[:_IMAGES]
    images = [pixels for share, pixels in found if share >= _LEAST_VALID]
    if not images:
        msg = f"--halo-scene: no square of {_SIDE_PX} px in {scene.label} is mostly valid"
        raise OptionError(msg, hint="Choose another scene, or leave the flag out.")
    return images


def _require_size(scene: Scene, gsd_m: float | None) -> None:
    if min(scene.grid.height, scene.grid.width) < _SIDE_PX:
        msg = (
            f"--halo-scene: {scene.label} is {scene.grid.width} x {scene.grid.height} px, "
            f"at least {_SIDE_PX} x {_SIDE_PX} are needed"
        )
        raise OptionError(msg, hint="Choose a larger scene, or leave the flag out.")
    if gsd_m is None or scene.grid.gsd_m is None:
        return
    found = math.sqrt(math.prod(scene.grid.gsd_m))
    if abs(found / gsd_m - 1) > _SAME_GSD:
        msg = f"--halo-scene: {scene.label} has pixels of {found:.3g} m, --gsd says {gsd_m:g} m"
        raise OptionError(msg, hint=f"Resample it: gdalwarp -tr {gsd_m:g} {gsd_m:g} IN OUT.")


def _candidates(scene: Scene) -> list[Window]:
    """Return squares spread evenly over the scene, each once."""
    rows = _spread(scene.grid.height)
    cols = _spread(scene.grid.width)
    return [Window(int(r), int(c), _SIDE_PX, _SIDE_PX) for r in rows for c in cols]


def _spread(length_px: int) -> NDArray[np.int64]:
    starts = np.linspace(0, length_px - _SIDE_PX, _CANDIDATES_PER_AXIS)
    return np.unique(starts.astype(np.int64))
