"""The connection to S3: one client per process, and its errors in our words.

Credentials and the server's address come from where boto3 looks for them: the environment,
profiles, the role of the machine. They stay in the client; no value of geoseg holds them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from geoseg.endpoint import endpoint_of
from geoseg.errors import OptionError, OutputError
from geoseg.redact import without_secrets

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.exceptions import ClientError

__all__ = ["error_code", "s3_client", "store_errors"]

_log = logging.getLogger(__name__)
_TRIES: Final = 6
"""With botocore's back-off of up to 1, 2, 4, 8 and 16 s, a server has half a minute to recover."""
_CONNECT_S: Final = 10
_READ_S: Final = 60
_QUICK_TRIES: Final = 3
_QUICK_S: Final = 8
_CONNECTIONS: Final = 64
_LONGEST_REASON: Final = 200

_CREDENTIALS_HINT: Final = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or the machine's role: it "
    "must read, write, list and delete there."
)
_BUSY_HINT: Final = "The server is busy or out of reach; the same command continues later."
_HINTS: Final = {
    **dict.fromkeys(
        ("AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
         "InvalidToken", "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound",
         "CredentialRetrievalError", "TokenRetrievalError", "UnauthorizedSSOTokenError"),
        _CREDENTIALS_HINT,
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "NoRegionError"),
        "Set AWS_REGION to the region of the bucket.",
    ),
    **dict.fromkeys(
        ("EndpointConnectionError", "ConnectTimeoutError", "SSLError", "InvalidEndpoint"),
        "Is the server up, and AWS_ENDPOINT_URL its address?",
    ),
    "NoSuchBucket": "Make the bucket first, or choose another.",
    "RequestTimeTooSkewed": "Set the clock of this machine.",
    "QuotaExceeded": "Make room there, then repeat the same command.",
}  # fmt: skip

_lock = threading.Lock()
_clients: dict[tuple[int, int, bool], Any] = {}


def s3_client(*, quick: bool = False) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """Return this process's client; threads may share it.

    A process that was forked off, or whose ``AWS_*`` variables have changed, gets its own.

    Args:
        quick: Give up within half a minute instead of minutes, for what must be known soon.

    Raises:
        OptionError: boto3 is not installed.
        OutputError: The profile or the server's address is wrong.
    """
    variables = frozenset(item for item in os.environ.items() if item[0].startswith("AWS_"))
    key = os.getpid(), hash(variables), quick
    with _lock:
        if key not in _clients:
            if any(known[:2] != key[:2] for known in _clients):
                _clients.clear()
            _clients[key] = _new_client(quick=quick)
        return _clients[key]


def _new_client(*, quick: bool) -> Any:  # noqa: ANN401 - as above
    try:
        from boto3.session import Session  # noqa: PLC0415 - optional, and 0.3 s
    except ImportError as error:
        msg = "s3:// addresses need the package boto3"
        raise OptionError(msg, hint="pip install 'geoseg[s3]'") from error
    endpoint = endpoint_of(os.environ)
    with store_errors("use S3"):
        session = Session()
        region = endpoint.region or session.region_name
        # Servers of one's own have no regions, but a signature names one.
        config = _config(quick=quick)
        client = session.client(
            "s3", endpoint_url=endpoint.url, region_name=region or "us-east-1", config=config
        )
    client.meta.events.register_last("before-call.s3", _without_expect)
    return client


def _without_expect(params: dict[str, Any], **_: object) -> None:
    """Send bodies without asking first.

    Where the connection breaks in the middle of the answer to that, botocore 1.44 waits for
    the rest of it for ever (``AWSConnection._consume_headers`` reads on at the end of a stream).
    """
    params["headers"].pop("Expect", None)


def _config(*, quick: bool) -> Config:
    from botocore import UNSIGNED  # noqa: PLC0415 - optional
    from botocore.config import Config  # noqa: PLC0415 - optional

    endpoint = endpoint_of(os.environ)
    retries: dict[str, Any] = {"mode": "standard"}
    if "AWS_MAX_ATTEMPTS" not in os.environ:  # which botocore reads itself
        retries["total_max_attempts"] = _QUICK_TRIES if quick else _TRIES
    style = {None: "auto", True: "virtual", False: "path"}[endpoint.is_virtual_hosted]
    return Config(
        retries=retries,
        connect_timeout=_QUICK_S if quick else _CONNECT_S,
        read_timeout=_QUICK_S if quick else _READ_S,
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        s3={"addressing_style": style},
        signature_version=None if endpoint.is_signed else UNSIGNED,
        # Many servers beside AWS refuse the trailing checksums that are the default since
        # boto3 1.36. TLS, or without it the signature, covers the bytes in any case.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def error_code(error: ClientError) -> str:
    """Return the code of a server's answer, as ``NoSuchKey``; for HEAD its status."""
    return str(error.response.get("Error", {}).get("Code", "")) or "unknown"


@contextmanager
def store_errors(doing: str) -> Iterator[None]:
    """Turn what boto3 and the local disk raise into one line.

    The server's own words are left out, but for its code: a signature error may repeat the
    request with its key.

    Args:
        doing: What is done, as ``write s3://bucket/name``.

    Raises:
        OutputError: It cannot be done.
    """
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - optional
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - optional

    try:
        yield
    except OutputError:
        raise
    except ClientError as error:
        code, answer = error_code(error), error.response.get("ResponseMetadata", {})
        tries = int(answer.get("RetryAttempts", 0)) + 1
        often = f", tried {tries} times" if tries > 1 else ""
        msg = f"cannot {doing}: {_printable(code)} (HTTP {answer.get('HTTPStatusCode')}){often}"
        raise OutputError(msg, hint=_HINTS.get(code, _BUSY_HINT)) from error
    except (BotoCoreError, Boto3Error) as error:
        name = type(error).__name__
        msg = f"cannot {doing}: {_printable(without_secrets(str(error)))}"
        raise OutputError(msg, hint=_HINTS.get(name, _BUSY_HINT)) from error
    except OSError as error:
        msg = f"cannot {doing}: {error.strerror or type(error).__name__}"
        raise OutputError(msg, hint="Is the disk full, or the folder read-only?") from error


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:_LONGEST_REASON]
