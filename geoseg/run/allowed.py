"""Where a batch may read from: folders and URL prefixes, and the test of an address.

Refusing is the answer to all doubt: an address that can be understood in two ways, or that
only GDAL understands, is refused as soon as roots are given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from geoseg.errors import OptionError, SceneError
from geoseg.redact import shown_address
from geoseg.run.addresses import scheme_of

__all__ = ["AllowedRoots", "allowed_roots"]

_BUCKETS: Final = {"vsis3": "s3", "vsigs": "gs", "vsiaz": "az", "vsioss": "oss", "vsiadls": "adls"}
_ARCHIVES: Final = frozenset({"vsizip", "vsitar", "vsigzip", "vsi7z", "vsirar"})
_PORTS: Final = {"http": 80, "https": 443}
_VSI: Final = re.compile(r"/(?P<system>vsi[a-z0-9_]*)/(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_CONNECTION: Final = re.compile(r"[a-z][a-z0-9_+.-]+:", re.IGNORECASE)
_UNCLEAR: Final = re.compile(r"[\x00-\x1f\x7f]")
# Archives in archives, and percent signs that are encoded again; nobody needs more.
_DEPTH: Final = 4


class _Place(NamedTuple):
    """What an address names, in parts that can be compared."""

    kind: str
    """Scheme of a URL; ``file`` for a path, which links are to be followed of."""
    host: str
    """Host with port, bucket or container; empty for a path."""
    readings: tuple[tuple[str, ...], ...]
    """Folders and name, once for each time that a server may decode the path."""


class _UnclearError(ValueError):
    """An address that cannot be judged; says why."""


@dataclass(frozen=True, slots=True)
class AllowedRoots:
    """Folders and URL prefixes; a frozen value that workers ask too. Empty allows all.

    Links are followed on the machine that asks, at the time that it asks.
    """

    roots: tuple[str, ...] = ()
    """Absolute folders and URLs."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to check."""
        return bool(self.roots)

    def check(self, address: str) -> None:
        """Refuse an address outside the roots.

        Args:
            address: Path, URL or ``/vsi`` name; a path relative to the current folder.

        Raises:
            SceneError: It lies outside, or cannot be judged: inline documents, GDAL's
                connection strings, ``/vsi`` names of unknown systems or with options.
        """
        if not self.roots:
            return
        try:
            place = _resolved(_place(address))
        except (ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            msg = f"{_short(address)} cannot be held against --allow-root: {reason}"
            raise SceneError(msg, hint="Name a file or object by its path or URL.") from error
        if not any(_holds(_resolved(_place(root)), place) for root in self.roots):
            shown = ", ".join(shown_address(root) for root in self.roots)
            msg = f"{_short(address)} lies outside the allowed roots ({shown})"
            raise SceneError(msg, hint="Leave it out, or allow its folder with --allow-root.")


def allowed_roots(given: Iterable[str]) -> AllowedRoots:
    """Return the roots that ``--allow-root`` names.

    Raises:
        OptionError: One is neither a folder that is there nor a URL.
    """
    return AllowedRoots(tuple(_root(text) for text in given))


def _root(text: str) -> str:
    try:
        place = _place(text) if text.strip() else None
    except _UnclearError as error:
        msg = f"--allow-root {_short(text)}: {error}"
        raise OptionError(msg, hint="Give a folder, or a URL such as s3://bucket/prefix.") from None
    if place is None or (place.kind == "file" and not os.path.isdir(text)):  # noqa: PTH112 - as given
        msg = f"--allow-root {text!r} is neither a folder nor a URL"
        raise OptionError(msg, hint="Give a folder, or a URL such as s3://bucket/prefix.")
    return os.path.abspath(text) if place.kind == "file" else text  # noqa: PTH100 - keeps links


def _short(address: str) -> str:
    return shown_address(address)[:200]


def _place(address: str, depth: int = 0) -> _Place:
    """Return what an address names; raises _UnclearError."""
    if depth > _DEPTH:
        msg = "archives in archives"
        raise _UnclearError(msg)
    if _UNCLEAR.search(address) or not address:
        msg = "it is empty or holds control characters"
        raise _UnclearError(msg)
    if address.lstrip()[0] in "<{[":
        msg = "it is a document, not an address"
        raise _UnclearError(msg)
    if address.lower().startswith("/vsi"):
        return _vsi_place(address, depth)
    scheme = scheme_of(address)
    if scheme is not None:
        return _url_place(scheme, address)
    if _CONNECTION.match(address):
        msg = "it is a connection string of one of GDAL's drivers"
        raise _UnclearError(msg)
    return _Place("file", "", ((address,),))


def _vsi_place(address: str, depth: int) -> _Place:
    found = _VSI.fullmatch(address)
    if found is None:
        msg = "it is a /vsi name with options or without an address"
        raise _UnclearError(msg)
    system, rest = found["system"].removesuffix("_streaming"), found["rest"]
    if ".." in re.split(r"[/\\]", rest):
        msg = "it is a /vsi name with '..'"
        raise _UnclearError(msg)
    if system in _BUCKETS:
        return _url_place(_BUCKETS[system], f"{_BUCKETS[system]}://{rest}")
    if system == "vsicurl" and scheme_of(rest) in _PORTS:
        return _url_place(scheme_of(rest) or "", rest)
    if system in _ARCHIVES:
        return _archive_place(rest, depth)
    msg = f"/{found['system']}/ is not among the systems that can be judged"
    raise _UnclearError(msg)


def _archive_place(rest: str, depth: int) -> _Place:
    """Return the place of an archive, with the name inside it as if it were a folder."""
    if rest.startswith("{"):
        # The archive stands in braces, which nest.
        level, end = 0, -1
        for at, sign in enumerate(rest):
            level += {"{": 1, "}": -1}.get(sign, 0)
            if level == 0:
                end = at
                break
        if end < 0:
            msg = "its braces do not close"
            raise _UnclearError(msg)
        rest = rest[1:end]
    if rest.lower().startswith("vsi"):
        msg = "a slash is missing before its inner /vsi name"
        raise _UnclearError(msg)
    return _place(rest, depth + 1)


def _url_place(scheme: str, url: str) -> _Place:
    if "\\" in url or " " in url.partition("://")[2].partition("/")[0]:
        msg = "it is a URL with a backslash or a space in its host"
        raise _UnclearError(msg)
    host, slash, path = url.partition("://")[2].partition("/")
    if scheme not in _PORTS:
        # A key is taken as it stands: no query, no percent signs that mean something.
        if not host or "@" in host:
            msg = "it names no bucket"
            raise _UnclearError(msg)
        return _Place(scheme, host, (_folders(slash + path),))
    if re.search(r"[?#]", host) or host.count("@") > 1:
        msg = "it is a URL whose host is unclear"
        raise _UnclearError(msg)
    try:
        parts = urlsplit(url)
        name, port = parts.hostname, parts.port or _PORTS[scheme]
    except ValueError as error:
        msg = "it is a URL whose host is unclear"
        raise _UnclearError(msg) from error
    if not name:
        msg = "it is a URL without a host"
        raise _UnclearError(msg)
    if "%2f" in parts.path.lower():
        msg = "it is a URL with an encoded slash"
        raise _UnclearError(msg)
    return _Place(scheme, f"{name.rstrip('.')}:{port}", _readings(parts.path))


def _readings(path: str) -> tuple[tuple[str, ...], ...]:
    """Return the folders of a path after one decoding, two, and so on until nothing changes.

    A server decodes once, one behind a proxy perhaps twice. Whatever they do, all readings
    must lie below the root.
    """
    found: list[tuple[str, ...]] = []
    for _ in range(_DEPTH):
        path, before = unquote(path, errors="surrogateescape"), path
        if found and path == before:
            break
        found.append(_folders(path))
    else:
        msg = "its percent signs are encoded again and again"
        raise _UnclearError(msg)
    return tuple(found)


def _folders(path: str) -> tuple[str, ...]:
    if "\\" in path or "\0" in path:
        msg = "it is a URL with an encoded backslash or NUL"
        raise _UnclearError(msg)
    found: list[str] = []
    parts = path.split("/")[1:]
    if ".." in parts and "" in parts[:-1]:
        # /a//../b is /a/b, or /b where the server joins slashes first.
        msg = "it is a URL with '..' and '//'"
        raise _UnclearError(msg)
    for part in parts:
        if part == "..":
            if not found:
                msg = "it is a URL with '..' above its host"
                raise _UnclearError(msg)
            found.pop()
        elif part != ".":
            found.append(part)
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def _resolved(place: _Place) -> _Place:
    """Follow the links of a path."""
    if place.kind != "file":
        return place
    real = os.path.realpath(place.readings[0][0])
    drive, rest = os.path.splitdrive(real)
    folders = tuple(part for part in re.split(r"[/\\]" if drive else "/", rest) if part)
    return place._replace(host=drive.lower(), readings=(folders,))


def _holds(root: _Place, place: _Place) -> bool:
    if (root.kind, root.host) != (place.kind, place.host):
        return False
    return all(
        # What a root says after fewer decodings than the address has, it says for good.
        reading[: len(allowed)] == allowed
        for at, reading in enumerate(place.readings)
        for allowed in (root.readings[min(at, len(root.readings) - 1)],)
    )
