"""Payloads of any size to the values of records and back, and what hostile ones may cost."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.encoding import EncodingError, PayloadCodec, unpacked
from contracts.budgets import BLOB_ABOVE_BYTES, BLOB_BYTES, GZIP_ABOVE_BYTES, RECORD_BYTES
from contracts.headers import MessageHeaders, decode_headers, encode_headers
from tests.codec.large_payloads import HEADERS, noise
from transports.blobs.folder import FolderBlobs


@pytest.mark.parametrize("kind", [bytes, noise])
@pytest.mark.parametrize("size", [0, 1, GZIP_ABOVE_BYTES, GZIP_ABOVE_BYTES + 1, BLOB_ABOVE_BYTES, BLOB_ABOVE_BYTES + 1])
def test_a_payload_of_any_size_comes_back_from_a_record_that_is_no_larger_than_it_may_be(
    tmp_path: Path, size: int, kind: type[bytes]
) -> None:
    payload, codec = kind(size), PayloadCodec(FolderBlobs(tmp_path))
    value, headers = codec.encode(payload, HEADERS)
    assert codec.decode(value, decode_headers(encode_headers(headers))) == payload
    assert len(value) <= BLOB_ABOVE_BYTES + 1_000
    assert (headers.content_encoding == "gzip") == (size > GZIP_ABOVE_BYTES)
    assert (headers.blob_ref is not None) == (size > BLOB_ABOVE_BYTES) == bool(list(tmp_path.iterdir()))
    assert codec.encode(payload, HEADERS) == (value, headers)


@given(st.binary(max_size=2_000), st.integers(0, 2_000))
def test_gzip_streams_of_anybody_are_unpacked_whole_or_refused(payload: bytes, most: int) -> None:
    for level in (0, 9):
        packed = gzip.compress(payload, level)
        if len(payload) <= most:
            assert unpacked(packed, most) == payload
        else:
            with pytest.raises(EncodingError, match="more than"):
                unpacked(packed, most)


@given(st.binary(max_size=300), st.integers(0, 300), st.binary(min_size=1, max_size=40))
def test_damaged_gzip_streams_are_refused(payload: bytes, cut: int, more: bytes) -> None:
    packed = gzip.compress(payload, mtime=0)
    for damaged in (packed[: min(cut, len(packed) - 1)], packed + more, packed + packed, more):
        with pytest.raises(EncodingError):
            unpacked(damaged)


@given(st.data())
def test_a_stream_with_another_byte_never_unpacks_to_another_payload(data: st.DataObject) -> None:
    payload = data.draw(st.binary(min_size=1, max_size=200))
    packed = bytearray(gzip.compress(payload, mtime=0))
    place = data.draw(st.integers(0, len(packed) - 1))
    packed[place] ^= data.draw(st.integers(1, 255))
    with suppress(EncodingError):
        assert unpacked(bytes(packed)) == payload  # of the header of gzip, some says nothing


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(1 << 20)
    return b"".join([*(packer.compress(piece) for _ in range(size >> 20)), packer.flush()])


def test_what_a_bomb_takes_is_bounded_by_what_a_payload_may_have() -> None:
    value = bomb(16 * RECORD_BYTES)
    assert len(value) < 2 * BLOB_ABOVE_BYTES
    headers = msgspec.structs.replace(HEADERS, content_encoding="gzip")
    tracemalloc.start()
    with pytest.raises(EncodingError, match="unpacks to more than"):
        PayloadCodec().decode(value, headers)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * RECORD_BYTES


class Untouched:
    """Blobs that nobody may ask for."""

    def read(self, blob: object) -> bytes:
        raise AssertionError(f"{blob} was read")

    def write(self, data: bytes) -> object:
        raise AssertionError("written")


def pointer(**more: object) -> MessageHeaders:
    blob = {"blob_ref": "file:///blobs/aa/aa", "blob_hash": "sha256:aa", "blob_size": 1, **more}
    return msgspec.structs.replace(HEADERS, **blob)


def test_a_blob_that_says_it_is_too_large_is_not_asked_for() -> None:
    codec = PayloadCodec(Untouched())  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match="is above the"):
        codec.decode(b"", pointer(blob_size=BLOB_BYTES + 1))
    with pytest.raises(EncodingError, match="points to a blob besides"):
        codec.decode(b"x", pointer())


def test_without_a_store_there_are_no_blobs() -> None:
    with pytest.raises(EncodingError, match="no blob store is named"):
        PayloadCodec().decode(b"", pointer())
    with pytest.raises(EncodingError, match="name a blob store"):
        PayloadCodec().encode(bytes(BLOB_ABOVE_BYTES + 1), HEADERS)


def test_the_largest_payload_fits_though_gzip_makes_it_longer_and_a_larger_one_is_refused(tmp_path: Path) -> None:
    codec = PayloadCodec(FolderBlobs(tmp_path))
    largest = noise(1 << 20) * (RECORD_BYTES >> 20)
    assert codec.decode(*codec.encode(largest, HEADERS)) == largest
    with pytest.raises(EncodingError, match="that one may have"):
        codec.encode(largest + b"x", HEADERS)
