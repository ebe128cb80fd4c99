"""What files a raster reads, found without opening any that may not be opened.

A VRT names other rasters, on this machine or elsewhere, and so do a dozen other formats. Here
a file is looked at before GDAL sees it: by its first bytes a format that holds its own pixels,
or a VRT, which is taken apart. Everything else is refused.

GDAL's VRT: https://gdal.org/en/stable/drivers/raster/vrt.html
"""

from __future__ import annotations

import os
import posixpath
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rasterio.io import DatasetReader

from geoseg.errors import GeosegError, SceneError
from geoseg.raster.env import GDAL_ERRORS, gdal_address, gdal_env, tidy_message
from geoseg.redact import shown_address

__all__ = ["source_names"]

# First bytes of formats that hold their own pixels. HFA and NITF may name files with more.
_PLAIN: Final = (
    b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",  # TIFF and BigTIFF
    b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",  # JPEG 2000
    b"\x89PNG", b"\xff\xd8\xff", b"BM",
)  # fmt: skip
_PLAIN_DRIVERS: Final = (
    "GTiff", "JP2OpenJPEG", "JP2ECW", "JP2KAK", "JP2MrSID", "PNG", "JPEG", "BMP",
)  # fmt: skip
_SYSTEMS: Final = {"/vsicurl/": "", "/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://"}
# Files beside a raster that GDAL opens as rasters of their own, of any format.
_BESIDE: Final = (".msk", ".ovr", ".aux")
# URLs and connection strings of GDAL's drivers, and documents in place of a name.
_SPECIAL: Final = re.compile(r"[A-Za-z][\w+.-]+:|\s*[<{\[]")
_VRT: Final = b"<VRTDataset"
# Behind the first kilobyte, GDAL does not see it and takes the file for something else.
_HEAD_BYTES: Final = 1024
_MOST_BYTES: Final = 64 * 1024 * 1024
_DEEPEST: Final = 8
_MOST_NAMES: Final = 200_000
_HARMLESS_OPTIONS: Final = frozenset({"overview_level", "num_threads"})
# What GDAL takes the name of a file from, wherever it stands in a raster's metadata.
_NAME_KEYS: Final = frozenset({"x_dataset", "y_dataset", "overview_file"})
_HINT: Final = "With --allow-root a scene is a TIFF, JPEG 2000, PNG, JPEG, BMP or VRT of them."


