"""Detects the kind of a file by its suffixes or its first bytes, and opens it decompressed."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

import pyarrow as pa

from connectors.files.errors import FileError

Kind = Literal["csv", "tsv", "ndjson", "json", "parquet", "arrow"]
Packing = Literal["gzip", "zstd"]

_KINDS: Final[dict[str, Kind]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
_PACKINGS: Final[dict[str, Packing]] = {".gz": "gzip", ".zst": "zstd"}
_PACKED: Final[dict[bytes, Packing]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_STARTS: Final[dict[bytes, Kind]] = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\xff\xff\xff\xff": "arrow"}
_PEEK_BYTES: Final = 4_096
_COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, its kind, and its compression."""

    path: Path
    kind: Kind
    packing: Packing | None

    def stream(self) -> io.BufferedReader:
        """Opens its decompressed bytes as a stream."""
        file = self.path.open("rb")
        if self.packing is None:
            return file
        return io.BufferedReader(pa.CompressedInputStream(file, self.packing))

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Opens it for formats that need seeking: a compressed file is decompressed into a temporary one."""
        if self.packing is None:
            with self.path.open("rb") as file:
                yield file
            return
        with tempfile.TemporaryFile() as unpacked:
            with self.stream() as packed:
                shutil.copyfileobj(packed, unpacked, _COPY_BYTES)
            unpacked.seek(0)
            yield unpacked


def opened(path: Path) -> Opened:
    """Detects the kind of a file.

    Raises:
        FileError: it is not a file, or its kind is unknown.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise FileError(f"{path} is not a file")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packing = _PACKINGS.get(suffixes[-1]) if suffixes else None
    if packing is None:
        with path.open("rb") as file:
            start = file.read(4)
        packing = next((packing for magic, packing in _PACKED.items() if start.startswith(magic)), None)
    elif len(suffixes) > 1:
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1]) if suffixes else None
    return Opened(path, kind or _kind_inside(path, packing), packing)


def is_named(path: Path) -> bool:
    """Whether the name of a file says of what kind it is."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _PACKINGS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _KINDS


def _kind_inside(path: Path, packing: Packing | None) -> Kind:
    with Opened(path, "json", packing).stream() as stream:
        start = stream.read(_PEEK_BYTES)
    known = next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)
    if known is None and start.lstrip().startswith((b"{", b"[")):
        known = "json"
    if known is None:
        raise FileError(
            f"{path} has an unknown format: name it .csv, .tsv, .ndjson, .json, .parquet or .arrow, "
            f"followed by .gz or .zst if it is compressed"
        )
    return known
