"""A blob store by its URL."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from codec.encoding import Blobs
from transports.blobs.folder import FolderBlobs
from transports.blobs.objects import ObjectBlobs


def open_store(url: str) -> Blobs:
    """The store of this URL: a folder by its path or `file:`, else what Arrow has a client for, such as `s3:`.

    Raises:
        BlobStoreError: there is no such folder, or no client for the URL.
    """
    if "://" not in url:
        return FolderBlobs(Path(url))
    parts = urlsplit(url)
    return FolderBlobs(Path(unquote(parts.path))) if parts.scheme == "file" else ObjectBlobs(url)
