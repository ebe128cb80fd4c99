"""The header of one input raster as a frozen value."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags

from geoseg.errors import MismatchError, SceneError
from geoseg.grid.pixel_grid import PixelGrid
from geoseg.raster.env import GDAL_ERRORS, gdal_address, gdal_env, is_remote, tidy_message
from geoseg.redact import shown_address

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

__all__ = ["Scene", "open_scene", "select_bands"]

_RASTER_HINT = "geoseg reads what GDAL reads as a raster: GeoTIFF, COG, VRT, JP2 and others."
# VRTs of VRTs of VRTs that are looked into for their sources.
_VRT_DEPTH = 4
_PALETTE = "palette"
_TRUECOLOUR = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One input raster: everything about it but its pixels."""

    address: str
    """Path or URL as the user gave it (relative paths made absolute)."""
    grid: PixelGrid
    """Where its pixels lie."""
    band_names: tuple[str, ...]
    """One lower-case name per band: its description, else its colour, else ``band_N``."""
    dtypes: tuple[str, ...]
    """numpy dtype name per band."""
    nodata: tuple[float | None, ...]
    """Declared nodata value per band."""
    has_dataset_mask: bool
    """True for an internal or sidecar mask that covers all bands."""
    masked_bands: tuple[int, ...]
    """1-based bands with a mask of their own, as a VRT may have them."""
    alpha_band: int | None
    """1-based alpha band, or None."""
    block_shape: tuple[int, int]
    """(height, width) of the storage blocks of the first band."""
    size_bytes: int | None
    """Size of a local file."""
    fingerprint: str
    """Digest of the header and of size and time of every local file behind the raster."""
    acquired: datetime | None
    """Time of acquisition, where the file tells it (GDAL's IMAGERY metadata)."""
    driver: str
    """GDAL driver."""
    blank_value: float | None = None
    """What marks a pixel as nodata where all bands that are read hold it, told by the user."""

    @property
    def is_remote(self) -> bool:
        """True where pixels come over a network."""
        return is_remote(self.gdal_name)

    @property
    def gdal_name(self) -> str:
        """The name that GDAL opens."""
        return gdal_address(self.address)

    @property
    def label(self) -> str:
        """The address as it may be shown and stored: without a URL's query, which signs it."""
        return shown_address(self.address)

    @property
    def stem(self) -> str:
        """File name without folder, query and extension."""
        name = self.label.rstrip("/").replace("\\", "/").rsplit("/", 1)[-1]
        return Path(name).stem or "scene"

    @property
    def n_bands(self) -> int:
        """Number of bands, alpha included."""
        return len(self.dtypes)


def open_scene(address: str | os.PathLike[str]) -> Scene:
    """Read a raster's header.

    Raises:
        SceneError: The file is missing, is not a raster, has no bands, several
            subdatasets, complex numbers, or a georeference that geoseg cannot keep.
    """
    if not os.fspath(address):
        msg = "the name of the scene is empty"
        raise SceneError(msg, hint="Is a variable of the shell not set?")
    text = _absolute(os.fspath(address))
    _require_file(text)
    with gdal_env(gdal_address(text)):
        try:
            with rasterio.open(gdal_address(text)) as dataset:
                return _read_header(text, dataset)
        except SceneError:
            raise
        except GDAL_ERRORS as error:
            msg = f"cannot open {shown_address(text)} as a raster: {tidy_message(error)}"
            raise SceneError(msg, hint=_RASTER_HINT) from error


def _absolute(text: str) -> str:
    # Paths only: URLs, /vsi names and connection strings (NETCDF:"x":y) pass through.
    if "://" in text or text.startswith("/vsi") or (":" in text and not Path(text).exists()):
        return text
    return os.path.abspath(text)  # noqa: PTH100 - keeps links, as the user sees the path


def _require_file(text: str) -> None:
    if "://" in text or text.startswith("/vsi") or ":" in text:
        return
    path = Path(text)
    try:
        is_there = path.exists()
    except OSError as error:
        msg = f"cannot look for {text}: {error.strerror or error}"
        raise SceneError(msg, hint="Who may enter its folder?") from error
    if not is_there:
        msg = f"there is no file {text}"
        raise SceneError(msg, hint="Check the path; quote it if it holds spaces.")
    if not (path.is_file() or path.is_dir()):
        # GDAL would wait for a pipe for ever.
        msg = f"{text} is a pipe or device, expected a file"
        raise SceneError(msg, hint=_RASTER_HINT)
    try:
        text.encode()
    except UnicodeEncodeError:
        msg = f"the name {text!a} is not UTF-8, which GDAL expects"
        raise SceneError(msg, hint="Rename the file.") from None
    if path.is_file() and path.stat().st_size == 0:
        msg = f"{text} is empty (0 bytes)"
        raise SceneError(msg, hint=_RASTER_HINT)


