"""Blob stores: what is written is there whole, once, and nothing else is ever read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from codec.encoding import Blob, EncodingError
from tests.harness import PROJECT, until
from transports.blobs.folder import FolderBlobs
from transports.blobs.pointers import BlobStoreError, path_within
from transports.blobs.store import open_store

DATA = b"levels of an order book"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    (tmp_path / "store").mkdir()
    (tmp_path / "secret").write_bytes(DATA)
    return FolderBlobs(tmp_path / "store")


def files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def test_the_same_data_is_one_file_however_often_it_is_written(blobs: FolderBlobs, tmp_path: Path) -> None:
    first, second, other = blobs.write(DATA), blobs.write(DATA), blobs.write(b"")
    assert first == second != other
    assert len(files(tmp_path / "store")) == 2
    assert (blobs.read(first), blobs.read(other)) == (DATA, b"")
    assert first.hash == f"sha256:{sha256(DATA).hexdigest()}"
    assert first.ref.startswith((tmp_path / "store").as_uri())


def test_a_file_that_is_not_whole_is_written_anew(blobs: FolderBlobs, tmp_path: Path) -> None:
    blob = blobs.write(DATA)
    (file,) = files(tmp_path / "store")
    file.write_bytes(DATA[:3])
    assert blobs.write(DATA) == blob
    assert blobs.read(blob) == DATA


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"x", lambda data: data[::-1]])
def test_what_is_not_what_the_pointer_says_is_refused(blobs: FolderBlobs, tmp_path: Path, change: object) -> None:
    blob = blobs.write(DATA)
    (file,) = files(tmp_path / "store")
    file.write_bytes(change(DATA))  # type: ignore[operator]
    with pytest.raises(EncodingError, match=r"and should have|is not what it was"):
        blobs.read(blob)


def test_a_blob_that_is_gone_is_refused(blobs: FolderBlobs, tmp_path: Path) -> None:
    blob = blobs.write(DATA)
    files(tmp_path / "store")[0].unlink()
    with pytest.raises(EncodingError, match="is not there"):
        blobs.read(blob)


def pointer(ref: str) -> Blob:
    return Blob(ref, f"sha256:{sha256(DATA).hexdigest()}", len(DATA))


def test_no_pointer_leads_out_of_the_store(blobs: FolderBlobs, tmp_path: Path) -> None:
    base = (tmp_path / "store").as_uri()
    secret = tmp_path / "secret"
    (tmp_path / "store" / "link").symlink_to(secret)
    (tmp_path / "store" / "linked").symlink_to(tmp_path)
    refs = [
        f"{base}/../secret",
        f"{base}/x/../../secret",
        f"{base}/%2e%2e/secret",
        f"{base}//secret",
        f"{base}/",
        base,
        f"{base}x/secret",
        f"{base}/link",
        f"{base}/linked/secret",
        f"{base}/linked",
        f"{base}/.hidden",
        f"{base}/a\0b",
        f"{base}/a?versionId=1",
        f"{base}/" + "a/" * 20 + "a",
        f"{base}/" + "a" * 5_000,
        secret.as_uri(),
        str(secret),
        "../secret",
        "/etc/passwd",
        "s3://bucket/key",
        "http://127.0.0.1/",
        "",
    ]
    for ref in refs:
        with pytest.raises((EncodingError, BlobStoreError)) as raised:
            blobs.read(pointer(ref))
        assert DATA.decode() not in str(raised.value)


def test_a_place_inside_the_store_may_have_any_name(blobs: FolderBlobs, tmp_path: Path) -> None:
    place = tmp_path / "store" / "prod" / "bars" / "2025-09-06" / "19-40-00.pb.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(DATA)
    assert blobs.read(pointer(place.as_uri())) == DATA
    assert path_within("s3://bucket/prefix", "s3://bucket/prefix/a/b.gz") == "a/b.gz"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_nothing_is_said_in_one_line(blobs: FolderBlobs, tmp_path: Path) -> None:
    (tmp_path / "store").chmod(0o500)
    with pytest.raises(BlobStoreError, match="cannot write a blob"):
        blobs.write(DATA)


def test_a_store_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    for url in (str(tmp_path / "nowhere"), f"file://{tmp_path}/nowhere", "nothing-like-it://bucket"):
        with pytest.raises(BlobStoreError) as raised:
            open_store(url)
        assert "\n" not in raised.value.line
        assert raised.value.remedy


def test_a_folder_is_a_store_by_its_path_and_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    folder.mkdir()
    blob = open_store(str(folder)).write(DATA)
    assert open_store(folder.as_uri()).read(blob) == DATA


WRITER = """
import sys
from pathlib import Path
from transports.blobs.folder import FolderBlobs
blobs, number = FolderBlobs(Path(sys.argv[1])), 0
while True:
    blobs.write(number.to_bytes(4, "big") * 500_000)
    number += 1
"""


def test_a_writer_that_is_killed_leaves_nothing_under_the_name_of_a_blob_but_the_whole_of_it(tmp_path: Path) -> None:
    for _ in range(5):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=PROJECT)
        had = len(files(tmp_path))
        until(lambda had=had: len(files(tmp_path)) > had + 2, "some blobs")  # type: ignore[misc]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        for file in files(tmp_path):
            if not file.name.startswith("."):
                assert sha256(file.read_bytes()).hexdigest() == file.name