@dataclass(slots=True)
class _Search:
    check: Callable[[str], None]
    read_text: Callable[[str], str] | None
    found: dict[str, None] = field(default_factory=dict)
    folders: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Names in each folder by their lower case: a VRT has thousands of sources in one."""


def source_names(
    address: str,
    *,
    check: Callable[[str], None] | None = None,
    read_text: Callable[[str], str] | None = None,
) -> tuple[str, ...]:
    """Return the names of all files behind a raster, its own first, VRTs of VRTs included.

    Args:
        address: Path, URL or ``/vsi`` name.
        check: Is asked with each name before that file is looked at; raises to refuse it.
        read_text: Reads a text from a URL; without it, VRTs on other machines are refused.

    Returns:
        Paths (absolute), and other names as GDAL takes them.

    Raises:
        SceneError: A file cannot be read, or is of a kind that may read files it does not
            name; or a VRT is damaged, runs code, or is nested too deeply.
    """
    search = _Search(check or _anything, read_text)
    _look_at(search, address, depth=0)
    return tuple(search.found)


def _anything(_name: str) -> None:
    """Refuse nothing."""


def _look_at(search: _Search, address: str, depth: int) -> None:
    address = _as_url(address)
    name = gdal_address(address)
    is_local = not name.startswith("/vsi") and not _SPECIAL.match(name)
    name = os.path.abspath(name) if is_local else name  # noqa: PTH100 - keeps links
    if name in search.found:
        return
    if depth > _DEEPEST or len(search.found) >= _MOST_NAMES:
        msg = f"{shown_address(name)} lies in more than {_DEEPEST} VRTs or {_MOST_NAMES:,} files"
        raise SceneError(msg)
    search.check(name if is_local else address)
    search.found[name] = None
    text = _local_vrt(name) if is_local else _remote_vrt(search, address, name)
    for other in _local_beside(search, name) if is_local else _remote_beside(search, address):
        _look_at(search, other, depth + 1)
    if text is None:
        return
    # GDAL sees relative names from where the link to a VRT leads.
    home = posixpath.dirname(os.path.realpath(name) if is_local else name)
    for told, is_relative in _names_in(shown_address(name), text):
        plain = is_relative and not told.startswith("/") and not _SPECIAL.match(told)
        _look_at(search, f"{home}/{told}" if plain else told, depth + 1)


def _as_url(address: str) -> str:
    """Return the URL behind a ``/vsi`` name of an address, where it is one and nothing else."""
    for start, scheme in _SYSTEMS.items():
        if address.startswith(start):
            return scheme + address[len(start) :]
    return address


def _local_vrt(name: str) -> str | None:
    """Return the text of a VRT; None for a file with its own pixels."""
    if not os.path.isfile(name):  # noqa: PTH113 - False for names that cannot be
        msg = f"there is no file {name}"
        raise SceneError(msg)
    try:
        with Path(name).open("rb") as file:
            head = file.read(_HEAD_BYTES)
            body = head + file.read(_MOST_BYTES) if _VRT in head else b""
    except (OSError, ValueError) as error:
        msg = f"cannot read {name}: {getattr(error, 'strerror', None) or error}"
        raise SceneError(msg) from error
    if body:
        return _decoded(name, body)
    if not head.startswith(_PLAIN):
        msg = f"{name} is of a kind that may read other files"
        raise SceneError(msg, hint=_HINT)
    reason = _why_not_plain(name)
    if reason is not None:
        msg = f"cannot read {name}: {reason}"
        raise SceneError(msg, hint=_HINT)
    return None


def _local_beside(search: _Search, name: str) -> list[str]:
    """Return mask and overviews that lie beside a file; notes its other metadata.

    GDAL compares names without regard to case, also where the file system does not.
    """
    folder, own = os.path.split(name)
    names = _names_by_case(search, folder)
    for other in names.get(f"{own}.aux.xml".lower(), ()):
        search.check(f"{folder}/{other}")
        search.found[f"{folder}/{other}"] = None
    # GDAL seeks "scene.aux", too.
    wanted = [own + ending for ending in _BESIDE]
    wanted.append(os.path.splitext(own)[0] + ".aux")  # noqa: PTH122 - names as GDAL cuts them
    return [f"{folder}/{other}" for one in wanted for other in names.get(one.lower(), ())]


def _names_by_case(search: _Search, folder: str) -> dict[str, list[str]]:
    if folder not in search.folders:
        found: dict[str, list[str]] = {}
        try:
            for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names as they are
                found.setdefault(name.lower(), []).append(name)
        except OSError as error:
            msg = f"cannot look for masks in {folder}: {error.strerror}"
            raise SceneError(msg) from error
        search.folders[folder] = found
    return search.folders[folder]


def _remote_beside(search: _Search, address: str) -> list[str]:
    """Return mask and overviews of a raster on another machine.

    They cannot be listed. One that is no raster with its own pixels is looked for as a text:
    only a text can name other files here.
    """
    found: list[str] = []
    if address.startswith("/vsi") or urlsplit(address).query or address.endswith(_BESIDE[:2]):
        return found
    for other in (address + ending for ending in _BESIDE[:2]):
        if _why_not_plain(gdal_address(other)) is None:
            search.check(other)
            search.found[gdal_address(other)] = None
            continue
        with suppress(GeosegError):  # most rasters have none
            text = search.read_text(other) if search.read_text is not None else ""
            # Some servers answer with a page to whatever they do not have.
            if text and not text.lstrip()[:9].lower().startswith(("<!doctype", "<html")):
                found.append(other)
    return found


def _remote_vrt(search: _Search, address: str, name: str) -> str | None:
    """Return the text of a VRT on another machine; None for a file with its own pixels."""
    reason = _why_not_plain(name)
    if reason is None:
        return None
    if search.read_text is None or address == name:
        msg = f"{shown_address(address)} cannot be looked into: {reason}"
        raise SceneError(msg, hint=_HINT)
    text = search.read_text(address)
    if _VRT not in text.encode()[:_HEAD_BYTES]:
        msg = f"{shown_address(address)} is of a kind that may read other files"
        raise SceneError(msg, hint=_HINT)
    return text


def _why_not_plain(name: str) -> str | None:
    """Open a file with the drivers that keep to it; return what they say against it, or None.

    Raises:
        SceneError: It is of their kind and yet names another file: that of its overviews.
    """
    try:
        # rasterio.open takes one driver only.
        with gdal_env(name), DatasetReader(name, driver=list(_PLAIN_DRIVERS)) as dataset:
            told = dataset.tags(ns="OVERVIEWS")
    except GDAL_ERRORS as error:
        return tidy_message(error)
    if any(key.upper() == "OVERVIEW_FILE" for key in told):
        msg = f"{shown_address(name)} names overviews in another file"
        raise SceneError(msg, hint="Copy it without them: gdal_translate IN OUT.")
    return None


def _decoded(name: str, body: bytes) -> str:
    if len(body) > _MOST_BYTES:
        msg = f"{name} is larger than {_MOST_BYTES // 2**20} MiB, too large for a VRT"
        raise SceneError(msg)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        msg = f"{name} is no VRT: it is not UTF-8"
        raise SceneError(msg) from error


def _names_in(shown: str, text: str) -> Iterator[tuple[str, bool]]:
    """Yield what a VRT names, and whether that is seen from its own folder.

    GDAL's own reader of XML is laxer: names in any case, attributes for elements. So the same
    name counts in any spelling, and what the two readers could understand differently
    (entities, CDATA, comments inside a name) is refused.
    """
    if re.search(r"<!(?!--)", text):
        msg = f"{shown} holds declarations or CDATA, which no VRT needs"
        raise SceneError(msg)
    builder = ET.TreeBuilder(insert_comments=True, insert_pis=True)
    try:
        root = ET.fromstring(text, ET.XMLParser(target=builder))  # noqa: S314 - no entities, see above
    except (ET.ParseError, ValueError) as error:
        msg = f"{shown} is no VRT: {error}"
        raise SceneError(msg) from error
    # WMS and tile indexes are XML that names other machines, perhaps with a VRT in a comment.
    top = next((e for e in (root, *root) if isinstance(e.tag, str)), root)
    if _local(str(top.tag)) != "vrtdataset":
        msg = f"{shown} is no VRT: it begins with <{str(top.tag)[:40]}>"
        raise SceneError(msg, hint=_HINT)
    for element in root.iter():
        if isinstance(element.tag, str):
            _refuse_settings(shown, element)
            yield from _names_of(shown, element)


def _refuse_settings(shown: str, element: ET.Element) -> None:
    """Refuse what changes how names are understood, and code."""
    tag = _local(element.tag)
    settings = {_local(key): value.strip().lower() for key, value in element.items()}
    if tag == "ooi" and settings.get("key") not in _HARMLESS_OPTIONS:
        # ROOT_PATH lets the names in a VRT start from another folder.
        msg = f"{shown} opens a source with the option {settings.get('key')!r}"
        raise SceneError(msg, hint="Write it anew without it: gdalbuildvrt OUT IN.")
    told = (element.text or "").strip().lower() if tag == "pixelfunctionlanguage" else "c"
    if {told, settings.get("pixelfunctionlanguage", "c")} != {"c"}:
        msg = f"{shown} computes pixels with code of its own"
        raise SceneError(msg, hint="Turn it into a GeoTIFF first, where its code is trusted.")


def _names_of(shown: str, element: ET.Element) -> Iterator[tuple[str, bool]]:
    tag = _local(element.tag)
    attributes = {_local(key): value.strip() for key, value in element.items()}
    yield from ((v, False) for k, v in attributes.items() if _is_name(k) and v)
    key = attributes.get("name", attributes.get("key", ""))
    # GDAL takes the key of metadata from the first attribute, whatever its name.
    names_file = tag == "mdi" and any(v.lower() in _NAME_KEYS for v in attributes.values())
    is_note = tag == "mdi" and not names_file
    if is_note or not (names_file or _is_name(tag) or _is_name(key)) or tag == "vrtdataset":
        return
    relative = attributes.get("relativetovrt", "0")
    if len(element) or relative not in {"0", "1"}:
        msg = f"{shown} has an unclear name of a source"
        raise SceneError(msg, hint="Write it anew: gdalbuildvrt or gdal_translate -of VRT.")
    if element.text and element.text.strip():
        yield element.text.strip(), relative == "1"


def _local(name: str) -> str:
    return re.split(r"[}:]", name)[-1].lower()


def _is_name(text: str) -> bool:
    """Tell whether an element, attribute or option holds the name of a file."""
    plain = text.lower()
    return "filename" in plain or plain.endswith("dataset") or plain in {"dempath", "rpc_dem"}