def _read_header(address: str, dataset: DatasetReader) -> Scene:
    _refuse_unusable(shown_address(address), dataset)
    grid = PixelGrid(
        crs_wkt=dataset.crs.to_wkt() if dataset.crs else None,
        transform=Affine(*tuple(dataset.transform)[:6]),
        height=dataset.height,
        width=dataset.width,
    )
    flags = dataset.mask_flag_enums[0]
    alpha = [i for i, c in enumerate(dataset.colorinterp, 1) if c == ColorInterp.alpha]
    return Scene(
        address=address,
        grid=grid,
        band_names=_band_names(dataset),
        dtypes=tuple(dataset.dtypes),
        nodata=tuple(dataset.nodatavals),
        has_dataset_mask=MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
        masked_bands=_masked_bands(dataset),
        alpha_band=alpha[0] if alpha else None,
        block_shape=tuple(dataset.block_shapes[0]),
        size_bytes=_local_size(address),
        fingerprint=_fingerprint(address, dataset),
        acquired=_acquired(dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")),
        driver=dataset.driver,
    )


def _refuse_unusable(label: str, dataset: DatasetReader) -> None:
    if dataset.count == 0:
        found = len(dataset.subdatasets)
        msg = f"{label} holds no bands" + (f" but {found} subdatasets" if found else "")
        hint = (
            f"Name one of them, e.g. '{shown_address(dataset.subdatasets[0])}'."
            if found
            else _RASTER_HINT
        )
        raise SceneError(msg, hint=hint)
    if dataset.crs is not None and _is_geocentric(dataset.crs.to_wkt()):
        msg = f"{label} has a geocentric CRS, expected one with coordinates on the ground"
        raise SceneError(msg, hint="Warp it first: gdalwarp -t_srs EPSG:... IN OUT.")
    complex_types = [d for d in dataset.dtypes if "complex" in d]
    if complex_types:
        msg = f"{label} holds complex numbers ({complex_types[0]}), expected real ones"
        raise SceneError(msg, hint="Convert to amplitude or intensity first.")
    gcps, _ = dataset.gcps
    if dataset.transform.is_identity and (gcps or dataset.rpcs):
        what = "ground control points" if gcps else "RPCs"
        msg = f"{label} is placed by {what} only, not by a geotransform"
        raise SceneError(
            msg, hint="Rectify it first: gdalwarp -r bilinear IN OUT (add -rpc for RPCs)."
        )
    if dataset.transform.is_degenerate:
        msg = f"{label} has a geotransform without area: {tuple(dataset.transform)[:6]}"
        raise SceneError(msg, hint="Set a proper one with gdal_edit -a_ullr.")


def _is_geocentric(wkt: str) -> bool:
    # WKT 1 names the kind first; in WKT 2 it is a geodetic CRS with Cartesian axes.
    return wkt.startswith("GEOCCS") or (wkt.startswith("GEODCRS") and "CS[Cartesian" in wkt)


def _band_names(dataset: DatasetReader) -> tuple[str, ...]:
    """Name bands by description, else by colour, each name once."""
    names: list[str] = []
    for index, (description, colour) in enumerate(
        zip(dataset.descriptions, dataset.colorinterp, strict=True), 1
    ):
        fallback = colour.name if colour.name in {*_TRUECOLOUR, "alpha", "nir", _PALETTE} else ""
        name = (description or fallback or f"band_{index}").strip().lower()
        names.append(name if name not in names else f"{name}_{index}")
    return tuple(names)


def _masked_bands(dataset: DatasetReader) -> tuple[int, ...]:
    """Return the bands whose mask is neither everybody's nor made from nodata or alpha."""
    shared = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha, MaskFlags.per_dataset}
    return tuple(
        index
        for index, flags in enumerate(dataset.mask_flag_enums, 1)
        if not shared.intersection(flags)
    )


def _local_size(address: str) -> int | None:
    path = Path(address)
    return path.stat().st_size if "://" not in address and path.is_file() else None


