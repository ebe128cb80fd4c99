"""Everything about a training that is decided before a pixel is read."""

from __future__ import annotations

import glob
import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from affine import Affine

from geoseg.errors import MismatchError, OptionError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.grid.resample import GridScale
from geoseg.legend import Legend
from geoseg.model.card import ModelCard, NetworkSpec, require_printable
from geoseg.model.legend_text import read_legend
from geoseg.model.registry import find_model
from geoseg.options import DECODERS_OF_STEPS, TrainOptions
from geoseg.raster.read import sample_values
from geoseg.raster.scene import Scene, open_scene, select_bands
from geoseg.run.fit import check_value_range, collar_warnings
from geoseg.run.train_labels import LabelSource, open_labels, require_classes
from geoseg.run.train_legend import (
    background_warnings,
    common_legend,
    match_warnings,
    require_backgrounds,
    unlabelled_warnings,
)
from geoseg.run.train_pairs import TrainPair, find_pairs
from geoseg.training.label_sets import label_dtype
from geoseg.training.loss_names import is_per_class
from geoseg.version import __version__

__all__ = ["TrainPlan", "TrainScene", "make_train_plan"]

_SAME_GSD: Final = 0.05
_GSD_SPREAD: Final = 2.5
_FARTHEST_GSD: Final = 100.0
_LEAST_CLASSES: Final = 2
_WIDE_DECODER: Final = (256, 128, 64, 32, 16)


@dataclass(frozen=True, kw_only=True)
class TrainScene:
    """One labelled scene on the model's grid."""

    scene: Scene
    """The image."""
    bands: tuple[int, ...]
    """1-based bands that the model sees."""
    scale: GridScale
    """Scene pixels to model pixels."""
    labels: LabelSource
    """What is known of it."""

    @property
    def is_8bit(self) -> bool:
        """True where all bands that the model sees hold bytes."""
        return all(self.scene.dtypes[b - 1] == "uint8" for b in self.bands)

    @property
    def pair(self) -> TrainPair:
        """Image and labels as they were named."""
        return self.labels.pair


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """What is trained on what."""

    options: TrainOptions
    """As given."""
    scenes: tuple[TrainScene, ...]
    """The ground."""
    legend: Legend
    """The classes, in the order of the network's channels."""
    band_names: tuple[str, ...]
    """The model's bands."""
    network: NetworkSpec
    """What is fitted."""
    start: tuple[Path, ModelCard] | None
    """Model whose weights it starts from."""
    gsd_m: float | None
    """Pixel size of the model's grid; None where no scene tells."""
    warnings: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def overlap(self) -> bool:
        """True where classes may overlap."""
        return is_per_class(self.options.loss)

    def identity(self) -> dict[str, Any]:
        """Return what decides the result, as JSON values."""
        told = asdict(self.options)
        for name in ("overwrite", "out", "data", "labels", "name", "title", "license"):
            told.pop(name)
        return {
            "geoseg": __version__,
            "options": json.loads(json.dumps(told, default=str)),
            "pairs": [
                [
                    scene.scene.label, scene.scene.fingerprint, scene.pair.labels,
                    scene.labels.fingerprint, scene.pair.part, scene.pair.weight,
                    scene.pair.match, scene.pair.gsd_m, scene.pair.column, scene.pair.background,
                ]
                for scene in self.scenes
            ],
            "classes": [[c.class_id, c.name] for c in self.legend],
            "start": None if self.start is None else self.start[1].weights_sha256,
        }  # fmt: skip

    @property
    def digest(self) -> str:
        """Digest of ``identity``."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()


def make_train_plan(options: TrainOptions) -> TrainPlan:
    """Open headers and labels, check that everything fits, and decide.

    Raises:
        GeosegError: Anything that would make the training fail or its result worthless.
    """
    overlap = is_per_class(options.loss)
    pairs = find_pairs(options)
    require_backgrounds(pairs, overlap=overlap)
    start = None if options.start is None else find_model(options.start)
    images = [replace(open_scene(pair.image), blank_value=options.nodata) for pair in pairs]
    band_names, bands = _bands(images, options, start)
    gsd_m = _gsd_m(images, pairs, options, start)
    scenes = tuple(
        _opened(image, own, pair, gsd_m, options.align)
        for image, own, pair in zip(images, bands, pairs, strict=True)
    )
    _require_one_kind(scenes)
    sources = [scene.labels for scene in scenes]
    unheld = match_warnings(sources, options.match)
    uncovered = background_warnings(sources)
    legend = _legend(options, start, sources)
    label_dtype(len(legend) + overlap)  # refuses more classes than it has bits for
    require_classes(sources, legend, options.match)
    require_printable(options.name or options.out.name, options.title or "", *band_names)
    require_printable(*(c.name for c in legend))
    collars = [text for scene in scenes for text in _look(scene, start)]
    return TrainPlan(
        options=options,
        scenes=scenes,
        legend=legend,
        band_names=band_names,
        network=_network(options, start, len(legend)),
        start=start,
        gsd_m=gsd_m,
        warnings=(
            *_first(_size_warnings(images, pairs, gsd_m)),
            *_first(collars),
            *_first(unlabelled_warnings(sources, options.match)),
            *_first(uncovered),
            *unheld,
        ),
    )


def _opened(
    image: Scene, bands: tuple[int, ...], pair: TrainPair, gsd_m: float | None, align: str | None
) -> TrainScene:
    """Return a scene on the model's grid, its labels opened."""
    scale = _scale(image, pair, gsd_m)
    grid = _model_grid(image.grid, scale)
    labels = open_labels(pair, image.grid, grid, align, _file_digest(pair.labels))
    return TrainScene(scene=image, bands=bands, scale=scale, labels=labels)


