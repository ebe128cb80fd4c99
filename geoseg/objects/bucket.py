"""A place in a bucket, as a frozen value that travels, and what can be done there.

An object appears whole or not at all, and under its name at once for everybody: AWS, Ceph,
MinIO and R2 are strongly consistent (https://aws.amazon.com/s3/consistency). What a killed
process has sent of a large file is no object; ``abandon_uploads`` frees its room.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from geoseg.errors import OptionError, OutputError
from geoseg.objects.client import error_code, s3_client, store_errors
from geoseg.partial_files import temporary_name
from geoseg.redact import shown_address

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError

__all__ = ["Bucket", "StoredObject", "Version", "bucket_at", "in_parallel", "is_bucket"]

SCHEME: Final = "s3://"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_MIB: Final = 1024 * 1024
_PART_BYTES: Final = 64 * _MIB
"""Files beyond this go up in parts, of which a failed one is sent again alone; and are copied
in parts, as a server takes too long for 5 GB, and refuses more, in one request."""
_SMALL_BYTES: Final = 4 * _MIB
"""Objects up to this come down in one request, held in memory."""
_LARGEST_DELETE: Final = 1000
_THREADS: Final = 32
_BODY_TRIES: Final = 4
_CONDITION_TRIES: Final = 3
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
# What a browser shall show, and viewers ask for; everything else is bytes.
_TYPES: Final = {
    ".tif": "image/tiff; application=geotiff",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".parquet": "application/vnd.apache.parquet",
    ".html": "text/html; charset=utf-8",
    ".xml": "application/xml",
    ".qml": "application/xml",
}
Item = TypeVar("Item")
Result = TypeVar("Result")


class StoredObject(NamedTuple):
    """What a listing tells of an object."""

    name: str
    """Relative to the place that was listed."""
    size_bytes: int
    """Its size."""


class Version(NamedTuple):
    """An object as it was read."""

    body: bytes
    """What it holds."""
    etag: str
    """Changes when the object does."""
    age_s: float
    """Since it was written, by the clock of the server alone."""


def is_bucket(address: str) -> bool:
    """Tell whether an address is one of an object store that geoseg writes to."""
    return address.lower().startswith(SCHEME)


def bucket_at(address: str) -> Bucket:
    """Return the place that ``s3://bucket/prefix`` names.

    Raises:
        OptionError: It is no such address.
    """
    rest = address[len(SCHEME) :] if is_bucket(address) else ""
    name, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _NAME.fullmatch(name) or {"", ".", ".."} & set(prefix.split("/") if prefix else ()):
        msg = f"{shown_address(address)!r} is no place in a bucket, expected s3://bucket/prefix"
        raise OptionError(msg, hint="Credentials come from the environment or a profile.")
    return Bucket(name, prefix)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a prefix in one. Names are relative to it, with ``/``.

    Every method raises OutputError, in one line without secrets, where the server refuses or
    stays silent after all tries, and OptionError where boto3 is not installed.
    """

    bucket: str
    """Name of the bucket."""
    prefix: str = ""
    """Without a slash at either end."""

    @property
    def address(self) -> str:
        """``s3://bucket/prefix``; holds no secret."""
        return self._shown("")

    def child(self, name: str) -> Bucket:
        """Return the place below this one."""
        return Bucket(self.bucket, self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _shown(self, name: str) -> str:
        return f"{SCHEME}{self.bucket}/{self._key(name)}".rstrip("/")

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._key(name)}

    # Reading --------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """Return a small object, or None where there is none."""
        found = self.version(name)
        return None if found is None else found.body

    def read_text(self, name: str) -> str | None:
        """Return a small text, or None where there is none."""
        data = self.read(name)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError as error:
            msg = f"cannot read {self._shown(name)}: it is not UTF-8 text"
            raise OutputError(msg, hint="Was the file changed by hand?") from error

    def version(self, name: str, *, quick: bool = False) -> Version | None:
        """Return a small object with its tag and age, or None where there is none.

        Args:
            name: Of the object.
            quick: Give up within half a minute.
        """
        client = s3_client(quick=quick)
        with store_errors(f"read {self._shown(name)}"), _absent_is_none():
            response, body = _with_body(lambda: client.get_object(**self._at(name)))
            return Version(body, response["ETag"], _age_s(response))
        return None

    def exists(self, name: str) -> bool:
        """Tell whether there is such an object."""
        client = s3_client()
        with store_errors(f"read {self._shown(name)}"), _absent_is_none():
            client.head_object(**self._at(name))
            return True
        return False

    def download(self, name: str, path: Path, *, size_bytes: int | None = None) -> None:
        """Write an object to a local file, which is there completely or not at all.

        Args:
            name: Of the object.
            path: File to make; its folder must be there.
            size_bytes: Size, if it is known: a small object then takes one request.
        """
        client = s3_client()
        with store_errors(f"read {self._shown(name)} into {path}"):
            if size_bytes is not None and size_bytes <= _SMALL_BYTES:
                _, body = _with_body(lambda: client.get_object(**self._at(name)))
                _write_whole(path, body)
            else:  # boto3 writes to a name of its own and renames
                client.download_file(**self._at(name), Filename=str(path), Config=_transfer())

    def objects(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with ``prefix``, in order of their names' bytes.

        Args:
            prefix: As ``pieces/`` or ``pieces/r00``.
            after: Only names behind this one.
        """
        more = True
        while more:
            found, more = self.page(prefix, after=after)
            yield from found
            after = found[-1].name if found else after

    def page(self, prefix: str = "", *, after: str = "") -> tuple[list[StoredObject], bool]:
        """Return up to 1000 objects as ``objects`` does, and whether there are more."""
        client, strip = s3_client(), len(self._key(""))
        wanted: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self._key(prefix)}
        if after:
            wanted["StartAfter"] = self._key(after)
        with store_errors(f"list {self._shown(prefix)}"):
            answer = client.list_objects_v2(**wanted)
        found = [
            StoredObject(entry["Key"][strip:], int(entry["Size"]))
            for entry in answer.get("Contents", ())
        ]
        return found, bool(answer["IsTruncated"]) and bool(found)

    def names(self, prefix: str = "") -> list[str]:
        """Return the objects directly below a relative folder, sorted, with its name."""
        client, folder = s3_client(), f"{prefix.rstrip('/')}/" if prefix else ""
        strip, found = len(self._key("")), []
        with store_errors(f"list {self._shown(prefix)}"):
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(folder), Delimiter="/"
            )
            for page in pages:
                found += [entry["Key"][strip:] for entry in page.get("Contents", ())]
        return sorted(name for name in found if name != folder)

    # Writing --------------------------------------------------------------------------------

    def write(self, name: str, data: bytes) -> None:
        """Write a small object."""
        client = s3_client()
        with store_errors(f"write {self._shown(name)}"):
            client.put_object(**self._at(name), Body=data, ContentType=_type_of(name))

    def write_text(self, name: str, text: str) -> None:
        """Write a small text."""
        self.write(name, text.encode())

    def upload(self, path: Path, name: str) -> None:
        """Write a file, in parts where it is large; it is there when all of it is."""
        client = s3_client()
        with store_errors(f"write {self._shown(name)} from {path}"), _manager(client) as manager:
            manager.upload(
                str(path), self.bucket, self._key(name), {"ContentType": _type_of(name)}
            ).result()

    def put_if_absent(self, name: str, data: bytes) -> str | None:
        """Write a small object where there is none.

        An object with the very same bytes counts as written: it may be that of a first try
        whose answer was lost. So put something into ``data`` that nobody else writes.

        Returns:
            The tag, or None where there is another object.
        """
        return self._put_if(name, data, {"IfNoneMatch": "*"})

    def put_if_match(self, name: str, data: bytes, etag: str) -> str | None:
        """Replace a small object that has not changed since it was read.

        The same bytes count as written, as for ``put_if_absent``.

        Returns:
            The new tag, or None where the object has changed or is gone.
        """
        done = self._put_if(name, data, {"IfMatch": etag})
        if done is None:
            found = self.version(name, quick=True)
            if found is not None and found.etag == etag:
                # It has not changed: Ceph's gateway compares with the tag without its quotes.
                done = self._put_if(name, data, {"IfMatch": etag.strip('"')})
        return done

    def _put_if(self, name: str, data: bytes, condition: dict[str, str]) -> str | None:
        client = s3_client(quick=True)
        with store_errors(f"write {self._shown(name)}"):
            for left in reversed(range(_CONDITION_TRIES)):
                try:
                    answer = client.put_object(
                        **self._at(name), Body=data, ContentType=_type_of(name), **condition
                    )
                    return str(answer["ETag"])
                except client.exceptions.ClientError as error:
                    # 409: another writer was there at the same moment; AWS asks to try again.
                    if _status(error) == 409 and left:  # noqa: PLR2004 - Conflict
                        continue
                    if _status(error) not in {404, 409, 412}:
                        raise
                break
        found = self.version(name, quick=True)
        return found.etag if found is not None and found.body == data else None

    def copy(self, source: str, target: str) -> None:
        """Copy an object inside the bucket, on the server; in parts where it is large."""
        client = s3_client()
        kind = {"ContentType": _type_of(target), "MetadataDirective": "REPLACE"}
        with store_errors(f"copy {self._shown(source)} to {self._shown(target)}"):
            client.copy(self._at(source), **self._at(target), ExtraArgs=kind, Config=_transfer())

    # Removing -------------------------------------------------------------------------------

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there do not matter."""
        client, listed = s3_client(), list(names)
        for first in range(0, len(listed), _LARGEST_DELETE):
            part = listed[first : first + _LARGEST_DELETE]
            keys = [{"Key": self._key(name)} for name in part]
            with store_errors(f"delete {self._shown(part[0])}"):
                answer = client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": keys, "Quiet": True}
                )
            refused = [e for e in answer.get("Errors", ()) if e.get("Code") not in _MISSING]
            if refused:
                shown = f"{SCHEME}{self.bucket}/{refused[0].get('Key')}"
                msg = f"cannot delete {shown}: {refused[0].get('Code')}"
                raise OutputError(msg, hint="May these credentials delete objects there?")

    def abandon_uploads(self, prefix: str = "") -> int:
        """Free the room of large files whose upload was never finished; return how many.

        Nobody may be writing below the prefix: his upload would fail.
        """
        client, count = s3_client(), 0
        with store_errors(f"clean up {self._shown(prefix)}"):
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix)
            )
            for upload in [u for page in pages for u in page.get("Uploads", ())]:
                with suppress(client.exceptions.NoSuchUpload):
                    client.abort_multipart_upload(
                        Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    count += 1
        return count


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of many requests, in order; the first error ends them all."""
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="geoseg-s3") as pool:
        return list(pool.map(work, items))


def _transfer() -> TransferConfig:
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415 - optional

    return TransferConfig(
        multipart_threshold=_PART_BYTES,
        multipart_chunksize=_PART_BYTES,
        max_concurrency=4,
        # Another client, if it is installed, would have other retries and time-outs.
        preferred_transfer_client="classic",
    )


def _manager(client: Any) -> Any:  # noqa: ANN401 - made at run time
    """Return what sends files in parts; unlike ``upload_file`` it keeps the server's errors."""
    from boto3.s3.transfer import create_transfer_manager  # noqa: PLC0415 - optional

    return create_transfer_manager(client, _transfer())


@contextmanager
def _absent_is_none() -> Iterator[None]:
    """Leave the block where the object is not there."""
    from botocore.exceptions import ClientError  # noqa: PLC0415 - optional

    try:
        yield
    except ClientError as error:
        if error_code(error) not in _MISSING:
            raise


def _with_body(ask: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """Return an answer with its body, which botocore does not ask for again by itself."""
    from botocore import exceptions  # noqa: PLC0415 - optional

    broken = (
        exceptions.ReadTimeoutError,
        exceptions.ResponseStreamingError,
        exceptions.IncompleteReadError,
    )
    for tried in range(_BODY_TRIES - 1):
        answer = ask()  # with botocore's own tries
        try:
            return answer, answer["Body"].read()
        except broken:
            time.sleep(random.random() * 2**tried)  # noqa: S311 - spreads the clients
    answer = ask()
    return answer, answer["Body"].read()


def _age_s(answer: dict[str, Any]) -> float:
    """Return how old an object is. The server's clock tells both times: ours may be wrong."""
    told = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(told) if told else datetime.now(UTC)
    changed: datetime = answer["LastModified"]
    return (now - changed).total_seconds()


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _type_of(name: str) -> str:
    return _TYPES.get(Path(name).suffix.lower(), "application/octet-stream")


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there completely or not at all."""
    temporary = temporary_name(path)
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
