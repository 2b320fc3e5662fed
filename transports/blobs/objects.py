"""Blobs as objects of a store that Arrow has a client for: S3 and what is compatible with it, Google, Azure.

Who may use it is said as its client has it, in the environment or in the URL; neither is part of a pointer. An object
appears whole or not at all.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from codec.encoding import Blob, EncodingError
from transports.blobs.pointers import BlobStoreError, checked, digest, name_of, path_within

_BY_FSSPEC: Final = "fsspec+"  # before the scheme of stores that fsspec has a client for, where it is installed


class ObjectBlobs:
    """Objects below a URL such as `s3://bucket/prefix`.

    Raises:
        BlobStoreError: there is no client for it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url.removeprefix(_BY_FSSPEC))
        host = parts.netloc.rpartition("@")[2]
        self._base = f"{parts.scheme}://{host}{parts.path}".rstrip("/")
        self._client, self._root = _client(url, self._base)

    def write(self, data: bytes) -> Blob:
        """Returns when the store has taken it.

        Raises:
            BlobStoreError: it does not.
        """
        blob_hash = digest(data)
        name = name_of(blob_hash)
        try:
            if self._size(name) != len(data):
                with self._client.open_output_stream(f"{self._root}/{name}") as stream:
                    stream.write(data)
        except Exception as error:  # each client has its own
            raise self._failed("write", name, error) from error
        return Blob(f"{self._base}/{name}", blob_hash, len(data))

    def read(self, blob: Blob) -> bytes:
        """What lies there.

        Raises:
            EncodingError: it is not in the store, or not what the pointer says.
            BlobStoreError: the store does not answer.
        """
        name = path_within(self._base, blob.ref)
        try:
            size = self._size(name)
            data = self._read(name, blob.size) if size == blob.size else b""
        except Exception as error:
            raise self._failed("read", name, error) from error
        if size != blob.size:
            found = "is not there" if size is None else f"has {size:,} bytes, and should have {blob.size:,}"
            raise EncodingError(f"{blob.ref} {found}")
        return checked(data, blob)

    def _read(self, name: str, size: int) -> bytes:
        with self._client.open_input_file(f"{self._root}/{name}") as file:
            data: bytes = file.read(size + 1)
        return data

    def _size(self, name: str) -> int | None:
        """None where there is no object."""
        info = self._client.get_file_info(f"{self._root}/{name}")
        return int(info.size) if info.is_file else None

    def _failed(self, what: str, name: str, error: Exception) -> BlobStoreError:
        return BlobStoreError(f"cannot {what} {name} in {self._base}: {' '.join(str(error).split())[:200]}")


def _client(url: str, base: str) -> tuple[Any, str]:
    """The client of a URL, and the path that it leads to; what is said of it leaves out what may be a password."""
    from pyarrow.fs import FileSystem  # noqa: PLC0415 - few have payloads as large

    try:
        client, path = FileSystem.from_uri(url)
    except Exception as error:
        reason = " ".join(str(error).replace(url, base).split())[:200]
        raise BlobStoreError(f"there can be no blob store at {base}: {reason}", "name a folder, or s3://…") from None
    return client, str(path).rstrip("/")