def _require_one_kind(scenes: tuple[TrainScene, ...]) -> None:
    """Refuse scenes whose pixels are of kinds that do not belong together.

    Raises:
        MismatchError: Some are 8-bit and some are not.
    """
    if len({scene.is_8bit for scene in scenes}) > 1:
        msg = "some scenes are 8-bit and some are not, so their values do not mean the same"
        raise MismatchError(msg, hint="Bring them to one range first, e.g. gdal_translate -scale.")


def _look(scene: TrainScene, start: tuple[Path, ModelCard] | None) -> list[str]:
    """Return what a glance at some pixels tells of a scene.

    Raises:
        MismatchError: They are outside the values of the model to start from.
    """
    sample = sample_values(scene.scene, scene.bands, "any")
    if start is not None:
        check_value_range(scene.scene, start[1], sample, mapped=False)
    return [f"{scene.scene.label}: {text}" for text in collar_warnings(scene.scene, sample)]


def _first(messages: list[str]) -> list[str]:
    """Return the first of many messages of a kind, and how many more there are."""
    if len(messages) <= 1:
        return messages
    return [f"{messages[0]} (and {len(messages) - 1} more scenes like it)"]


def _size_warnings(
    images: list[Scene], pairs: tuple[TrainPair, ...], gsd_m: float | None
) -> list[str]:
    """Return a warning for scenes whose pixels are far from the model's, or of no known size."""
    if gsd_m is None:
        return []
    found = []
    for image, pair in zip(images, pairs, strict=True):
        size_m = _size_m(image, pair)
        if size_m is None:
            found.append(
                f"the pixel size of {image.label} is unknown; taken as the model's {gsd_m:g} m "
                "(a list of pairs has a column gsd for it)"
            )
        elif not 1 / _GSD_SPREAD <= size_m / gsd_m <= _GSD_SPREAD:
            found.append(
                f"{image.label} has pixels of {size_m:.3g} m and is brought to the model's "
                f"{gsd_m:g} m; choose another with --gsd"
            )
    return found


def _bands(
    images: list[Scene], options: TrainOptions, start: tuple[Path, ModelCard] | None
) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    """Return the names of the model's bands, and where each scene has them."""
    if start is not None:
        names = start[1].bands
        return names, [select_bands(image, names, options.bands) for image in images]
    first = images[0]
    data = [i for i in range(1, first.n_bands + 1) if i != first.alpha_band]
    if options.bands is not None:
        chosen = select_bands(first, options.bands, options.bands)
    elif len(data) == 3 and all(first.band_names[i - 1].startswith("band_") for i in data):  # noqa: PLR2004
        # Three nameless bands are a picture, as for every viewer.
        return ("red", "green", "blue"), [
            select_bands(image, ("red", "green", "blue"), None) for image in images
        ]
    else:
        chosen = tuple(data)
    names = tuple(first.band_names[i - 1] for i in chosen)
    return names, [
        select_bands(image, names, options.bands if image is not first else tuple(map(str, chosen)))
        for image in images
    ]


