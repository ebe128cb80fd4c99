"""What geoseg sees in a raster, and whether a model would take it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from geoseg.errors import MismatchError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.model.card import ModelCard
from geoseg.model.registry import find_model
from geoseg.options import RunOptions
from geoseg.raster.read import sample_values, sampled_px
from geoseg.raster.scene import Scene, open_scene, select_bands
from geoseg.run.fit import check_value_range, collar_warnings, fit_grid

__all__ = ["BandReport", "ModelFit", "SceneReport", "inspect_scene"]

PERCENTILES: Final = (0, 2, 50, 98, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandReport:
    """One band of a scene."""

    number: int
    """Counted from 1."""
    name: str
    """Description, colour, or ``band_N``."""
    dtype: str
    """numpy dtype name."""
    nodata: float | None
    """Declared nodata value."""
    percentiles: tuple[float, ...] | None
    """Values of the sample at ``PERCENTILES``; None where nothing was valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFit:
    """Whether a model takes a scene, and what happens to it then."""

    model: str
    """Name of the model."""
    reason: str | None
    """Why it does not; None where it does."""
    hint: str | None
    """What to do then."""
    bands: tuple[str, ...]
    """Scene bands that feed the model, in its order; empty where not known."""
    resampled_to_m: float | None
    """Pixel size that the scene is brought to for the model; None where taken as it is."""
    warnings: tuple[str, ...]
    """What the user should know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneReport:
    """Everything that ``geoseg info`` tells."""

    scene: Scene
    """The header."""
    bands: tuple[BandReport, ...]
    """Every band but alpha."""
    valid_share: float
    """Valid part of the sampled pixels, 0..1."""
    sampled_px: int
    """Pixels looked at."""
    fit: ModelFit
    """The model's view."""

    def as_json(self) -> dict[str, Any]:
        """Return the report as one ``scene`` event."""
        scene, grid = self.scene, self.scene.grid
        return {
            "event": "scene",
            "address": scene.label,
            "driver": scene.driver,
            "size_bytes": scene.size_bytes,
            "height": grid.height,
            "width": grid.width,
            "crs": _crs_name(grid),
            "crs_wkt": grid.crs_wkt,
            "transform": list(grid.transform)[:6],
            "bounds": list(grid.bounds),
            "gsd_m": list(grid.gsd_m) if grid.gsd_m else None,
            "block_shape": list(scene.block_shape),
            "dataset_mask": scene.has_dataset_mask,
            "alpha_band": scene.alpha_band,
            "acquired": scene.acquired.isoformat() if scene.acquired else None,
            "valid_share": round(self.valid_share, 4),
            "sampled_px": self.sampled_px,
            "bands": [_band_json(band) for band in self.bands],
            "model": {
                "name": self.fit.model,
                "takes_it": self.fit.reason is None,
                "reason": self.fit.reason,
                "hint": self.fit.hint,
                "bands": list(self.fit.bands),
                "resampled_to_m": self.fit.resampled_to_m,
                "warnings": list(self.fit.warnings),
            },
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return (label, text) pairs for people, the bands left out."""
        scene, grid = self.scene, self.scene.grid
        return [
            ("scene", scene.label),
            ("driver", scene.driver + _size_text(scene.size_bytes)),
            ("size", f"{grid.width} x {grid.height} px, {grid.window.size_px / 1e6:.2f} Mpx"),
            ("CRS", _crs_name(grid) or "none: areas will be in pixels"),
            ("pixel", _pixel_text(grid)),
            ("bounds", ", ".join(f"{v:.10g}" for v in grid.bounds)),
            ("storage", "blocks of {1} x {0} px".format(*scene.block_shape)),
            ("validity", _validity_text(scene)),
            ("acquired", f"{scene.acquired:%Y-%m-%d %H:%M} UTC" if scene.acquired else "not told"),
            ("valid", f"{100 * self.valid_share:.1f} % of the sampled pixels"),
        ]

    def model_lines(self) -> list[tuple[str, str]]:
        """Return (label, text) pairs about the model."""
        fit = self.fit
        if fit.reason is not None:
            found = [("model", f"{fit.model}: does not take it"), ("why", fit.reason)]
            return [*found, *([("do", fit.hint)] if fit.hint else [])]
        text = f"{fit.model}: takes it, bands {', '.join(fit.bands)}"
        if fit.resampled_to_m is not None:
            text += f", resampled to {fit.resampled_to_m:g} m on the fly"
        return [("model", text), *(("warning", w) for w in fit.warnings)]


def inspect_scene(options: RunOptions) -> SceneReport:
    """Look at a scene the way ``geoseg run`` with these options would.

    Reads the header and nine small windows; the network is not loaded.

    Raises:
        SceneError: The scene cannot be opened or read.
        ModelError: There is no such model. A model that does not fit is a result.
    """
    scene = replace(open_scene(options.scene), blank_value=options.nodata)
    _, card = find_model(options.model)
    data_bands = tuple(n for n in range(1, scene.n_bands + 1) if n != scene.alpha_band)
    sample = sample_values(scene, data_bands, options.nodata_rule)
    looked_at_px = sampled_px(scene)
    return SceneReport(
        scene=scene,
        bands=tuple(
            BandReport(
                number=number,
                name=scene.band_names[number - 1],
                dtype=scene.dtypes[number - 1],
                nodata=scene.nodata[number - 1],
                percentiles=_percentiles(values),
            )
            for number, values in zip(data_bands, sample, strict=True)
        ),
        valid_share=sample.shape[1] / looked_at_px,
        sampled_px=looked_at_px,
        fit=_fit(scene, card, options),
    )


def _percentiles(values: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[float, ...] | None:
    if values.size == 0:
        return None
    return tuple(float(v) for v in np.percentile(values, PERCENTILES))


def _fit(scene: Scene, card: ModelCard, options: RunOptions) -> ModelFit:
    """Go through the same checks as a plan, and keep the first complaint as a result."""
    names: tuple[str, ...] = ()
    warnings: list[str] = []
    resampled_to_m = None
    reason = hint = None
    try:
        bands = select_bands(scene, card.bands, options.bands)
        names = tuple(scene.band_names[b - 1] for b in bands)
        scale, warnings = fit_grid(scene, card, options.gsd_m)
        resampled_to_m = None if scale.is_identity else card.gsd_m
        sample = sample_values(scene, bands, options.nodata_rule)
        check_value_range(scene, card, sample, mapped=options.value_range is not None)
        warnings += collar_warnings(scene, sample)
    except MismatchError as error:
        reason, hint = str(error), error.hint
    return ModelFit(
        model=card.name,
        reason=reason,
        hint=hint,
        bands=names,
        resampled_to_m=resampled_to_m,
        warnings=tuple(warnings),
    )


def _crs_name(grid: PixelGrid) -> str | None:
    """Return ``EPSG:32632 (WGS 84 / UTM zone 32N)``, or the name alone."""
    if grid.crs is None:
        return None
    authority = grid.crs.to_authority()
    return f"{':'.join(authority)} ({grid.crs.name})" if authority else str(grid.crs.name)


def _pixel_text(grid: PixelGrid) -> str:
    rotated = bool(grid.transform.b or grid.transform.d)
    extra = ", rotated" if rotated else ""
    if grid.gsd_m is None:
        return f"size in metres unknown{extra}"
    down, across = grid.gsd_m
    return f"{across:.4g} x {down:.4g} m on the ground (across x down){extra}"


def _validity_text(scene: Scene) -> str:
    found = []
    if scene.has_dataset_mask:
        found.append("mask")
    if scene.alpha_band is not None:
        found.append(f"alpha in band {scene.alpha_band}")
    if any(v is not None for v in scene.nodata):
        found.append("nodata values")
    if scene.blank_value is not None:
        found.append(f"{scene.blank_value:g} in all bands, as you say")
    return ", ".join(found) or "nothing marks invalid pixels"


def _size_text(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f", {size_bytes / 2**20:,.1f} MiB"


def _band_json(band: BandReport) -> dict[str, Any]:
    values = band.percentiles
    # NaN is a common nodata value and no JSON number.
    is_nan = band.nodata is not None and np.isnan(band.nodata)
    return {
        "number": band.number,
        "name": band.name,
        "dtype": band.dtype,
        "nodata": "nan" if is_nan else band.nodata,
        "percentiles": None
        if values is None
        else {str(p): v for p, v in zip(PERCENTILES, values, strict=True)},
    }
