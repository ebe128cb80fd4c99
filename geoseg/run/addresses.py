"""Addresses as users and documents write them: their kind, and where relative ones lead."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

from geoseg.errors import OptionError
from geoseg.redact import shown_address

__all__ = [
    "REMOTE_SCHEMES",
    "absolute",
    "file_name",
    "is_path",
    "is_url",
    "joined",
    "scheme_of",
    "suffix_of",
]

REMOTE_SCHEMES: Final = ("http", "https", "s3", "gs", "az")
"""URLs that geoseg reads rasters from."""

_SCHEME: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# GDAL's NETCDF:"x.nc":band and its like. One letter before the colon is a drive.
_CONNECTION: Final = re.compile(r"[a-z][a-z0-9_+.-]+:", re.IGNORECASE)
# Half characters of UTF-16, which JSON can spell, are in no file name.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def scheme_of(text: str) -> str | None:
    """Return the lower-case scheme of a URL, or None."""
    found = _SCHEME.match(text)
    return found["scheme"].lower() if found else None


def is_url(text: str) -> bool:
    """Tell whether a text begins with ``scheme://``."""
    return scheme_of(text) is not None


def is_path(text: str) -> bool:
    """Tell whether a text is a path of this machine: no URL, ``/vsi`` name or connection string."""
    if text.lower().startswith("/vsi") or text.lstrip()[:1] in {"<", "{", "["}:
        return False
    return not _CONNECTION.match(text) or (not is_url(text) and os.path.lexists(text))


def absolute(text: str) -> str:
    """Return a path as an absolute one, links kept; anything else as it is.

    Workers have other current folders than the client.
    """
    return os.path.abspath(text) if is_path(text) else text  # noqa: PTH100 - keeps links


def file_name(address: str) -> str:
    """Return the last part of an address as a file would be called."""
    shown = shown_address(address).rstrip("/\\")
    name = re.split(r"[/\\]", shown)[-1].rstrip("}")
    return unquote(name) if is_url(address) else name


def suffix_of(address: str) -> str:
    """Return the lower-case file extension of an address, e.g. ``.tif``."""
    return PurePosixPath(file_name(address)).suffix.lower()


def joined(base: str, address: str) -> str:
    """Return where an address leads that a document holds.

    A document from the network names nothing on this machine: its paths are seen from its own
    address, and other addresses than those of the network are refused.

    Args:
        base: Absolute path or URL of the document.
        address: What it says, relative or not.

    Raises:
        OptionError: It is empty, holds control characters, or is of a kind that the document
            cannot name.
    """
    if not address.strip() or _CONTROL.search(address):
        msg = f"{shown_address(base)} holds the address {address[:80]!r}"
        raise OptionError(msg, hint="An address is a path or URL without control characters.")
    if is_url(base):
        return _from_network(base, address)
    if address.lower().startswith("file:"):
        return _from_file_url(base, address)
    if not is_path(address):
        return address
    return absolute(str(Path(base).parent / address))


def _shown(address: str) -> str:
    return shown_address(address)[:200]


def _from_network(base: str, address: str) -> str:
    # urljoin knows http; buckets have the same grammar.
    scheme = scheme_of(base) or ""
    try:
        led = urljoin("http" + base[len(scheme) :], address)
    except ValueError as error:
        msg = f"{shown_address(base)} names {_shown(address)!r}: {error}"
        raise OptionError(msg) from error
    if scheme_of(address) is None and scheme_of(led) == "http":
        led = scheme + led[len("http") :]
    if scheme_of(led) not in REMOTE_SCHEMES:
        msg = f"{shown_address(base)} comes from the network and names {_shown(address)!r}"
        raise OptionError(msg, hint=f"It may name {', '.join(f'{s}://' for s in REMOTE_SCHEMES)}.")
    return led


def _from_file_url(base: str, address: str) -> str:
    parts = urlsplit(address)
    if parts.netloc not in {"", "localhost"}:
        msg = f"{base} names {address!r}, a file of another machine"
        raise OptionError(msg, hint="Name it as file:///folder/file, or by its path.")
    return joined(base, url2pathname(parts.path))
