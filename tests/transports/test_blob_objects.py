"""Blobs in an object store: `MDP_TEST_S3=s3://bucket/prefix?…` names one that the tests may write to."""

from __future__ import annotations

import os
import uuid

import pytest

from codec.encoding import EncodingError, PayloadCodec
from contracts.headers import decode_headers, encode_headers
from tests.codec.large_payloads import HEADERS, noise
from transports.blobs.objects import ObjectBlobs
from transports.blobs.pointers import BlobStoreError
from transports.blobs.store import open_store

URL = os.environ.get("MDP_TEST_S3", "")
needs_s3 = pytest.mark.skipif(not URL, reason="MDP_TEST_S3 names no object store")


@pytest.fixture
def url() -> str:
    """Of a prefix of the test's own."""
    base, _, query = URL.partition("?")
    return f"{base.rstrip('/')}/{uuid.uuid4().hex}?{query}"


@needs_s3
def test_a_large_payload_lies_there_once_and_comes_back_by_a_pointer_without_secrets(url: str) -> None:
    payload, codec = noise(3_000_000), PayloadCodec(open_store(url))
    value, headers = codec.encode(payload, HEADERS)
    assert (value, codec.encode(payload, HEADERS)) == (b"", (value, headers))
    assert (headers.blob_ref or "").partition("?")[0] == headers.blob_ref
    assert "@" not in (headers.blob_ref or "")
    received = decode_headers(encode_headers(headers))
    assert PayloadCodec(open_store(url)).decode(value, received) == payload


@needs_s3
def test_what_is_not_as_the_pointer_says_or_not_in_the_store_is_refused(url: str) -> None:
    blobs = open_store(url)
    blob = blobs.write(b"levels")
    other = blobs.write(b"others")
    base = blob.ref.rpartition("/")[0].rpartition("/")[0]
    wrong = [
        blob._replace(size=7),
        blob._replace(size=5),
        blob._replace(hash=other.hash),
        blob._replace(ref=other.ref),
        blob._replace(ref=f"{base}/nothing"),
        blob._replace(ref=f"{base}/../{base.rpartition('/')[2]}/{blob.hash[7:9]}/{blob.hash[7:]}"),
        blob._replace(ref=base),
    ]
    for one in wrong:
        with pytest.raises(EncodingError):
            blobs.read(one)
    assert blobs.read(blob) == b"levels"


def test_a_store_that_does_not_answer_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "hunter2"), ("EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(f"AWS_{name}", value)
    blobs = open_store("s3://bucket?endpoint_override=127.0.0.1:1&scheme=http&region=us-east-1")
    with pytest.raises(BlobStoreError, match=r"^cannot write [0-9a-f/]+ in s3://bucket: [^\n]+$") as raised:
        blobs.write(b"x")
    assert "hunter2" not in str(raised.value)


def test_an_error_about_a_url_does_not_show_its_password() -> None:
    with pytest.raises(BlobStoreError) as raised:
        ObjectBlobs("nothing-like-it://user:hunter2@bucket/prefix?secret=hunter2")
    assert "hunter2" not in raised.value.line
