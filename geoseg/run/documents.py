"""Lists and STAC documents as text, from files, the web and object stores."""

from __future__ import annotations

import base64
import email.message
import http.client
import json
import os
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import quote, unquote, urlsplit

from geoseg.errors import GeosegError, OptionError
from geoseg.redact import shown_address, without_secrets
from geoseg.run.addresses import is_path, scheme_of
from geoseg.run.allowed import AllowedRoots
from geoseg.version import __version__

__all__ = ["Documents"]

_MOST_BYTES: Final = 64 * 1024 * 1024
_TIMEOUT_S: Final = 30.0
_PAUSES_S: Final = (0.5, 1.0, 2.0)
"""How long to wait before the second try, the third and the last."""
_PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""What a server answers that may work a little later."""
_WEB: Final = ("http", "https")
_WEB_ERRORS: Final = (OSError, http.client.HTTPException, ValueError)
_JSON_TYPES: Final = ("application/json", "application/geo+json", "application/schema+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """Reads documents from where the batch may read."""

    roots: AllowedRoots
    """Where documents may lie; where a server sends the request on is checked as well."""
    read_s3: Callable[[str], str] | None = None
    """Reads a text object by its ``s3://`` address."""

    def text(self, address: str) -> str:
        """Return a document's text.

        Args:
            address: Absolute path, or URL of http, https or s3.

        Raises:
            SceneError: It lies outside the allowed roots.
            OptionError: It cannot be read, is larger than 64 MiB, or is not UTF-8.
        """
        self.roots.check(address)
        shown = shown_address(address)
        if scheme_of(address) == "s3" and self.read_s3 is not None:
            text = self.read_s3(address).removeprefix("\ufeff")
        else:
            try:
                text = self._bytes(address).decode("utf-8-sig")
            except UnicodeDecodeError as error:
                found = f"byte {error.start} is {error.object[error.start]:#x}"
                msg = f"{shown} is not UTF-8 text: {found}"
                raise OptionError(msg, hint="Save it as UTF-8.") from error
        if "\0" in text:
            msg = f"{shown} holds NUL characters, expected text"
            raise OptionError(msg, hint="Save it as UTF-8.")
        return text

    def json(self, address: str) -> Any:  # noqa: ANN401 - whatever the document holds
        """Return a document's JSON value.

        Raises:
            SceneError: It lies outside the allowed roots.
            OptionError: It cannot be read, or is not JSON.
        """
        text = self.text(address)
        try:
            return json.loads(text)
        except RecursionError as error:
            msg = f"{shown_address(address)} is nested too deeply for a STAC document"
            raise OptionError(msg) from error
        except ValueError as error:
            msg = f"{shown_address(address)} is not JSON: {error}"
            raise OptionError(msg) from error

    def is_json(self, url: str) -> bool:
        """Tell whether a web server calls something JSON; False where it does not answer.

        A search has an address without a file extension, and a raster may have one too.
        """
        self.roots.check(url)
        try:
            with self._opened(url) as response:
                kind = response.headers.get_content_type()
        except GeosegError:
            raise
        except _WEB_ERRORS as error:
            _close(error)
            return False
        return kind in _JSON_TYPES

    def _bytes(self, address: str) -> bytes:
        if is_path(address):
            return _file_bytes(address)
        shown = shown_address(address)
        if scheme_of(address) not in _WEB:
            msg = f"lists and STAC documents cannot be read from {shown}"
            raise OptionError(msg, hint="Give a file, or an address of http, https or s3.")
        for pause_s in (*_PAUSES_S, None):
            try:
                with self._opened(address) as response:
                    return _limited(response, shown)
            except GeosegError:  # outside the roots, or too large: the same the next time
                raise
            except _WEB_ERRORS as error:
                _close(error)
                if pause_s is None or not _may_pass(error):
                    msg = f"cannot read {shown}: {without_secrets(_reason(error))}"
                    raise OptionError(msg) from error
                time.sleep(pause_s)
        raise AssertionError  # the last pause is None

    def _opened(self, url: str) -> Any:  # noqa: ANN401 - urllib's response
        """Open a web address; a user in it becomes a header that does not travel on."""
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        path = quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
        plain = parts._replace(netloc=host, path=path, fragment="").geturl()
        request = urllib.request.Request(  # noqa: S310 - callers have seen that it is http(s)
            plain,
            headers={
                "User-Agent": f"geoseg/{__version__}",
                "Accept": "application/geo+json, application/json, */*",
            },
        )
        if user:
            token = base64.b64encode(unquote(user).encode()).decode()
            request.add_unredirected_header("Authorization", f"Basic {token}")
        opener = urllib.request.build_opener(_Redirects(self.roots))
        return opener.open(request, timeout=_TIMEOUT_S)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a server to where it sends us, if that is the web and within the roots."""

    def __init__(self, roots: AllowedRoots) -> None:
        self.roots = roots

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: email.message.Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Check the new address first."""
        fp.close()
        if scheme_of(newurl) not in _WEB:
            text = f"{shown_address(req.full_url)} leads on to {shown_address(newurl)}"
            raise OptionError(text, hint="Only addresses of http and https are followed.")
        self.roots.check(newurl)
        # urllib passes the type as it is; http.client.HTTPMessage is the only one there is.
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _file_bytes(path: str) -> bytes:
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - a path as the user gave it
        if is_file:
            with Path(path).open("rb") as file:
                return _limited(file, path)
    except GeosegError:
        raise
    except (OSError, ValueError) as error:
        msg = f"cannot read {path}: {getattr(error, 'strerror', None) or error}"
        raise OptionError(msg) from error
    # A pipe would keep us waiting.
    msg = f"{path} is no file"
    raise OptionError(msg)


def _close(error: Exception) -> None:
    """End the connection that an error of urllib holds open."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()


def _limited(stream: IO[bytes], shown: str) -> bytes:
    found = stream.read(_MOST_BYTES + 1)
    if len(found) > _MOST_BYTES:
        msg = f"{shown} is larger than {_MOST_BYTES // 2**20} MiB, too large for a list"
        raise OptionError(msg, hint="Split it, or give a STAC search with pages.")
    return found


def _may_pass(error: Exception) -> bool:
    if isinstance(error, urllib.error.HTTPError):
        return error.code in _PASSING
    return not isinstance(error, ValueError | http.client.InvalidURL)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(getattr(error, "reason", None) or error or type(error).__name__)