def _fingerprint(address: str, dataset: DatasetReader) -> str:
    """Digest what is known of a raster without reading its pixels.

    Of a remote file that is the header with the places of some tiles: rewriting it moves
    them. A run's plan adds a digest of sampled pixels.
    """
    facts = (
        address,
        dataset.width,
        dataset.height,
        dataset.dtypes,
        dataset.nodatavals,
        [c.name for c in dataset.colorinterp],
        [[f.name for f in flags] for flags in dataset.mask_flag_enums],
        tuple(dataset.transform)[:6],
        dataset.crs.to_wkt() if dataset.crs else None,
        sorted(dataset.tags().items()),
        _tile_places(dataset),
        sorted(_local_files(dataset)),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _tile_places(dataset: DatasetReader) -> list[str | None]:
    """Return where the first and the last tile of a TIFF lie in the file."""
    height, width = dataset.block_shapes[0]
    last = f"{(dataset.width - 1) // width}_{(dataset.height - 1) // height}"
    names = [f"BLOCK_{what}_{at}" for what in ("OFFSET", "SIZE") for at in ("0_0", last)]
    return [dataset.get_tag_item(name, "TIFF", bidx=1) for name in names]


def _local_files(dataset: DatasetReader, depth: int = 0) -> set[tuple[str, int, int]]:
    """Return (name, bytes, time) of a raster's files: sidecars, masks, sources of a VRT."""
    found = set()
    for name in dataset.files:
        path = Path(name)
        if not path.is_file():
            continue
        status = path.stat()
        found.add((name, status.st_size, status.st_mtime_ns))
        if path.suffix.lower() == ".vrt" and name != dataset.name and depth < _VRT_DEPTH:
            with contextlib.suppress(*GDAL_ERRORS), rasterio.open(path) as inner:
                found |= _local_files(inner, depth + 1)
    return found


def _acquired(text: str | None) -> datetime | None:
    """Parse GDAL's ``YYYY-MM-DD HH:MM:SS`` with or without zone; without one it is UTC.

    TIFF's own DateTime tag tells when the file was written, and is no answer.
    """
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def select_bands(
    scene: Scene, wanted: tuple[str, ...], chosen: tuple[str, ...] | None
) -> tuple[int, ...]:
    """Return the 1-based bands of a scene that feed the model, in the model's order.

    Args:
        scene: The scene.
        wanted: Names of the model's input bands.
        chosen: Numbers or names given by the user, or None to choose by name and, where
            the scene names none of them, by position.

    Raises:
        MismatchError: Too few bands, or a band that the scene does not have.
    """
    if _PALETTE in scene.band_names:
        msg = f"the numbers in {scene.label} stand for the colours of a palette, expected bands"
        raise MismatchError(msg, hint="Make bands of them: gdal_translate -expand rgb IN OUT.")
    if chosen is not None:
        if len(chosen) != len(wanted):
            msg = (
                f"--bands names {len(chosen)} bands, the model takes {len(wanted)}: "
                f"{', '.join(wanted)}"
            )
            raise MismatchError(msg, hint=_bands_hint(scene, wanted))
        return tuple(_find_band(scene, token.strip(), wanted) for token in chosen)
    data_bands = [i for i in range(1, scene.n_bands + 1) if i != scene.alpha_band]
    if len(data_bands) < len(wanted):
        msg = (
            f"{scene.label} has {len(data_bands)} data band(s) "
            f"({_listing(scene)}), the model needs {len(wanted)}: {', '.join(wanted)}"
        )
        raise MismatchError(msg, hint="Choose a model that takes these bands, or another scene.")
    if all(name in scene.band_names for name in wanted):
        return tuple(scene.band_names.index(name) + 1 for name in wanted)
    # Three or four nameless bands are taken in order, as everybody's viewer shows them;
    # with more of them, or with some names but not the right ones, guessing would lie.
    named = [n for n in wanted if n in scene.band_names]
    spare = len(data_bands) - len(wanted)
    if named or spare > 1 or (spare and not _unnamed(scene)):
        msg = (
            f"cannot tell which bands of {scene.label} are {', '.join(wanted)}: "
            f"it has {_listing(scene)}"
        )
        raise MismatchError(msg, hint=_bands_hint(scene, wanted))
    return tuple(data_bands[: len(wanted)])


def _unnamed(scene: Scene) -> bool:
    return all(
        name == f"band_{i}" or i == scene.alpha_band for i, name in enumerate(scene.band_names, 1)
    )


def _find_band(scene: Scene, token: str, wanted: tuple[str, ...]) -> int:
    if token.isdecimal() and 1 <= int(token) <= scene.n_bands:
        return int(token)
    if token.lower() in scene.band_names:
        return scene.band_names.index(token.lower()) + 1
    msg = f"{scene.label} has no band {token!r}; it has {_listing(scene)}"
    raise MismatchError(msg, hint=_bands_hint(scene, wanted))


def _listing(scene: Scene) -> str:
    return ", ".join(f"{i} {name}" for i, name in enumerate(scene.band_names, 1))


def _bands_hint(scene: Scene, wanted: tuple[str, ...]) -> str:
    numbers = ",".join(str(i) for i in range(1, len(wanted) + 1))
    return f"Say which of the {scene.n_bands} bands are {','.join(wanted)}, e.g. --bands {numbers}."
