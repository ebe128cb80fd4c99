"""Scenes from STAC: items, catalogues and collections, item collections and search results.

Documents are data that somebody else wrote: their number, depth and pages are limited, no
address is visited twice, and every address is held against the allowed roots.

STAC 1.1: https://github.com/radiantearth/stac-spec/tree/v1.1.0; paging as in STAC API, item
search: https://github.com/radiantearth/stac-api-spec/tree/v1.0.0/item-search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from geoseg.errors import GeosegError, OptionError
from geoseg.options import RunOptions
from geoseg.redact import shown_address
from geoseg.run.addresses import is_path, joined, suffix_of
from geoseg.run.documents import Documents
from geoseg.run.moments import moment_of
from geoseg.run.scene_job import SceneJob
from geoseg.run.scene_names import portable_name

__all__ = ["RASTER_SUFFIXES", "stac_scenes"]

RASTER_SUFFIXES: Final = (
    ".tif", ".tiff", ".gtiff", ".vrt", ".jp2", ".j2k", ".img", ".ntf", ".nitf", ".pix", ".kea",
    ".ecw", ".sid",
)  # fmt: skip
"""File extensions of scenes in folders, and of assets that do not tell their type."""
_RASTER_TYPES: Final = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "image/x.geotiff")
_CHOSEN_ROLES: Final = frozenset({"data", "visual"})
_OTHER_ROLES: Final = frozenset({"thumbnail", "overview", "metadata"})
_BANDS: Final = ("eo:bands", "raster:bands", "bands")
_DEEPEST: Final = 16
"""Catalogues in catalogues."""
_MOST_DOCUMENTS: Final = 200_000
_MOST_PAGES: Final = 20_000
# A server needs some milliseconds for an item, and a collection has thousands of them.
_AT_A_TIME: Final = 16


@dataclass(slots=True)
class _Walk:
    """One reading of a source: what it asks for, and what it has seen."""

    documents: Documents
    batch: RunOptions
    asset: str | None
    seen: set[str] = field(default_factory=set)

    def is_new(self, address: str) -> bool:
        """Tell whether an address is visited for the first time.

        Raises:
            OptionError: There are too many of them.
        """
        plain = address.partition("#")[0]
        if plain in self.seen:
            return False
        if len(self.seen) >= _MOST_DOCUMENTS:
            msg = (
                f"more than {_MOST_DOCUMENTS:,} STAC documents hang together, at {_shown(address)}"
            )
            raise OptionError(msg, hint="Name the collections that are wanted one by one.")
        self.seen.add(plain)
        return True


def stac_scenes(
    address: str, documents: Documents, batch: RunOptions, *, asset: str | None
) -> Iterator[SceneJob]:
    """Yield the scenes of a STAC document: one asset of each item.

    Args:
        address: Absolute path or URL.
        documents: Reads documents, and says what they may name.
        batch: Options of all scenes.
        asset: Key of the asset; None takes the one that looks like imagery.

    Raises:
        OptionError: A document cannot be read, is not STAC, or goes on for ever; an item has
            no asset or several that could be meant; an address leads where it must not.
    """
    walk = _Walk(documents, batch, asset)
    walk.is_new(address)
    yield from _scenes(walk, address, _document(walk, address), depth=0)


def _scenes(
    walk: _Walk, address: str, document: Mapping[str, Any], depth: int
) -> Iterator[SceneJob]:
    kind = document.get("type")
    if kind == "Feature" and "assets" in document:
        yield _scene(walk, address, document)
    elif kind == "FeatureCollection":
        yield from _pages(walk, address, document)
    elif kind in {"Collection", "Catalog"} or (kind is None and "stac_version" in document):
        yield from _children(walk, address, document, depth)
    else:
        msg = f"{_shown(address)} is no STAC document: its type is {str(kind)[:80]!r}"
        raise OptionError(
            msg, hint="Give an Item, a Catalog, a Collection or a FeatureCollection of items."
        )


def _document(walk: _Walk, address: str) -> Mapping[str, Any]:
    try:
        document = walk.documents.json(address)
    except GeosegError as error:
        raise OptionError(str(error), hint=error.hint) from error
    if not isinstance(document, Mapping):
        msg = f"{_shown(address)} is no STAC document: it holds no JSON object"
        raise OptionError(msg)
    return document


def _pages(walk: _Walk, address: str, page: Mapping[str, Any]) -> Iterator[SceneJob]:
    for _ in range(_MOST_PAGES):
        features = page.get("features")
        if not isinstance(features, list):
            msg = f"{_shown(address)} is no collection of items: it has no list of features"
            raise OptionError(msg)
        for number, item in enumerate(features, 1):
            if not isinstance(item, Mapping) or "assets" not in item:
                msg = f"{_shown(address)}: feature {number} is no STAC item"
                raise OptionError(msg, hint="Items have assets; outlines alone are no scenes.")
            yield _scene(walk, address, item)
        following = list(_links(address, page, "next"))
        if not following:
            return
        address = following[0]
        if not walk.is_new(address):
            msg = f"the pages of a search turn in a circle: {_shown(address)} comes again"
            raise OptionError(msg)
        page = _document(walk, address)
    msg = f"a search has more than {_MOST_PAGES:,} pages, at {_shown(address)}"
    raise OptionError(msg, hint="Ask for more items per page with limit=...")


def _children(
    walk: _Walk, address: str, document: Mapping[str, Any], depth: int
) -> Iterator[SceneJob]:
    """Yield the scenes of a catalogue's items, then those of the catalogues in it."""
    if depth >= _DEEPEST:
        msg = f"catalogues lie more than {_DEEPEST} deep in each other, at {_shown(address)}"
        raise OptionError(msg)
    items = [a for a in _links(address, document, "item") if walk.is_new(a)]
    yield from _fetched(walk, items)
    children = [a for a in _links(address, document, "child") if walk.is_new(a)]
    # A catalogue of files links to each item; an interface to a list of them, with pages.
    if not items and not children:
        children = [a for a in _links(address, document, "items") if walk.is_new(a)]
    for child in children:
        yield from _scenes(walk, child, _document(walk, child), depth + 1)


