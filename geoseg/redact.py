"""Addresses and messages without what they hold of passwords and signatures.

A signed URL carries its key in the query, a database address a password before the host,
GDAL's ``/vsicurl?...`` names whole requests. None of it may reach a terminal, a log or a
file that geoseg writes.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs

__all__ = ["shown_address", "without_secrets"]

# user:password@ after a scheme. The host cannot hold an @, so the last one ends the secret.
_USER: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s?#'\"]*@", re.IGNORECASE)
_QUERY: Final = re.compile(
    r"(?P<address>(?:[a-z][a-z0-9+.-]*://|/vsi[a-z0-9_]+/)[^\s?'\"]+)\?[^\s'\"]*", re.IGNORECASE
)
_VSI_OPTIONS: Final = re.compile(r"/vsi[a-z0-9_]+\?(?P<options>[^\s'\"]+)", re.IGNORECASE)
# After a slash it would be a folder: /data/token=5/scene.tif is a path like any other.
_NAMED: Final = re.compile(
    r"(?P<name>(?<![\w/\\.-])(?:pwd|sig|[\w-]*(?:password|passwd|token|secret|signature|credential|"
    r"api_?key|access_?key)[\w-]*)\s*=\s*)(?P<value>'[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)",
    re.IGNORECASE,
)
_CONNECTION: Final = re.compile(r"[a-z][a-z0-9_]+:", re.IGNORECASE)


def shown_address(address: str) -> str:
    """Return an address as it may be shown and stored.

    A path stays as it is. Of a URL, user, password and query are cut off; of a
    ``/vsicurl?`` name the address that it asks for is left; in a connection string the
    values of passwords and tokens become ``***``.
    """
    if not (address.startswith("/vsi") or _CONNECTION.match(address)):
        return address
    shown = _VSI_OPTIONS.sub(lambda m: _asked_for(m["options"]), address)
    shown = _QUERY.sub(r"\g<address>", shown)
    return _NAMED.sub(r"\g<name>***", _USER.sub(r"\g<scheme>", shown))


def without_secrets(message: str) -> str:
    """Return a foreign message with its addresses shortened as ``shown_address`` does."""
    text = _VSI_OPTIONS.sub(lambda m: _asked_for(m["options"]), message)
    text = _QUERY.sub(r"\g<address>?...", text)
    return _NAMED.sub(r"\g<name>***", _USER.sub(r"\g<scheme>", text))


def _asked_for(options: str) -> str:
    """Return the ``url`` of the options of a ``/vsicurl?`` name."""
    found = parse_qs(options).get("url", ["..."])
    return found[0]
