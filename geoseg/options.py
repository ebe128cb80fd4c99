"""What a user may ask of each command, as one frozen value with its defaults."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from geoseg.errors import OptionError

__all__ = [
    "ARCHITECTURES",
    "DECODERS_OF_STEPS",
    "DEFAULT_MODEL",
    "DEFAULT_SIMPLIFY",
    "DEFAULT_STEPS",
    "POLYGON_SUFFIXES",
    "SIMPLIFY_METHODS",
    "BatchOptions",
    "ClusterOptions",
    "EvaluateOptions",
    "Outlines",
    "RunOptions",
    "SampleOptions",
    "TrainOptions",
    "VectoriseOptions",
]

NodataRule = Literal["any", "all"]
SimplifyMethod = Literal["douglas-peucker", "visvalingam"]
Connectivity = Literal[4, 8]
StitchChoice = Literal["auto", "crop", "blend"]

DEFAULT_MODEL: Final = "aerial-landcover"
"""The model that ships with geoseg and is used where none is named."""

DEFAULT_SIMPLIFY: Final = "1px"
"""Tolerance of simplified outlines where neither it nor smoothing is asked for."""

POLYGON_SUFFIXES: Final = {
    "gpkg": ".gpkg",
    "flatgeobuf": ".fgb",
    "geoparquet": ".parquet",
    "geojson": ".geojson",
}
"""Polygon formats and their file extensions."""
SIMPLIFY_METHODS: Final[tuple[SimplifyMethod, ...]] = get_args(SimplifyMethod)
"""Ways of telling how important a corner is; the first is the default."""
ARCHITECTURES: Final = (
    "unet", "unetplusplus", "fpn", "deeplabv3", "deeplabv3plus", "pspnet", "linknet", "manet",
    "pan", "upernet", "segformer", "dpt", "fcn",
)  # fmt: skip
"""Networks that can be trained."""
DECODERS_OF_STEPS: Final = ("unet", "unetplusplus", "manet")
"""Architectures whose decoder has one step, with channels of its own, for each halving."""
DEFAULT_STEPS: Final = 1500
"""Batches of a training where neither steps nor minutes are given."""
_LARGEST_SCALE: Final = 4
_LARGEST_BLOCK: Final = 4096
_LARGEST_BOUNDARY_PX: Final = 32
_LARGEST_CHIP_PX: Final = 8192
_LARGEST_HALO_PX: Final = 8192
_LARGEST_WINDOW_PX: Final = 32_768
_LARGEST_STRENGTH: Final = 3
_ROUNDING: Final = 1e-6
_LEAST_POINTS: Final = 2
_CONNECTIVITIES: Final[tuple[Connectivity, ...]] = get_args(Connectivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """How a class map becomes polygons, in pixels of its grid."""

    min_px: int = 1
    """Least pixels of a region; 1 keeps all."""
    simplify_px: float = 0.0
    """Tolerance of simplified outlines; 0 keeps every corner."""
    method: SimplifyMethod = "douglas-peucker"
    """How the importance of a corner is measured."""
    smooth: bool = False
    """Take the staircase out of the outlines."""
    dissolve: bool = False
    """One multipolygon per class."""
    connectivity: Connectivity = 4
    """8 makes one feature of regions of one class that touch at a corner."""
    crs: str | None = None
    """CRS of the vertices; None keeps that of the map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of ``geoseg run``; every field has the default of its flag."""

    scene: str
    """Path or URL of the input raster."""
    model: str = DEFAULT_MODEL
    """Name of a bundled model, or a model folder."""
    out: Path | None = None
    """Result folder; default ``<scene stem>_geoseg`` in the current folder."""
    bands: tuple[str, ...] | None = None
    """Scene bands for the model's inputs, by number or name; default by name."""
    aoi: str | None = None
    """Polygon file, or ``left,bottom,right,top`` in the scene's CRS."""
    gsd_m: float | None = None
    """Pixel size to assume instead of the file's own."""
    value_range: tuple[float, float] | None = None
    """Scene values that stand for the ends of the model's range; default as they are."""
    nodata: float | None = None
    """Pixels of this value in all chosen bands are nodata, beside what the file declares."""
    nodata_rule: NodataRule = "any"
    """A pixel is nodata where any, or only where all, of the chosen bands are."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: str = "auto"
    """``auto``, ``fp32``, ``bf16`` or ``fp16``."""
    backend: str = "auto"
    """``auto``, ``openvino``, ``onnxruntime`` or ``torch``."""
    stitch: StitchChoice = "auto"
    """Crop or blend windows; auto follows the model card."""
    block_px: int | None = None
    """Side of the unit of work and resume."""
    window_px: int | None = None
    """Side of what the model sees at once."""
    halo_px: int | None = None
    """Context around what a window contributes."""
    batch_size: int | None = None
    """Windows per forward pass."""
    workers: int | None = None
    """Blocks worked on at a time."""
    confidence: bool = True
    """Write ``confidence.tif``."""
    scores: bool = False
    """Write ``scores.tif``."""
    seams: bool = False
    """Write ``seams.tif``."""
    formats: tuple[str, ...] = ("gpkg",)
    """Polygon formats; empty for none."""
    min_area: str | None = None
    """Least area of a region, as ``100m2`` or ``16px``; smaller ones join a neighbour."""
    keep_raw: bool = False
    """Also write the class raster with its small regions, ``classes_raw.tif``."""
    simplify: str | None = None
    """Tolerance of simplified polygons, as ``0.5px``, ``1.2m`` or ``0`` for the pixels' own
    edges; default :data:`DEFAULT_SIMPLIFY`, or 0 with ``smooth``."""
    simplify_method: SimplifyMethod = "douglas-peucker"
    """``douglas-peucker`` weighs corners by distance, ``visvalingam`` by area."""
    smooth: bool = False
    """Take the staircase out of the polygons."""
    dissolve: bool = False
    """One multipolygon per class instead of one polygon per region."""
    connectivity: Connectivity = 4
    """8 makes one multipolygon of regions of one class that touch at a corner."""
    crs: str | None = None
    """CRS of the polygons, as ``EPSG:4326``; default the scene's."""
    postgis: str | None = None
    """Also write the polygons to this database, ``postgresql://user@host/database``."""
    table: str | None = None
    """Table there, or ``schema.table``; default ``<scene stem>_polygons``."""
    overwrite: bool = False
    """Replace the results of an earlier run."""

    def __post_init__(self) -> None:
        for name in ("model", "aoi"):
            if getattr(self, name) == "":
                msg = f"--{name} is empty"
                raise OptionError(msg, hint="Is a variable of the shell not set?")
        check_folder("--out", self.out)
        self._check_numbers()
        self._check_choices()
        if self.keep_raw and self.min_area is None:
            msg = "--keep-raw keeps what --min-area removes, and there is no --min-area"
            raise OptionError(msg, hint="Give an area, as in --min-area 16px.")

    def _check_numbers(self) -> None:
        for name in ("block_px", "window_px", "batch_size", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, got {value}"
                raise OptionError(msg)
        if self.halo_px is not None and not 0 <= self.halo_px <= _LARGEST_HALO_PX:
            msg = f"--halo-px must lie between 0 and {_LARGEST_HALO_PX}, got {self.halo_px}"
            raise OptionError(msg)
        if self.window_px is not None and self.window_px > _LARGEST_WINDOW_PX:
            msg = f"--window-px must be at most {_LARGEST_WINDOW_PX}, got {self.window_px}"
            raise OptionError(msg)
        if self.gsd_m is not None and not 0 < self.gsd_m < float("inf"):
            msg = f"--gsd must be a positive number of metres, got {self.gsd_m}"
            raise OptionError(msg)
        if self.nodata is not None and not math.isfinite(self.nodata):
            msg = f"--nodata must be a finite number, got {self.nodata}"
            raise OptionError(msg, hint="NaN and infinity are nodata in any case.")
        low, high = self.value_range or (0.0, 1.0)
        if not (low < high and math.isfinite(low) and math.isfinite(high)):
            msg = f"--value-range must be finite MIN,MAX with MIN < MAX, got {low:g},{high:g}"
            raise OptionError(msg)

    def _check_choices(self) -> None:
        for name in ("precision", "backend", "stitch", "nodata_rule"):
            allowed = {
                "precision": ("auto", "fp32", "bf16", "fp16"),
                "backend": ("auto", "openvino", "onnxruntime", "torch"),
                "stitch": ("auto", "crop", "blend"),
                "nodata_rule": ("any", "all"),
            }[name]
            if getattr(self, name) not in allowed:
                msg = f"{name} is {getattr(self, name)!r}, expected one of {', '.join(allowed)}"
                raise OptionError(msg)
        _check_polygons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """Where the blocks of a batch are computed."""

    scheduler: str = "local"
    """``local``, ``slurm``, the address of a Dask scheduler (``tcp://``, ``tls://``) or the path
    of its scheduler file."""
    slurm_config: Path | None = None
    """TOML file that says what jobs to ask SLURM for."""
    processes: int | None = None
    """Worker processes of a local cluster; default one per GPU, or one per four cores."""
    threads: int | None = None
    """Blocks in the network at a time in a worker process; default its cores."""
    scratch: Path | None = None
    """Folder for a worker's own files; default that of Dask."""
    name: str = "batch"
    """Part of the names of jobs, for people who look at a queue."""
    tls_ca: Path | None = None
    """Certificate of the authority that signed those of scheduler and workers."""
    tls_cert: Path | None = None
    """Certificate of this client."""
    tls_key: Path | None = None
    """Its key."""

    def __post_init__(self) -> None:
        for name in ("processes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name} must be at least 1, got {value}"
                raise OptionError(msg)
        if (self.scheduler == "slurm") != (self.slurm_config is not None):
            msg = "--scheduler slurm and --slurm-config FILE go together"
            raise OptionError(msg, hint="deploy/slurm/geoseg-slurm.toml is an example.")
        files = (self.tls_ca, self.tls_cert, self.tls_key)
        if any(files) and not all(files):
            msg = "TLS needs --tls-ca, --tls-cert and --tls-key"
            raise OptionError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """Options of ``geoseg batch``; every field has the default of its flag."""

    sources: tuple[str, ...]
    """Rasters, globs, folders, lists and STAC documents, by path or URL."""
    out: str
    """Root of the results: a folder or ``s3://bucket/prefix``."""
    scene: RunOptions
    """What to do with each scene; its ``scene`` and ``out`` do not count."""
    cluster: ClusterOptions = ClusterOptions()
    """Where to compute."""
    asset: str | None = None
    """Asset of STAC items to map; default the one that looks like imagery."""
    allow_roots: tuple[str, ...] = ()
    """Folders and URL prefixes that scenes may lie in; empty allows all."""
    since: str | None = None
    """Only scenes changed since then: a date, a span such as ``36h``, or ``last``."""
    retries: int = 2
    """How often a block is tried again."""
    max_failures: int | None = None
    """Stop when more scenes than this have failed."""
    fail_fast: bool = False
    """Stop at the first scene that fails."""
    retry_failed: bool = False
    """Try scenes again that failed in an earlier session."""
    time_limit_s: float | None = None
    """Stop, resumable, after so many seconds."""
    task_timeout_s: float | None = None
    """Take a task back that has run for so long; None waits for as long as it takes."""
    metrics: Path | None = None
    """File of counters for Prometheus' text-file collector."""

    def __post_init__(self) -> None:
        if not self.sources:
            msg = "there is no scene to map"
            raise OptionError(msg, hint="Give files, a folder, a list or a STAC document.")
        if self.retries < 0:
            msg = f"--retries must not be negative, got {self.retries}"
            raise OptionError(msg)
        if self.max_failures is not None and self.max_failures < 0:
            msg = f"--max-failures must not be negative, got {self.max_failures}"
            raise OptionError(msg)
        for name in ("time_limit_s", "task_timeout_s"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                flag = name.removesuffix("_s").replace("_", "-")
                msg = f"--{flag} must be positive, got {value:g} s"
                raise OptionError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectoriseOptions:
    """Options of ``geoseg vectorise``; every field has the default of its flag."""

    raster: str
    """Path or URL of the class raster."""
    out: tuple[Path, ...] = ()
    """Files to make; the ending tells the format. May be empty with ``postgis``."""
    formats: tuple[str, ...] = ()
    """Formats to write beside the first file, under its name."""
    band: int | None = None
    """1-based band of the classes; may be left out where there is one."""
    nodata: int | None = None
    """A value that is nodata beside what the file declares."""
    confidence: str | None = None
    """Raster of confidences on the same grid."""
    legend: str | None = None
    """Classes as ``id:name:#rrggbb,...``, or a JSON or CSV file; default the raster's own."""
    min_area: str | None = None
    """Least area of a region, as ``100m2`` or ``16px``; smaller ones join a neighbour."""
    simplify: str | None = None
    """Tolerance of simplified polygons, as ``0.5px``, ``1.2m`` or ``0`` for the pixels' own
    edges; default :data:`DEFAULT_SIMPLIFY`, or 0 with ``smooth``."""
    simplify_method: SimplifyMethod = "douglas-peucker"
    """``douglas-peucker`` weighs corners by distance, ``visvalingam`` by area."""
    smooth: bool = False
    """Take the staircase out of the polygons."""
    dissolve: bool = False
    """One multipolygon per class instead of one polygon per region."""
    connectivity: Connectivity = 4
    """8 makes one multipolygon of regions of one class that touch at a corner."""
    crs: str | None = None
    """CRS of the polygons, as ``EPSG:4326``; default the raster's."""
    postgis: str | None = None
    """Also write the polygons to this database, ``postgresql://user@host/database``."""
    table: str | None = None
    """Table there, or ``schema.table``; default ``<raster stem>_polygons``."""
    block_px: int | None = None
    """Side of the unit of work and resume."""
    workers: int | None = None
    """Blocks worked on at a time."""
    overwrite: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        if not self.out and (self.postgis is None or self.formats):
            msg = "there is no file to make"
            raise OptionError(msg, hint="Name one, as in --out map.gpkg.")
        for name in ("block_px", "workers", "band"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, got {value}"
                raise OptionError(msg)
        _check_polygons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of ``geoseg evaluate``; every field has the default of its flag."""

    maps: tuple[str, ...]
    """Class rasters, or folders that ``geoseg run`` made; with ``model``, scenes."""
    references: tuple[str, ...]
    """Class raster, polygons or points; one for all maps, or one for each."""
    model: str | None = None
    """Map the scenes with this model first, and judge that."""
    out: Path | None = None
    """Folder for ``evaluation.json`` and ``report.html``."""
    band: int | None = None
    """1-based band of the classes in the maps."""
    reference_band: int | None = None
    """1-based band of the classes in reference rasters."""
    column: str | None = None
    """Attribute that holds the class in vector references."""
    match: str | None = None
    """``VALUE=CLASS,...``: what values of the reference stand for; ``VALUE=`` leaves one out."""
    background: str | None = None
    """Class of ground that no label of the reference covers."""
    confidence: str | None = None
    """Confidence raster on the map's grid; default ``confidence.tif`` beside geoseg's map."""
    align: str | None = None
    """``nearest`` takes the nearest pixel of a reference raster on another grid."""
    boundary_px: int = 2
    """How far apart borders may be in the boundary score."""
    overwrite: bool = False
    """Replace an earlier evaluation."""

    def __post_init__(self) -> None:
        check_folder("--out", self.out)
        if not self.maps or not self.references:
            msg = "there is nothing to compare"
            raise OptionError(msg, hint="Give a map, and --reference FILE.")
        for name in ("band", "reference_band", "boundary_px"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, got {value}"
                raise OptionError(msg)
        if self.boundary_px > _LARGEST_BOUNDARY_PX:
            msg = f"--boundary-px must be at most {_LARGEST_BOUNDARY_PX}, got {self.boundary_px}"
            raise OptionError(msg)
        if self.align not in {None, "nearest"}:
            msg = f"--align is {self.align!r}, expected 'nearest'"
            raise OptionError(msg)
        if self.confidence is not None and len(self.maps) > 1:
            msg = "--confidence goes with one map"
            raise OptionError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """Options of ``geoseg sample``; every field has the default of its flag."""

    map: str
    """Class raster, or a folder that ``geoseg run`` made."""
    out: Path
    """File to make; the ending tells the format."""
    points: int | None = None
    """All points; default what ``standard_error`` needs."""
    least: int = 50
    """Points of each class at least."""
    standard_error: float = 0.01
    """Wanted standard error of the overall accuracy."""
    expected_accuracy: float = 0.8
    """What the user's accuracy may be, for the number of points."""
    seed: int = 0
    """The same seed draws the same points."""
    band: int | None = None
    """1-based band of the classes."""
    overwrite: bool = False
    """Replace the file."""

    def __post_init__(self) -> None:
        if self.points is not None and self.points < 1:
            msg = f"--points must be at least 1, got {self.points}"
            raise OptionError(msg)
        if self.least < _LEAST_POINTS:
            msg = f"--least must be at least {_LEAST_POINTS}, got {self.least}"
            raise OptionError(msg, hint="A class with one point has no interval.")
        if self.seed < 0:
            msg = f"--seed must not be negative, got {self.seed}"
            raise OptionError(msg)
        for name in ("standard_error", "expected_accuracy"):
            if not 0 < getattr(self, name) < 1:
                msg = f"--{name.replace('_', '-')} must lie between 0 and 1"
                raise OptionError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """Options of ``geoseg train``; every field has the default of its flag."""

    data: tuple[str, ...]
    """Scenes; or one folder, or one list (.csv, .json) of pairs."""
    out: Path
    """Model folder to make."""
    labels: tuple[str, ...] = ()
    """Class raster or polygons for each scene."""
    start: str | None = None
    """Model to start from; its network, bands and pixel size are taken over."""
    arch: str = "unet"
    """Architecture, one of :data:`ARCHITECTURES`."""
    encoder: str = "tu-resnet10t"
    """Encoder that smp or timm knows."""
    encoder_depth: int | None = None
    """How often the encoder halves the image; default smp's, 4 for the default network."""
    decoder_channels: tuple[int, ...] | None = None
    """Channels of the decoder of :data:`DECODERS_OF_STEPS`, from coarse to fine."""
    classes: str | None = None
    """``id:name:#rrggbb,...``, or a JSON or CSV file; default the labels' own, or those of
    ``start``."""
    column: str | None = None
    """Attribute that holds the class in vector labels."""
    match: str | None = None
    """``VALUE=CLASS,...``; several classes as ``VALUE=A|B``, none as ``VALUE=``."""
    background: str | None = None
    """Class of valid ground that no label covers; several as ``A|B``, ``-`` for none of them."""
    align: str | None = None
    """``nearest`` takes the nearest pixel of label rasters on another grid."""
    bands: tuple[str, ...] | None = None
    """Scene bands to train on, by number or name; default all but alpha."""
    nodata: float | None = None
    """Pixels of this value in all bands are nodata."""
    gsd_m: float | None = None
    """Pixel size that the model works at; default that of the scenes."""
    loss: str = "ce+0.5*dice"
    """Terms with factors; see :mod:`geoseg.training.loss_names`."""
    class_weights: str = "none"
    """``balanced`` lets rare classes weigh more in cross-entropy."""
    steps: int | None = None
    """Batches; default :data:`DEFAULT_STEPS`, or what ``minutes`` allow."""
    minutes: float | None = None
    """Choose the number of batches so that it takes about so long on this machine."""
    batch_size: int = 8
    """Crops per batch."""
    chip_px: int = 256
    """Side of a crop."""
    learning_rate: float = 2e-3
    """The highest."""
    weight_decay: float = 0.02
    """AdamW's."""
    scale: float = 1.4
    """Crops are shrunk and grown by up to this factor."""
    strength: float = 1.0
    """How much light, air and camera vary; 0 for not at all."""
    decide: str = "likeliest"
    """``iou`` shifts the scores of the classes for the highest mean IoU on validation ground."""
    patience: int = 8
    """Looks at the validation ground without progress after which it ends; 0 for never."""
    split: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of the labelled ground for training, validation, test."""
    block_px: int | None = None
    """Side of the blocks of ground that are split; default by how much there is."""
    seed: int = 0
    """Of split, crops and weights."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: str = "auto"
    """``auto``, ``fp32`` or ``bf16``."""
    threads: int | None = None
    """Threads of the CPU; default one per core."""
    name: str | None = None
    """Name in the card; default that of the folder."""
    title: str | None = None
    """One line for people."""
    license: str = "other"
    """SPDX identifier of the weights' licence."""
    overwrite: bool = False
    """Replace an existing model folder."""

    def __post_init__(self) -> None:
        check_folder("--out", self.out)
        self._check_network()
        if self.block_px is not None and (self.block_px % 128 or self.block_px > _LARGEST_BLOCK):
            msg = f"--block-px {self.block_px} is no multiple of 128 up to {_LARGEST_BLOCK}"
            raise OptionError(msg)
        if self.class_weights == "balanced" and not {"ce", "focal"} & _loss_names(self.loss):
            msg = f"--class-weights weigh cross-entropy, and --loss {self.loss} has none"
            raise OptionError(msg, hint="Add ce, as in --loss ce+dice.")
        if self.decide == "iou" and "bce" in _loss_names(self.loss):
            msg = "--decide iou weighs classes against each other, and with --loss bce they overlap"
            raise OptionError(msg, hint="Leave out either.")
        if self.bands is not None and len(set(self.bands)) != len(self.bands):
            msg = f"--bands names a band twice: {', '.join(self.bands)}"
            raise OptionError(msg)
        if not self.data:
            msg = "there is nothing to train on"
            raise OptionError(msg, hint="Give a scene and --labels, a folder, or a list of pairs.")
        for name in ("steps", "batch_size", "chip_px", "threads", "block_px"):
            value = getattr(self, name)
            if value is not None and value < 1:
                msg = f"--{name.replace('_', '-')} must be at least 1, got {value}"
                raise OptionError(msg)
        if self.chip_px > _LARGEST_CHIP_PX:
            msg = f"--chip-px must be at most {_LARGEST_CHIP_PX}, got {self.chip_px}"
            raise OptionError(msg)
        self._check_choices()
        self._check_numbers()

    def _check_network(self) -> None:
        if self.arch not in ARCHITECTURES:
            msg = f"--arch {self.arch!r} is unknown"
            raise OptionError(msg, hint=f"Known: {', '.join(ARCHITECTURES)}.")
        asked = (self.arch, self.encoder, self.encoder_depth, self.decoder_channels)
        if self.start is not None and asked != ("unet", "tu-resnet10t", None, None):
            msg = "--from brings its own network, --arch, --encoder, --depth and --decoder another"
            raise OptionError(msg, hint="Leave out either.")
        if self.decoder_channels is None:
            return
        if self.arch not in DECODERS_OF_STEPS:
            msg = f"--decoder is for {', '.join(DECODERS_OF_STEPS)}, --arch is {self.arch}"
            raise OptionError(msg, hint="Leave out --decoder.")
        if min(self.decoder_channels, default=0) < 1:
            msg = f"--decoder must be numbers of channels, got {self.decoder_channels}"
            raise OptionError(msg, hint="For example --decoder 96,64,32,16.")

    def _check_choices(self) -> None:
        for name, allowed in (
            ("class_weights", ("none", "balanced")),
            ("decide", ("likeliest", "iou")),
            ("precision", ("auto", "fp32", "bf16")),
            ("align", (None, "nearest")),
        ):
            if getattr(self, name) not in allowed:
                known = ", ".join(str(a) for a in allowed if a)
                msg = f"--{name.replace('_', '-')} is {getattr(self, name)!r}, expected {known}"
                raise OptionError(msg)

    def _check_numbers(self) -> None:
        for name in ("gsd_m", "minutes", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                flag = {"gsd_m": "gsd", "learning_rate": "rate"}.get(name, name)
                msg = f"--{flag} must be a positive number, got {value}"
                raise OptionError(msg)
        if not 1 <= self.scale <= _LARGEST_SCALE:
            msg = f"--scale must lie between 1 and {_LARGEST_SCALE}, got {self.scale}"
            raise OptionError(msg)
        if not 0 <= self.strength <= _LARGEST_STRENGTH:
            msg = f"--strength must lie between 0 and {_LARGEST_STRENGTH}, got {self.strength}"
            raise OptionError(msg)
        shares_fit = all(0 <= share <= 1 for share in self.split) and self.split[0] > 0
        if not shares_fit or abs(sum(self.split) - 1) > _ROUNDING:
            shares = ",".join(f"{100 * share:g}" for share in self.split)
            msg = f"--split must be three shares that add up to 100, got {shares}"
            raise OptionError(msg, hint="For example --split 70,15,15.")
        if self.seed < 0 or self.patience < 0:
            msg = "--seed and --patience must not be negative"
            raise OptionError(msg)
        if not 0 <= self.weight_decay < math.inf:
            msg = f"--weight-decay must be 0 or a positive number, got {self.weight_decay}"
            raise OptionError(msg)


def check_folder(flag: str, folder: Path | None) -> None:
    """Refuse a URL: as a path it would be a folder with a colon in its name.

    Raises:
        OptionError: It is one.
    """
    found = None if folder is None else _URL.match(folder.as_posix())
    if found is not None:
        msg = f"{flag} {found['scheme']}:// is no folder"
        raise OptionError(msg, hint="'geoseg batch' writes to s3://, all else to folders.")


_URL: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/[^/]", re.IGNORECASE)
"""A URL as ``pathlib`` leaves it; a letter alone is a drive."""


def _loss_names(text: str) -> set[str]:
    """Return the names in ``ce+0.5*dice``, whether there are such losses or not."""
    return {part.rpartition("*")[2].strip() for part in text.split("+")}


def _check_polygons(options: RunOptions | VectoriseOptions) -> None:
    unknown = [f for f in options.formats if f not in POLYGON_SUFFIXES]
    if unknown:
        msg = f"polygon format {unknown[0]!r} is unknown"
        raise OptionError(msg, hint=f"Known: {', '.join(POLYGON_SUFFIXES)}.")
    for name, value, allowed in (
        ("--simplify-method", options.simplify_method, SIMPLIFY_METHODS),
        ("--connectivity", options.connectivity, _CONNECTIVITIES),
    ):
        if value not in allowed:
            msg = f"{name} is {value!r}, expected one of {', '.join(map(str, allowed))}"
            raise OptionError(msg)
    if options.table is not None and options.postgis is None:
        msg = "--table names a table of a database, and there is no --postgis"
        raise OptionError(msg, hint="Add --postgis postgresql://user@host/database.")