def _fetched(walk: _Walk, addresses: list[str]) -> Iterator[SceneJob]:
    """Yield the scenes of items in the order of their addresses, several read at a time."""

    def scene(address: str) -> SceneJob:
        document = _document(walk, address)
        if document.get("type") != "Feature" or "assets" not in document:
            msg = f"{_shown(address)} is linked as an item and is none"
            raise OptionError(msg)
        return _scene(walk, address, document)

    if all(map(is_path, addresses)):
        yield from map(scene, addresses)
        return
    waiting = iter(addresses)
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        # In handfuls, so that an error ends it soon.
        while some := list(islice(waiting, 4 * _AT_A_TIME)):
            yield from list(threads.map(scene, some))


def _links(address: str, document: Mapping[str, Any], relation: str) -> Iterator[str]:
    """Yield where a document's links of one relation lead."""
    links = document.get("links", [])
    for link in links if isinstance(links, list) else []:
        if not isinstance(link, Mapping) or link.get("rel") != relation:
            continue
        if str(link.get("method", "GET")).upper() != "GET":
            msg = f"{_shown(address)} goes on by {str(link['method'])[:20]}, expected GET"
            raise OptionError(msg, hint="Search with GET, or save the whole result as a file.")
        yield _led(address, link.get("href"), f"its link {relation!r}")


def _led(address: str, href: object, what: str) -> str:
    if not isinstance(href, str):
        msg = f"{_shown(address)}: {what} has no address"
        raise OptionError(msg)
    return joined(address, href)


def _scene(walk: _Walk, address: str, item: Mapping[str, Any]) -> SceneJob:
    name = item.get("id")
    if not isinstance(name, str) or not name:
        msg = f"{_shown(address)} holds a STAC item without an id"
        raise OptionError(msg)
    where = f"{_shown(address)}, item {name[:120]!r}"
    try:
        asset = _asset(item, walk.asset)
        scene = _led(address, asset.get("href"), "its asset")
        walk.documents.roots.check(scene)
    except GeosegError as error:
        msg = f"{where}: {error}"
        raise OptionError(msg, hint=error.hint) from error
    return SceneJob(
        scene_id=portable_name(name),
        options=replace(walk.batch, scene=scene, out=None),
        changed=_changed(item, asset),
    )


def _asset(item: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    """Return the asset that is the scene.

    Raises:
        OptionError: None, or several that could be meant.
    """
    assets = item["assets"]
    found = (
        {k: v for k, v in assets.items() if isinstance(v, Mapping)}
        if isinstance(assets, Mapping)
        else {}
    )
    if wanted is not None:
        if wanted not in found:
            msg = f"there is no asset {wanted!r} among {_listing(found)}"
            raise OptionError(msg)
        return found[wanted]
    rasters = {k: v for k, v in found.items() if _is_raster(v)}
    likely = {k: v for k, v in rasters.items() if _looks_like_imagery(v)} or {
        k: v for k, v in rasters.items() if not _roles(v) & _OTHER_ROLES
    }
    if len(likely) != 1:
        msg = (
            f"several assets could be the scene: {_listing(likely)}"
            if likely
            else f"no asset looks like a scene: {_listing(found)}"
        )
        raise OptionError(msg, hint="Name the one to map with --asset.")
    return next(iter(likely.values()))


def _is_raster(asset: Mapping[str, Any]) -> bool:
    kind = asset.get("type")
    if isinstance(kind, str):
        return kind.lower().partition(";")[0].strip() in _RASTER_TYPES
    href = asset.get("href")
    return isinstance(href, str) and suffix_of(href) in RASTER_SUFFIXES


def _looks_like_imagery(asset: Mapping[str, Any]) -> bool:
    return bool(_roles(asset) & _CHOSEN_ROLES) or any(asset.get(name) for name in _BANDS)


def _roles(asset: Mapping[str, Any]) -> set[str]:
    roles = asset.get("roles")
    return {r for r in roles if isinstance(r, str)} if isinstance(roles, list) else set()


def _listing(assets: Mapping[str, object]) -> str:
    names = ", ".join(str(name)[:40] for name in islice(assets, 20)) or "none"
    return names + (", ..." if len(assets) > 20 else "")  # noqa: PLR2004 - as above


def _changed(item: Mapping[str, Any], asset: Mapping[str, Any]) -> datetime | None:
    """Return when a scene was last changed, else when it was taken."""
    told = item.get("properties")
    properties = told if isinstance(told, Mapping) else {}
    written = [
        moment
        for holder in (properties, asset)
        for name in ("updated", "created")
        if (moment := _moment(holder.get(name))) is not None
    ]
    if written:
        return max(written)
    names = ("datetime", "end_datetime", "start_datetime")
    return next((m for name in names if (m := _moment(properties.get(name)))), None)


def _moment(text: object) -> datetime | None:
    """Parse a time of RFC 3339; one without a zone is UTC."""
    return moment_of(text) if isinstance(text, str) else None


def _shown(address: str) -> str:
    return shown_address(address)[:300]