def _gsd_m(
    images: list[Scene],
    pairs: tuple[TrainPair, ...],
    options: TrainOptions,
    start: tuple[Path, ModelCard] | None,
) -> float | None:
    """Return the pixel size to work at: told, the start model's, or that of most scenes."""
    if options.gsd_m is not None:
        return options.gsd_m
    if start is not None:
        return start[1].gsd_m
    known = [
        size for image, pair in zip(images, pairs, strict=True)
        if (size := _size_m(image, pair)) is not None
    ]  # fmt: skip
    if not known:
        return None
    middle = float(np.median(known))
    return float(f"{middle:.3g}")


def _size_m(image: Scene, pair: TrainPair) -> float | None:
    if pair.gsd_m is not None:
        return pair.gsd_m
    sizes = image.grid.gsd_m
    return None if sizes is None else math.sqrt(sizes[0] * sizes[1])


def _scale(image: Scene, pair: TrainPair, gsd_m: float | None) -> GridScale:
    sizes = (pair.gsd_m, pair.gsd_m) if pair.gsd_m is not None else image.grid.gsd_m
    steps = (1.0, 1.0)
    if gsd_m is not None and sizes is not None:
        wanted = gsd_m / sizes[0], gsd_m / sizes[1]
        if not all(1 / _FARTHEST_GSD <= step <= _FARTHEST_GSD for step in wanted):
            msg = f"{image.label} has pixels of {sizes[0]:.3g} m, the model would have {gsd_m:g} m"
            raise MismatchError(msg, hint="Give a pixel size near the scenes' with --gsd.")
        # As when a scene is mapped: within 5 % it is taken as it is.
        if any(abs(step - 1) > _SAME_GSD for step in wanted):
            steps = wanted
    return GridScale(
        scene_height=image.grid.height,
        scene_width=image.grid.width,
        row_step=steps[0],
        col_step=steps[1],
    )


def _model_grid(grid: PixelGrid, scale: GridScale) -> PixelGrid:
    return PixelGrid(
        crs_wkt=grid.crs_wkt,
        transform=grid.transform @ Affine.scale(scale.col_step, scale.row_step),
        height=scale.model_height,
        width=scale.model_width,
    )


def _file_digest(path: str) -> str:
    """Return what changes with a local file of polygons or one of its siblings.

    The attributes of a shapefile lie in another file, fresh rows of a GeoPackage in its log.
    """
    file = Path(path)
    if not file.is_file():
        return path
    found = []
    for each in sorted(file.parent.glob(glob.escape(file.stem) + ".*")):
        status = each.stat()
        found.append(f"{each.name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _legend(
    options: TrainOptions, start: tuple[Path, ModelCard] | None, sources: list[LabelSource]
) -> Legend:
    if options.classes is not None:
        legend = read_legend(options.classes)
    elif start is not None:
        legend = start[1].legend
    else:
        legend = common_legend(sources, options.match)
    if len(legend) < _LEAST_CLASSES:
        msg = f"the legend holds one class only ({legend.classes[0].name!r}), a map needs two"
        raise OptionError(msg, hint="Add a class for the rest, and name it with --background.")
    return legend


def _network(
    options: TrainOptions, start: tuple[Path, ModelCard] | None, n_classes: int
) -> NetworkSpec:
    if start is not None:
        old = start[1].network
        return replace(old, n_outputs=n_classes)
    arguments: dict[str, Any] = {}
    if options.arch == "dpt":
        arguments["dynamic_img_size"] = True  # else it takes windows of one size only
    depth, channels = options.encoder_depth, options.decoder_channels
    default = TrainOptions.__dataclass_fields__["encoder"].default
    if (options.arch, options.encoder, depth, channels) == ("unet", default, None, None):
        # Stride 16 and a narrow decoder: half the work, and a halo of 64 px.
        depth, channels = 4, (96, 64, 32, 16)
    elif options.arch in DECODERS_OF_STEPS and depth is not None and channels is None:
        channels = _WIDE_DECODER[-depth:]  # smp's own default is for a depth of five
    if depth is not None:
        arguments["encoder_depth"] = depth
    if channels is not None:
        arguments["decoder_channels"] = channels
    return NetworkSpec(
        architecture=options.arch,
        encoder=options.encoder,
        arguments=tuple(sorted(arguments.items())),
        n_outputs=n_classes,
    )
