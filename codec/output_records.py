"""Encodes output rows as records: their JSON, and headers with their origin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from codec.message_keys import new_traces
from codec.output_headers import (
    PIPELINE,
    Sender,
    bar_key,
    of_known,
    of_message,
    of_messages,
    of_schema,
    refused_key,
    signal_key,
)
from contracts.bar import Bar
from contracts.batch import MicroBatch
from contracts.columns import time_fields
from contracts.headers import SOURCE, pairs
from contracts.ids import joined_text
from contracts.record import Headers, RecordHeaders, header_texts
from contracts.schema_names import BAR, SIGNAL, SchemaName
from contracts.signal import Signal
from contracts.timestamps import format_timestamp
from contracts.trace_context import carried

FLOW: Final = "flow"
SOURCE_TOPIC: Final = "source_topic"
SOURCE_TOPIC_ID: Final = "source_topic_id"
SOURCE_PARTITION: Final = "source_partition"
SOURCE_OFFSET: Final = "source_offset"
SOURCE_ROW: Final = "source_row"
SOURCE_ROWS: Final = "source_rows"  # of a record written for several of its rows: codec.refused.row_set
DLQ_REASON: Final = "dlq_reason"
DLQ_ERROR: Final = "dlq_error"
FAILED_AT: Final = "failed_at"
STUB: Final = "stub"  # of a truncated record: codec.stubs.Stub
STORE: Final = "store"  # as a reason: the database refused a row

Cause = tuple[int, int]

_NUMBER: Final = re.compile(rb"0|[1-9][0-9]{0,17}")  # in the form that this program writes, within 64 bits

_BAR_TIMES: Final = time_fields(Bar)
_SIGNAL_TIMES: Final = time_fields(Signal)

_encode: Final = msgspec.json.Encoder().encode
_time: Final = lru_cache(maxsize=16)(format_timestamp)  # rows of a close share one time


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a writer: a flow, on behalf of the partitions of a topic.

    Attributes:
        owner: the flow; only one worker at a time may write for each of its partitions.
        flow_id: the flow and the length of its windows; records with another length belong to another identity.
        progress_id: the name in records. For a run over a part of the log it differs from `flow_id`, so that the whole
            run does not mistake the end of that part for its own; records under either name are skipped.
        topic: the source topic.
        topic_id: distinguishes it from another topic of its name, such as the original of mirrored records.
        sender: the process, as what it sends names it.
    """

    owner: str
    flow_id: str
    progress_id: str
    topic: str
    topic_id: str
    sender: Sender

    @property
    def claims_group(self) -> str:
        """The consumer group whose offsets hold the claims of writers."""
        return f"mdp-writers-{self.owner}"

    @property
    def progress_group(self) -> str:
        """The consumer group whose offsets hold the progress of outputs that are placed by their keys."""
        return f"mdp-outputs-{self.owner}"

    @property
    def writers_prefix(self) -> str:
        """The prefix of the transactional ids of writers."""
        return f"{self.owner}-{self.topic}-"

    def claimant_id(self, partition: int) -> str:
        """The transactional id for taking over the partition."""
        return f"{self.writers_prefix}{partition}"

    def headers(self, partition: int, cause: Cause) -> Headers:
        """The headers with the origin of a record."""
        common = _common_origin(self.progress_id, self.topic, self.topic_id, partition)
        return [*common, (SOURCE_OFFSET, b"%d" % cause[0]), (SOURCE_ROW, b"%d" % cause[1])]

    def cause_of(self, partition: int, headers: RecordHeaders) -> Cause | None:
        """The cause of a record of this flow; None for records of others, and for rows refused by the database."""
        source, found = source_of(headers), dict(headers or ())
        if source is None or source[:2] != (self.topic, partition) or found.get(DLQ_REASON) == STORE.encode():
            return None
        if found.get(FLOW) not in (self.flow_id.encode(), self.progress_id.encode()):
            return None
        if found.get(SOURCE_TOPIC_ID, self.topic_id.encode()) != self.topic_id.encode():
            return None
        return source[2:]


@lru_cache(maxsize=1_024)
def _common_origin(flow: str, topic: str, topic_id: str, partition: int) -> Headers:
    """What all records have that a flow writes for a partition."""
    texts = {FLOW: flow, SOURCE_TOPIC: topic, SOURCE_TOPIC_ID: topic_id, SOURCE_PARTITION: str(partition)}
    return [(name, text.encode()) for name, text in texts.items()]


def source_of(headers: RecordHeaders) -> tuple[str, int, int, int] | None:
    """The topic, partition, offset and row in a record's headers; None if they are missing or malformed.

    Headers are untrusted.
    """
    found = dict(headers or ())
    topic, *numbers = (found.get(name) for name in (SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET, SOURCE_ROW))
    if not isinstance(topic, bytes) or not all(isinstance(one, bytes) and _NUMBER.fullmatch(one) for one in numbers):
        return None
    partition, offset, row = (int(number or b"") for number in numbers)
    return topic.decode("utf-8", "replace"), partition, offset, row


