"""Blobs as files in a folder, local or mounted."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from codec.encoding import Blob, EncodingError
from transports.blobs.pointers import BlobStoreError, checked, digest, name_of, path_within


class FolderBlobs:
    """A folder that has to be there.

    Raises:
        BlobStoreError: it is not.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BlobStoreError(f"there is no folder {folder} for blobs", "create it, or name another")
        self._folder = folder.resolve()
        self._base = self._folder.as_uri()

    def write(self, data: bytes) -> Blob:
        """A file appears whole or not at all, and is on the disk when this returns.

        Raises:
            BlobStoreError: it cannot be written.
        """
        blob_hash = digest(data)
        name = name_of(blob_hash)
        file = self._folder / name
        try:
            if not file.is_file() or file.stat().st_size != len(data):
                _write_whole(file, data)
        except OSError as error:
            raise BlobStoreError(f"cannot write a blob to {file}: {error.strerror}") from error
        return Blob(f"{self._base}/{name}", blob_hash, len(data))

    def read(self, blob: Blob) -> bytes:
        """What lies there.

        Raises:
            EncodingError: it is not in the folder, or not what the pointer says.
            BlobStoreError: it cannot be read.
        """
        file = self._folder / path_within(self._base, blob.ref)
        try:
            if not file.resolve().is_relative_to(self._folder):
                raise EncodingError(f"{blob.ref} leads out of the blob store {self._base}")
            if not file.is_file():
                raise EncodingError(f"{blob.ref} is not there")
            if file.stat().st_size != blob.size:
                raise EncodingError(f"{blob.ref} has {file.stat().st_size:,} bytes, and should have {blob.size:,}")
            with file.open("rb") as opened:
                return checked(opened.read(blob.size + 1), blob)
        except OSError as error:
            raise BlobStoreError(f"cannot read {file}: {error.strerror}") from error


def _write_whole(file: Path, data: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    part = file.with_name(f".{uuid.uuid4().hex}")  # no pointer leads to a name that begins with a dot
    try:
        with part.open("xb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    for folder in (file.parent, file.parent.parent):
        _sync(folder)


def _sync(folder: Path) -> None:
    """Names that are new in it outlive the machine, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
