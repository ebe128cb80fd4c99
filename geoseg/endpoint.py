"""Which S3 server is meant: GDAL and the AWS tools are told it in variables of their own.

``AWS_ENDPOINT_URL_S3`` and ``AWS_ENDPOINT_URL`` are those of the AWS tools and of boto3
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html); ``AWS_S3_ENDPOINT``,
``AWS_HTTPS``, ``AWS_VIRTUAL_HOSTING`` and ``AWS_NO_SIGN_REQUEST`` those of GDAL
(https://gdal.org/en/stable/user/virtual_file_systems.html#vsis3). Who sets the one kind means
the other too: scenes are read by GDAL, results written by boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

__all__ = ["Endpoint", "endpoint_of", "gdal_endpoint"]

_URLS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
# What GDAL takes for no; everything else is yes.
_NO: Final = frozenset({"NO", "FALSE", "OFF", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What boto3 does not find out for itself."""

    url: str | None = None
    """Server that only GDAL's variables name; None leaves it to boto3."""
    is_virtual_hosted: bool | None = None
    """Bucket before the host (True) or in the path (False); None leaves it to boto3."""
    is_signed: bool = True
    """False asks without credentials."""
    region: str | None = None
    """Region that only GDAL's variable names; None leaves it to boto3."""


def endpoint_of(environ: Mapping[str, str]) -> Endpoint:
    """Return what GDAL's variables say and the AWS tools' leave open.

    Args:
        environ: Environment of the process.
    """
    url, hosted = None, environ.get("AWS_VIRTUAL_HOSTING")
    server = environ.get("AWS_S3_ENDPOINT")
    if server and _named_url(environ) is None:
        scheme = "https" if _is_yes(environ.get("AWS_HTTPS", "YES")) else "http"
        url = server if "://" in server else f"{scheme}://{server}"
        hosted = hosted or "YES"  # GDAL's default
    region = None if environ.get("AWS_DEFAULT_REGION") else environ.get("AWS_REGION")
    return Endpoint(
        url=url,
        is_virtual_hosted=_is_yes(hosted) if hosted else None,
        is_signed=not _is_yes(environ.get("AWS_NO_SIGN_REQUEST", "NO")),
        region=region or None,
    )


def gdal_endpoint(environ: Mapping[str, str]) -> dict[str, str]:
    """Return GDAL's settings for the server that the AWS tools' variables name.

    What GDAL's own variables say stays as it is.

    Args:
        environ: Environment of the process.
    """
    url = _named_url(environ)
    if url is None or environ.get("AWS_S3_ENDPOINT"):
        return {}
    parts = urlsplit(url)
    settings = {
        "AWS_S3_ENDPOINT": f"{parts.netloc}{parts.path}".rstrip("/"),
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        # boto3 too puts the bucket into the path where a server is named.
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }
    return {name: value for name, value in settings.items() if name not in environ}


def _named_url(environ: Mapping[str, str]) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    return next((environ[name] for name in _URLS if environ.get(name)), None)


def _is_yes(text: str) -> bool:
    return text.upper() not in _NO