class OutRecord(NamedTuple):
    """A record to produce, and the row of the log that caused it; the writer adds the headers of its origin.

    Attributes:
        is_placed: whether it goes to the partition that its cause has in the log, not to that of its key.
    """

    cause: Cause
    key: bytes | None
    value: bytes | None
    headers: Headers
    is_placed: bool = True

    def header(self, name: str) -> str:
        """A header that it has, as text."""
        return header_texts([(name, dict(self.headers)[name])])[name]


def signal_records(batch: MicroBatch) -> Iterator[OutRecord]:
    """Signal v1, one record each, keyed by symbol."""
    columns = batch.signals.to_dict(as_series=False)
    columns["meta"] = [msgspec.Raw(meta.encode()) for meta in columns["meta"]]  # it is JSON already
    ordered_by = map(signal_key, columns["adapter"], columns["symbol"], columns["interval"])
    own = of_messages(SIGNAL, columns["ts"], columns["signal_id"], ordered_by, columns["provider"])
    return _json_records(columns, _SIGNAL_TIMES, SIGNAL, own)


def bar_records(batch: MicroBatch) -> Iterator[OutRecord]:
    """Bars, one record each, keyed by symbol."""
    columns = batch.bars.to_dict(as_series=False)
    columns["partition"] = [batch.partition] * batch.bars.height
    names = "provider", "symbol", "interval", "window_start", "revision"
    ids = list(map(_bar_id, *(columns[name] for name in names)))
    own = of_messages(BAR, columns["window_end"], ids, map(bar_key, columns["symbol"]), columns["provider"])
    return _json_records(columns, _BAR_TIMES, BAR, own)


def _bar_id(provider: str, symbol: str, interval: str, window_start: int, revision: int) -> str:
    """A bar goes out again with each revision: another message."""
    return joined_text(provider, symbol, interval, _time(window_start), str(revision))


def _json_records(
    columns: dict[str, list[Any]], times: Sequence[str], schema: SchemaName, own: Iterable[Headers]
) -> Iterator[OutRecord]:
    """Of a few rows each time, so they are put together one by one: a query takes longer than a hundred of them.

    `own` are the headers that each row has by itself.
    """
    columns |= {name: list(map(_time, columns[name])) for name in times}
    causes, common = zip(columns.pop("offset"), columns.pop("row"), strict=True), of_schema(schema)
    for cause, symbol, row, headers in zip(
        causes, columns["symbol"], zip(*columns.values(), strict=True), own, strict=True
    ):
        value = _encode({"ver": 1, **dict(zip(columns, row, strict=True))})
        yield OutRecord(cause, symbol.encode(), value, common + headers)


def envelope_records(rows: pl.DataFrame, schema: SchemaName, source: str) -> Iterator[OutRecord]:
    """Messages of a type in envelopes, the rows of an ENVELOPES frame."""
    common: Headers = [*of_schema(schema), (SOURCE, source.encode())]
    begun = new_traces(rows["message_id"].to_list())
    for (offset, row, key, value, own_id, ordered_by, dedupe_key, trace, packing), new in zip(
        rows.iter_rows(), begun, strict=True
    ):
        headers = common + of_known(own_id, dedupe_key, ordered_by, carried(trace) or new)
        if packing is not None:
            headers += pairs(**msgspec.json.decode(packing))
        yield OutRecord((offset, row), key, value, headers, is_placed=False)


def refused_records(rows: pl.DataFrame, topic: str, partition: int, schema: SchemaName) -> Iterator[OutRecord]:
    """Rows of a REFUSED frame with their original bytes, or the beginning of these, and why they did not pass.

    `schema` is what the records of that partition should have been.
    """
    failed_at, place = datetime.now(UTC).isoformat().encode(), f"{topic}[{partition}]"
    for offset, row, reason, error, content_type, key, value, its_rows, stub, time, trace, packing in rows.iter_rows():
        dedupe_key = f"{place}@{offset}.{row}|{reason}"
        headers: Headers = [
            *of_schema(schema, content_type),
            (DLQ_REASON, reason.encode()),
            (DLQ_ERROR, error.encode()),
            (FAILED_AT, failed_at),
            *of_message(schema, time or 0, dedupe_key, refused_key(key, place), PIPELINE, trace=trace),
        ]
        if its_rows is not None:
            headers.append((SOURCE_ROWS, its_rows))
        if stub is not None:
            headers.append((STUB, stub))
        if packing is not None:
            headers += pairs(**msgspec.json.decode(packing))
        yield OutRecord((offset, row), key, value, headers)
