"""Plain envelopes that are scanned: the same rows, and the same refusals, as where each is decoded by itself."""

from __future__ import annotations

import json
import os
from itertools import islice
from typing import Any

import msgspec
import pytest
from polars.testing import assert_frame_equal

from codec import envelopes
from codec.encoding import PayloadCodec
from codec.envelope_scan import scanner_of
from codec.envelopes import EnvelopeDecoder
from contracts.batch import MicroBatch
from contracts.envelope import checksum
from contracts.message import MessageType
from contracts.payloads.calendar import CALENDAR_V1
from contracts.payloads.orderbook import ORDERBOOK_V1
from contracts.record import Fetch, Records
from contracts.registry import stored_types
from tests.codec.envelope_mutations import records
from tests.codec.envelope_records import ENVELOPE, OF_QUOTES, QUOTE, TRADE, changed, text
from tests.codec.stored_records import NOW_MS

RECORDS = int(os.environ.get("FUZZ_RECORDS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SCANNED = [kind for kind in stored_types().values() if scanner_of(kind) is not None]


def decode(values: list[bytes | None]) -> MicroBatch:
    stored = Records.of_values(values, range(len(values)), [NOW_MS] * len(values))
    fetch = Fetch(topic="t", partition=0, next_offset=len(values), records=stored)
    return EnvelopeDecoder(stored_types(), PayloadCodec()).decode_all([fetch])


def assert_same(values: list[bytes | None]) -> MicroBatch:
    """Compares with what comes out without a scan; returns it."""
    found = decode(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(envelopes, "scanner_of", lambda _: None)
        expected = decode(values)
    assert found.results.keys() == expected.results.keys()
    for table, rows in expected.results.items():
        assert_frame_equal(found.results[table], rows, check_exact=True)
    assert_frame_equal(found.rejects, expected.rejects)
    assert (found.outcomes, found.ingested) == (expected.outcomes, expected.ingested)
    return found


def test_whatever_a_topic_holds_becomes_the_same() -> None:
    coming, accepted, rejected = records(SEED, RECORDS), 0, 0
    while batch := list(islice(coming, 2_000)):
        plain = [text(ENVELOPE), text(ENVELOPE | OF_QUOTES)][rejected % 2]
        found = assert_same([plain, *(record.payload for record in batch)])
        accepted, rejected = accepted + found.outcomes.accepted, rejected + found.outcomes.rejected
    assert min(accepted, rejected) > RECORDS / 10


def test_types_of_plain_fields_are_scanned_and_others_are_not() -> None:
    assert {str(kind.table) for kind in SCANNED} >= {"trades", "quotes", "gex_levels", "greeks"}
    assert scanner_of(CALENDAR_V1) is scanner_of(ORDERBOOK_V1) is None


@pytest.mark.parametrize("kind", SCANNED, ids=lambda kind: kind.table)
def test_fields_that_are_missing_null_long_or_none_become_the_same(kind: MessageType) -> None:
    odd: tuple[Any, ...] = (
        None,
        "",
        "x" * 256,
        "x" * 257,
        0,
        -0.0,
        -1,
        1.5,
        1e15,
        1e16,
        0.1234567890123456789,
        True,
        {},
        [],
    )
    values: list[bytes | None] = []
    for example in kind.examples:
        for name in msgspec.structs.fields(kind.struct):
            for one in (..., *odd, "2025-10-24T14:00:00Z", "buy"):
                content = changed(dict(example), **{name.name: one})
                values.append(enveloped(kind, content))
    assert assert_same(values).outcomes.accepted > len(values) / 10


@pytest.mark.parametrize("kind", SCANNED, ids=lambda kind: kind.table)
def test_a_message_that_has_none_of_the_fields_of_which_it_needs_one_is_refused(kind: MessageType) -> None:
    full = {**kind.examples[0], **dict.fromkeys(kind.one_of, 0.5)}
    without = changed(full, **dict.fromkeys(kind.one_of, ...))
    single = [changed(without, **{name: 0.5}) for name in kind.one_of]
    found = assert_same([enveloped(kind, content) for content in (full, *single, without, *([full] * 3))])
    assert found.outcomes.rejected == (1 if kind.one_of else 0)


def enveloped(kind: MessageType, content: dict[str, Any], **changes: Any) -> bytes:
    named = {"event_type": kind.event_type, "schema_ref": kind.schema_ref, "payload": content}
    return text(changed(ENVELOPE, **named, **changes))


@pytest.mark.parametrize("payload", [TRADE, QUOTE])
def test_a_checksum_of_another_payload_is_refused_and_its_own_is_kept(payload: dict[str, Any]) -> None:
    base = ENVELOPE if payload is TRADE else ENVELOPE | OF_QUOTES
    own = checksum(json.dumps(payload).encode())
    sums = (own, checksum(b"another"), own.upper(), own[:-1], own + "0", "", None, ...)
    found = assert_same([text(changed(base, checksum=one)) for one in (own, *sums)])
    (rows,) = found.results.values()
    assert rows["checksum"].to_list() == [own, own, None, None]
    assert rows["offset"].to_list() == [0, 1, 7, 8]
