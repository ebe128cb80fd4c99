"""GDAL settings, each with its reason, applied only inside a ``with`` block."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Final

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.endpoint import gdal_endpoint
from geoseg.errors import SceneReadError
from geoseg.redact import without_secrets

__all__ = [
    "GDAL_ERRORS",
    "GDAL_SETTINGS",
    "gdal_address",
    "gdal_env",
    "is_remote",
    "mapped_read_errors",
    "tidy_message",
]

# geoseg says in its own words, once, that a scene has no georeference; rasterio would say
# so at every opening, in every thread, with the place in its own source.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

# rasterio wraps most of GDAL's errors in its own, but not those of a copy that fails half-way.
GDAL_ERRORS: Final = (RasterioError, CPLE_BaseError, OSError)
"""Everything that a call of rasterio raises for what a file or disk does."""

GDAL_SETTINGS: Final[dict[str, str | int | bool]] = {
    # Neighbouring blocks of a remote file come in one request; GDAL_DISABLE_READDIR_ON_OPEN
    # stays as it is, or sidecars (.aux.xml, .tfw, .ovr) of local files would not be found.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
    "VSI_CACHE": True,
    # Retry what a busy server answers, but not for ever.
    "GDAL_HTTP_MAX_RETRY": 4,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    # The cache is shared by all threads; the default of 5 % of the machine's memory
    # would make peak memory depend on the machine.
    "GDAL_CACHEMAX": 64 * 1024 * 1024,
    # An internal mask and overviews live in the file itself.
    "GDAL_TIFF_INTERNAL_MASK": True,
}

_SCHEMES = {
    "http://": "/vsicurl/http://",
    "https://": "/vsicurl/https://",
    "s3://": "/vsis3/",
    "gs://": "/vsigs/",
    "az://": "/vsiaz/",
}


def gdal_address(address: str | os.PathLike[str]) -> str:
    """Return the name under which GDAL opens a path or URL.

    ``https://``, ``s3://``, ``gs://`` and ``az://`` become GDAL's virtual file systems;
    everything else (paths, ``/vsi...``, driver connection strings) stays as it is.
    """
    text = os.fspath(address)
    for scheme, prefix in _SCHEMES.items():
        if text.lower().startswith(scheme):
            return prefix + text[len(scheme) :]
    return text


def is_remote(gdal_name: str) -> bool:
    """Tell whether GDAL reads a name over a network."""
    return gdal_name.startswith(("/vsicurl", *set(_SCHEMES.values())))


def _remote_settings(gdal_name: str) -> dict[str, str]:
    """Return settings that spare a remote GeoTIFF forty requests for files beside it.

    Drivers ask for sidecars by many names, in upper case and in lower; each that is not there
    takes a round trip. Those that place, values, mask and date may be in are still asked for.
    """
    suffix = PurePosixPath(gdal_name).suffix.lower()
    # A signed address ends in its signature, other formats consist of several files.
    if not is_remote(gdal_name) or suffix not in {".tif", ".tiff"}:
        return {}
    sidecars = ".aux.xml,.msk,.tfw,.wld,_rpc.txt,.rpb,.imd,_mtl.txt"
    return {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": f"{suffix},{suffix}w,{sidecars}"}


@contextmanager
def gdal_env(gdal_name: str = "", **extra: str | int | bool) -> Iterator[None]:
    """Apply geoseg's GDAL settings, and ``extra`` ones, for the length of a block.

    What the user set in the process environment wins over geoseg's defaults.

    Args:
        gdal_name: What is opened or read in the block, if it is one scene.
        extra: Further settings.
    """
    known = {**GDAL_SETTINGS, **_remote_settings(gdal_name), **gdal_endpoint(os.environ)}
    settings = {k: v for k, v in known.items() if k not in os.environ}
    with rasterio.Env(session=None, **{**settings, **extra}):
        yield


def tidy_message(error: BaseException) -> str:
    """Return a foreign error's last cause on one line, without internal addresses."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    text = re.sub(r"\s+", " ", str(cause) or type(cause).__name__)
    return without_secrets(text)[:300]


@contextmanager
def mapped_read_errors(address: str, what: str) -> Iterator[None]:
    """Turn rasterio's errors into ``SceneReadError`` that names file and place."""
    try:
        yield
    except GDAL_ERRORS as error:
        msg = f"cannot read {what} of {address}: {tidy_message(error)}"
        raise SceneReadError(
            msg, hint="Check the file with 'gdalinfo -checksum'; it may be truncated or damaged."
        ) from error
