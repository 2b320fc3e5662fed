"""Detects the kind of a file by its suffixes or its first bytes, and opens it decompressed."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, Literal, cast

import pyarrow as pa

from connectors.files.errors import FileError

Kind = Literal["csv", "tsv", "ndjson", "json", "parquet", "arrow", "dbn"]
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
    ".dbn": "dbn",
}
_PACKINGS: Final[dict[str, Packing]] = {".gz": "gzip", ".zst": "zstd"}
_PACKED: Final[dict[bytes, Packing]] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_STARTS: Final[dict[bytes, Kind]] = {
    b"PAR1": "parquet",
    b"ARROW1": "arrow",
    b"\xff\xff\xff\xff": "arrow",
    b"DBN": "dbn",
}
_ZIP: Final = b"PK\x03\x04"
_OF_SYSTEMS: Final = "__MACOSX"  # a folder that macOS adds to archives
_PEEK_BYTES: Final = 4_096
_COPY_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """A file, or one in a zip archive, its kind, and its compression."""

    path: Path
    kind: Kind
    packing: Packing | None
    member: str | None = None

    @property
    def name(self) -> str:
        """The path; of a file in an archive, its name comes after that of the archive."""
        return str(self.path) if self.member is None else f"{self.path}/{self.member}"

    def stream(self) -> io.BufferedReader:
        """Opens its decompressed bytes as a stream."""
        file = _stored(self.path, self.member)
        if self.packing is None:
            return cast(io.BufferedReader, file)
        return io.BufferedReader(pa.CompressedInputStream(file, self.packing))

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Opens it for formats that need seeking: a compressed file is decompressed into a temporary one."""
        if self.packing is None and self.member is None:
            with self.path.open("rb") as file:
                yield file
            return
        with tempfile.TemporaryFile() as unpacked:
            with self.stream() as packed:
                shutil.copyfileobj(packed, unpacked, _COPY_BYTES)
            unpacked.seek(0)
            yield unpacked


def opened(path: Path, kind: Kind | None = None) -> list[Opened]:
    """Detects the kind of a file; of a zip archive those of all files in it, in the order of their names.

    Args:
        path: of the file.
        kind: what it is, whatever it is called.

    Raises:
        FileError: it is not a file, its kind is unknown, or it is an archive that holds no file.
        OSError: it cannot be read.
    """
    if not path.is_file():
        raise FileError(f"{path} is not a file")
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    return [_detected(path, member, kind) for member in (_members(path) if is_zip else [None])]


def _members(path: Path) -> list[str | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist() if not one.is_dir()]
    except zipfile.BadZipFile as error:
        raise FileError(f"{path} cannot be read: {error}") from None
    found: list[str | None] = [*sorted(name for name in names if not name.startswith(_OF_SYSTEMS))]
    if not found:
        raise FileError(f"{path} is an archive without files")
    return found


def _detected(path: Path, member: str | None, kind: Kind | None) -> Opened:
    suffixes = _suffixes(path if member is None else PurePosixPath(member))
    packing = _PACKINGS.get(suffixes[-1]) if suffixes else None
    if packing is None:
        with _stored(path, member) as file:
            start = file.read(4)
        packing = next((packing for magic, packing in _PACKED.items() if start.startswith(magic)), None)
    elif len(suffixes) > 1:
        suffixes.pop()
    found = kind or (_KINDS.get(suffixes[-1]) if suffixes else None)
    return Opened(path, found or _kind_inside(Opened(path, "json", packing, member)), packing, member)


def _stored(path: Path, member: str | None) -> IO[bytes]:
    """The bytes of a file, as they lie on disk or in an archive."""
    if member is None:
        return path.open("rb")
    archive = zipfile.ZipFile(path)
    try:
        return archive.open(member)
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:  # encrypted, or packed in a rare way
        raise FileError(f"{path}/{member} cannot be read: {error}") from None
    finally:
        archive.close()  # the file itself stays open for the member


def is_named(path: Path) -> bool:
    """Whether the name of a file says of what kind it is."""
    suffixes = _suffixes(path)
    if suffixes and suffixes[-1] in _PACKINGS:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _KINDS


def is_dbn(path: Path) -> bool:
    """Whether a file is called one of DBN."""
    return ".dbn" in _suffixes(path)


def _suffixes(path: PurePosixPath | Path) -> list[str]:
    return [suffix.lower() for suffix in path.suffixes]


def _kind_inside(file: Opened) -> Kind:
    with file.stream() as stream:
        start = stream.read(_PEEK_BYTES)
    known = next((kind for magic, kind in _STARTS.items() if start.startswith(magic)), None)
    if known is None and start.lstrip().startswith((b"{", b"[")):
        known = "json"
    if known is None:
        raise FileError(
            f"{file.name} has an unknown format: name it .csv, .tsv, .ndjson, .json, .parquet or .arrow, followed by "
            f".gz or .zst if it is compressed; or a map says its `format`"
        )
    return known
