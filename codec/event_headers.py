"""The headers of events that producers send: of one event in a record, or of many."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import polars as pl

from codec.output_headers import PIPELINE, of_message, of_schema
from contracts.headers import DEDUPE_KEY, MESSAGE_ID
from contracts.message_ids import message_id, time_of
from contracts.record import Headers, RecordHeaders, header_pairs, header_texts
from contracts.schema_names import EVENT


def event_headers(
    firsts: pl.DataFrame, values: Sequence[bytes], content_type: str, flush: Headers, *, many: bool
) -> list[Headers]:
    """The headers of each record.

    Args:
        firsts: the first event of each, columns of WIRE.
        values: of the records.
        content_type: of all of them.
        flush: what all records share that are sent with these.
        many: whether a record may hold more than its first event; else it is the event's own.
    """
    common = of_schema(EVENT, content_type) + flush
    ids = [None] * firsts.height if many else firsts["event_id"].to_list()
    columns = (firsts[name].to_list() for name in ("src_ts", "symbol", "provider"))
    return [common + _own(value, *row) for value, *row in zip(values, ids, *columns, strict=True)]


def _own(value: bytes, event_id: str | None, src_ts: int | None, symbol: str | None, provider: str | None) -> Headers:
    """Of a record without an id, its digest stands for one."""
    source = provider or PIPELINE
    return of_message(EVENT, src_ts or 0, event_id or sha256(value).hexdigest(), (symbol or source).encode(), source)


def part_headers(headers: RecordHeaders, value: bytes) -> Headers:
    """Of a record that holds some of the events of another, which had these: a message of its own, if that was one."""
    whole = header_texts(headers).get(MESSAGE_ID)
    if whole is None:
        return header_pairs(headers)
    key = sha256(value).hexdigest().encode()
    own = {MESSAGE_ID: message_id(time_of(whole), EVENT.fqdn, key).encode(), DEDUPE_KEY: key}
    return [(name, own.get(name, text)) for name, text in header_pairs(headers)]
