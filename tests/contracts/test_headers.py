"""The headers of a message, from the wire to their type and back."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.headers import NAMES, REQUIRED, HeaderError, MessageHeaders, decode_headers, encode_headers, pairs
from contracts.record import Headers
from contracts.trace_context import carried, is_traceparent, new_trace, trace_id_of
from tests.contracts.bus_examples import EXAMPLES

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BLOB = {"blob_ref": "s3://bucket/key?versionId=1", "blob_hash": "sha256:7a9cb7", "blob_size": 842_731}

ALL: dict[str, Any] = {
    **EXAMPLES["news"],
    **BLOB,
    "content_encoding": "gzip",
    "traceparent": TRACE,
    "span_id": "00f067aa0ba902b7",
    "retry_count": 3,
    "dlq_reason": "contract",
    "schema_hash": "sha256:00",
}


def wire(headers: dict[str, Any]) -> Headers:
    return [(name, str(value).encode()) for name, value in headers.items()]


def changed(**changes: Any) -> Headers:
    return wire({name: value for name, value in {**ALL, **changes}.items() if value is not ...})


@pytest.mark.parametrize("headers", EXAMPLES.values(), ids=EXAMPLES)
def test_each_set_of_the_bus_contract_is_read_and_written_as_it_was(headers: dict[str, Any]) -> None:
    found = decode_headers(wire(headers))
    assert {name: getattr(found, name) for name in NAMES if getattr(found, name) is not None} == headers
    assert dict(encode_headers(found)) == dict(wire(headers))
    assert found.trace == headers["trace_id"]


def test_every_declared_header_goes_there_and_back() -> None:
    assert ALL.keys() == set(NAMES)
    found = decode_headers(wire(ALL))
    assert decode_headers(encode_headers(found)) == found
    assert (found.retry_count, found.blob_size, found.trace) == (3, 842_731, trace_id_of(TRACE))
    assert found.produced_at_ns == 1_757_077_515_000_000_000


_texts = st.text(min_size=1, max_size=20)
_times = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
_uuids = st.uuids().map(str)
_messages = st.builds(
    MessageHeaders,
    message_id=_uuids,
    schema_fqdn=_texts,
    schema_version=st.from_regex(r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}", fullmatch=True),
    content_type=_texts,
    produced_at=_times.map(lambda at: f"{at.isoformat()}Z"),
    producer=_texts,
    source=_texts,
    run_id=_texts,
    partition_key=_texts,
    content_encoding=st.none() | st.just("gzip"),
    traceparent=st.none() | _uuids.map(lambda one: new_trace(one).decode()).filter(is_traceparent),
    dedupe_key=st.none() | _texts,
    retry_count=st.none() | st.integers(0, 2**63 - 1),
    dlq_reason=st.none() | _texts,
    schema_hash=st.none() | _texts,
)


@given(_messages)
def test_whatever_can_be_declared_goes_there_and_back(headers: MessageHeaders) -> None:
    assert decode_headers(encode_headers(headers)) == headers


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "content-type", "flow"]), st.none() | st.binary(max_size=60))))
def test_headers_of_anybody_are_read_or_refused(headers: Headers) -> None:
    with suppress(HeaderError):
        found = decode_headers(headers)
        assert decode_headers(encode_headers(found)) == found


@pytest.mark.parametrize("name", REQUIRED)
def test_a_header_that_has_to_be_there_is_missed_by_its_name(name: str) -> None:
    for headers in (changed(**{name: ...}), changed(**{name: ""})):
        with pytest.raises(HeaderError, match=f"header {name}: missing") as raised:
            decode_headers(headers)
        assert raised.value.names == (name,)


def test_all_that_are_missing_are_named_at_once() -> None:
    with pytest.raises(HeaderError) as raised:
        decode_headers(None)
    assert raised.value.names == REQUIRED


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message_id", "018f5e2f"),
        ("schema_version", "1.0"),
        ("schema_version", "v1.0.0"),
        ("produced_at", "2025-09-05"),
        ("produced_at", "2025-02-30T00:00:00Z"),
        ("content_encoding", "zstd"),
        ("retry_count", -1),
        ("retry_count", "many"),
        ("blob_size", 2**63),
        ("trace_id", "xyz"),
        ("producer", "x" * 5_000),
        ("blob_ref", ...),
        ("blob_hash", ...),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(HeaderError) as raised:
        decode_headers(changed(**{name: value}))
    assert raised.value.names == (name,)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(HeaderError) as raised:
        decode_headers([*wire(ALL), ("source", b"\xff")])
    assert raised.value.names == ("source",)


def test_both_spellings_of_the_content_type_are_known_and_the_last_header_of_a_name_counts() -> None:
    hyphen: Headers = [("content-type", b"application/json")]
    assert decode_headers(changed(content_type=...) + hyphen).content_type == "application/json"
    assert decode_headers([*hyphen, *wire(ALL)]).content_type == ALL["content_type"]
    assert decode_headers([("source", b"first"), *wire(ALL)]).source == ALL["source"]


def test_headers_that_are_not_declared_are_left_alone() -> None:
    assert decode_headers([*wire(ALL), ("flow", b"\xff"), ("source_offset", None)]) == decode_headers(wire(ALL))
    with pytest.raises(TypeError, match="flow"):
        pairs(flow="x")


@pytest.mark.parametrize(
    "text",
    [
        "",
        TRACE[:-1],
        f"{TRACE}0",
        TRACE.upper(),
        "ff" + TRACE[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        TRACE.replace("-", " "),
    ],
)
def test_a_traceparent_that_w3c_has_ignored_is_not_carried_on(text: str) -> None:
    assert not is_traceparent(text)
    assert carried(text.encode()) is None
    assert decode_headers(changed(traceparent=text)).trace == ALL["trace_id"]


def test_a_traceparent_is_carried_on_as_it_is() -> None:
    assert carried(TRACE.encode()) == TRACE.encode()
    assert carried(None) is None
    assert carried(b"\xff" * 55) is None


@given(_uuids)
def test_a_new_trace_is_a_trace_of_its_own_that_nobody_samples(message_id: str) -> None:
    trace = new_trace(message_id).decode()
    assert trace_id_of(trace) == message_id.replace("-", "")
    assert trace.endswith("-00")
