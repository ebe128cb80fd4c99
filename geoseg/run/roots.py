"""Which kind of place the root of a batch is."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import OptionError
from geoseg.redact import shown_address
from geoseg.run.folder_home import FolderRoot
from geoseg.run.place import Root

__all__ = ["open_root"]


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
