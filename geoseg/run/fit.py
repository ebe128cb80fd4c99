"""Does this scene suit this model? Answered before any work, in one line if not."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import MismatchError
from geoseg.grid.resample import GridScale
from geoseg.model.card import ModelCard
from geoseg.raster.scene import Scene

__all__ = ["check_value_range", "collar_warnings", "fit_grid"]

# Within 5 % of the model's pixel size a scene is taken as it is: resampling would blur
# more than the difference in scale can matter.
_SAME_GSD = 0.05
# A share of the valid pixels may lie outside the model's range (sensor saturation).
_TOLERATED_OUTSIDE = 0.02
# Below this part of a 0-255 range a scene is scaled 0-1 or nearly black.
_SUSPICIOUSLY_SMALL = 1 / 128
# So much of a scene is never exactly black, or exactly white, on the ground.
_COLLAR_SHARE = 0.02


def fit_grid(scene: Scene, card: ModelCard, gsd_m: float | None) -> tuple[GridScale, list[str]]:
    """Return how scene pixels become model pixels, and what the user should know.

    Raises:
        MismatchError: The scene's pixel size is outside the card's range.
    """
    grid = scene.grid
    warnings = []
    if grid.crs is None:
        warnings.append(
            f"{scene.label} has no CRS: results keep its pixel coordinates, "
            "areas are given in pixels only"
        )
    sizes = (gsd_m, gsd_m) if gsd_m else grid.gsd_m
    if card.gsd_m is None or sizes is None:
        if card.gsd_m is not None:
            warnings.append(
                f"the pixel size of {scene.label} is unknown; taken as the model's "
                f"{card.gsd_m:g} m (say otherwise with --gsd)"
            )
        return _scale(scene, 1.0, 1.0), warnings
    _check_range(scene, card, math.sqrt(sizes[0] * sizes[1]))
    steps = [card.gsd_m / size for size in sizes]
    if all(abs(step - 1) <= _SAME_GSD for step in steps):
        return _scale(scene, 1.0, 1.0), warnings
    return _scale(scene, steps[0], steps[1]), warnings


def _scale(scene: Scene, row_step: float, col_step: float) -> GridScale:
    return GridScale(
        scene_height=scene.grid.height,
        scene_width=scene.grid.width,
        row_step=row_step,
        col_step=col_step,
    )


def _check_range(scene: Scene, card: ModelCard, gsd_m: float) -> None:
    if card.gsd_range_m is None:
        return
    low, high = card.gsd_range_m
    # The range is stated in round figures; a file at 0.2999 m is 0.3 m.
    if low * (1 - _SAME_GSD) <= gsd_m <= high * (1 + _SAME_GSD):
        return
    msg = (
        f"{scene.label} has pixels of {gsd_m:.3g} m, "
        f"model {card.name!r} works at {low:g} to {high:g} m"
    )
    if gsd_m < low:
        hint = (
            f"Resample it first: gdalwarp -tr {card.gsd_m:g} {card.gsd_m:g} -r average IN OUT "
            "(in a metric CRS), or give the true pixel size with --gsd if the file's is wrong."
        )
    else:
        hint = (
            "Use a model made for coarser imagery ('geoseg models list', --model), or give "
            "the true pixel size with --gsd if the file's is wrong."
        )
    raise MismatchError(msg, hint=hint)


def check_value_range(
    scene: Scene, card: ModelCard, sample: NDArray[np.float32], *, mapped: bool
) -> None:
    """Refuse pixel values that the model was not made for.

    Args:
        scene: For the message.
        card: Tells the model's range.
        sample: (band, n) valid pixels from all over the scene.
        mapped: True where the user gave ``--value-range``, which settles the question.

    Raises:
        MismatchError: Too many values outside the range, or all of them next to nothing.
    """
    if mapped or sample.size == 0:
        return
    low, high = card.value_range
    slack = 0.05 * (high - low)
    outside = np.mean((sample < low - slack) | (sample > high + slack))
    found_low, found_high = (float(np.percentile(sample, q)) for q in (1, 99))
    msg = (
        f"pixel values of {scene.label} run from {found_low:g} to {found_high:g} "
        f"({'/'.join(sorted(set(scene.dtypes)))}), model {card.name!r} expects "
        f"{low:g} to {high:g}"
    )
    hint = (
        f"Say which scene values stand for {low:g} and {high:g} with --value-range "
        f"{_nice(found_low)},{_nice(found_high)}, or choose a model for such imagery."
    )
    if outside > _TOLERATED_OUTSIDE:
        raise MismatchError(msg, hint=hint)
    fractional = scene.dtypes[0].startswith("float") and found_high > found_low
    if fractional and float(sample.max()) - low < _SUSPICIOUSLY_SMALL * (high - low):
        raise MismatchError(msg, hint=hint)


def _nice(value: float) -> str:
    return f"{value:.2g}" if abs(value) < 10 else f"{round(value)}"  # noqa: PLR2004 - digits


def collar_warnings(scene: Scene, sample: NDArray[np.float32]) -> list[str]:
    """Return a warning where much of the scene looks like a collar that nothing marks.

    Args:
        scene: For its types.
        sample: (band, n) valid pixels from all over the scene.
    """
    kind = np.dtype(scene.dtypes[0])
    if kind.kind not in "iu" or not sample.size:
        return []
    for value in (0, np.iinfo(kind).max):
        share = float((sample == np.float32(value)).all(axis=0).mean())
        if share > _COLLAR_SHARE:
            message = (
                f"{100 * share:.0f} % of the sampled pixels are {value} in every band; if that is "
                f"a collar without data, add --nodata {value}"
            )
            return [message]
    return []
