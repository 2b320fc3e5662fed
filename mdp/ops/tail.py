"""The last records of a topic, decoded for display: JSON and MessagePack as they are, Arrow batches row by row."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, cast

import msgspec

from codec import arrow_events
from contracts.event import WIRE
from contracts.record import ARROW, CONTENT_TYPE_NAMES, MSGPACK, Record, header, is_arrow
from contracts.timestamps import format_timestamps
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_reader import Message, TopicReader

_SLACK: Final = 16  # control records of transactions lie between the records


@dataclass(frozen=True, slots=True)
class Entry:
    """A record, or a row of an Arrow batch.

    Attributes:
        timestamp_ms: of the record, in milliseconds since the epoch.
        value: the decoded value, as from JSON; None if it cannot be decoded.
        payload: its bytes.
    """

    topic: str
    partition: int
    offset: int
    row: int
    timestamp_ms: int
    key: str | None
    headers: dict[str, str] = field(default_factory=dict)
    value: Any = None
    payload: bytes | None = None


def tail(config: KafkaConfig, topic: str, limit: int, *, follow: bool) -> Iterator[Entry]:
    """Yield the last `limit` entries of the topic in timestamp order; then, with `follow`, every new one.

    Raises:
        SourceError: the topic cannot be read.
    """
    with TopicReader(config, topic) as reader:
        ends = {partition: reader.bounds(partition)[1] for partition in reader.partitions}
        lasts = [_last(reader, partition, end, limit) for partition, end in ends.items()]
        entries = heapq.merge(*lasts, key=_place)
        yield from deque(entries, maxlen=limit)
        if follow:
            for messages in reader.follow(ends):
                yield from chain.from_iterable(map(entries_of, messages))


def _place(entry: Entry) -> tuple[int, int, int, int]:
    return entry.timestamp_ms, entry.partition, entry.offset, entry.row


def _last(reader: TopicReader, partition: int, end: int, limit: int) -> list[Entry]:
    """The last `limit` entries of a partition, found by looking back further and further."""
    low, _ = reader.bounds(partition)
    step, found = limit + _SLACK, deque[Entry]()
    while end > low and len(found) < limit:
        start = max(low, end - step)
        records = deque(chain.from_iterable(reader.span(partition, start, end)), maxlen=limit)
        found.extendleft(reversed(_newest(records, limit - len(found))))
        step, end = 2 * step, start
    return list(found)


def _newest(records: Iterable[Message], limit: int) -> list[Entry]:
    return list(deque(chain.from_iterable(map(entries_of, records)), maxlen=limit))


def entries_of(message: Message) -> list[Entry]:
    """The record as one entry, or as one for each of its rows."""
    payload = message.value()
    try:
        values = _decoded(message, payload)
    except Exception:
        values = [None]
    return [_entry(message, payload, row, value) for row, value in enumerate(values)]


def _decoded(message: Message, payload: bytes | None) -> list[Any]:
    if payload is None:
        return [None]
    if is_arrow(payload):
        return _rows(payload)
    content_type = None if payload[:1] == b"{" else header(cast(Record, message), *CONTENT_TYPE_NAMES)
    if content_type == ARROW:
        return _rows(payload)
    return [msgspec.msgpack.decode(payload) if content_type == MSGPACK else msgspec.json.decode(payload)]


def _rows(payload: bytes) -> list[dict[str, Any]]:
    """The events of an Arrow batch; an empty batch has none."""
    events = arrow_events.frame(arrow_events.read(payload))
    wire = events.select(name for name in WIRE if name in events.columns)
    texts = wire.with_columns(format_timestamps(wire["src_ts"]))
    return [{name: value for name, value in row.items() if value is not None} for row in texts.iter_rows(named=True)]


def _entry(message: Message, payload: bytes | None, row: int, value: Any) -> Entry:
    return Entry(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        row=row,
        timestamp_ms=message.timestamp()[1],
        key=_text(message.key()),
        headers={name: _text(data) or "" for name, data in dict(message.headers() or []).items()},
        value=value,
        payload=payload,
    )


def _text(data: bytes | str | None) -> str | None:
    return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else data
