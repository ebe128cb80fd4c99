"""Which kind of place the root of a batch is."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import OptionError
from geoseg.redact import shown_address
from geoseg.run.folder_home import FolderRoot
from geoseg.run.place import Root

__all__ = ["open_root", "read_object"]


def open_root(text: str) -> Root:
    """Return the place of a batch; nothing is touched.

    Args:
        text: A folder, or ``s3://bucket/prefix``.

    Raises:
        OptionError: It is an address of another kind.
    """
    if text.startswith("s3://"):
        from geoseg.run.bucket_home import BucketRoot  # noqa: PLC0415 - boto3 is an extra

        return BucketRoot.at(text)
    if "://" in text or text.startswith("/vsi"):
        msg = f"results cannot be written to {shown_address(text)}"
        raise OptionError(msg, hint="--out takes a folder or s3://bucket/prefix.")
    return FolderRoot(Path(text).absolute())


def read_object(address: str) -> str:
    """Return a text object of a bucket, such as a list of scenes.

    Args:
        address: ``s3://bucket/key``.

    Raises:
        OptionError: There is none.
        OutputError: The bucket does not answer, or refuses.
    """
    folder, _, name = address.rpartition("/")
    text = open_root(folder).read_text(name)
    if text is None:
        msg = f"there is no object {shown_address(address)}"
        raise OptionError(msg, hint="Check the address, and the region and endpoint.")
    return text
