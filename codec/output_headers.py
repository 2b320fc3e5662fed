"""The headers of the messages that flows write, beside those that say where a record came from.

What all records of a kind or of a flush share is encoded once. Of a record by itself are its ids, which follow from
what it is: made again, it has the ids it had (`contracts.message_ids`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from codec.message_keys import message_ids, new_traces
from contracts.domain_keys import partition_key
from contracts.headers import DEDUPE_KEY, MESSAGE_ID, PARTITION_KEY, PRODUCED_AT, PRODUCER, RUN_ID, SOURCE, pairs
from contracts.message_ids import message_id
from contracts.record import CONTENT_TYPE, JSON, Headers
from contracts.schema_names import SchemaName
from contracts.timestamps import format_timestamp
from contracts.trace_context import TRACEPARENT, carried, new_trace
from contracts.values import MAX_TEXT_BYTES

PIPELINE: Final = "mdp"  # the source of what cannot be said to be of any provider
_ANY_CONTENT: Final = "application/octet-stream"


class Sender(NamedTuple):
    """Who sends: an instance of a service, `service@instance`, and in which run."""

    producer: str
    run_id: str

    def headers(self, now_ns: int) -> Headers:
        """What all records of a flush share."""
        texts = {PRODUCER: self.producer, RUN_ID: self.run_id, PRODUCED_AT: format_timestamp(now_ns)}
        return [(name, text.encode()) for name, text in texts.items()]


def of_schema(schema: SchemaName, content_type: str = JSON) -> Headers:
    """What all records of a kind share."""
    form = content_type or _ANY_CONTENT
    declared = pairs(content_type=form, schema_fqdn=schema.fqdn, schema_version=schema.version)
    return [(CONTENT_TYPE, content_type.encode()), *declared]


def of_message(
    schema: SchemaName, time_ns: int, dedupe_key: str, ordered_by: bytes, source: str, *, trace: bytes | None = None
) -> Headers:
    """What a message has by itself.

    Args:
        schema: of the payload.
        time_ns: of the event, in nanoseconds since the epoch.
        dedupe_key: tells it from all other messages of the schema.
        ordered_by: its partition key.
        source: whose content it is.
        trace: the `traceparent` of the one message that led to it; without one it begins a trace.
    """
    key = dedupe_key.encode()
    own_id = message_id(time_ns, schema.fqdn, key)
    its_trace = carried(trace) or new_trace(own_id)
    return [(SOURCE, source.encode()), *of_known(own_id.encode(), key, ordered_by, its_trace)]


def of_messages(
    schema: SchemaName,
    times_ns: Sequence[int],
    dedupe_keys: Sequence[str],
    ordered_by: Iterable[bytes],
    sources: Sequence[str],
) -> list[Headers]:
    """The same of many messages, each of which begins a trace, at a third of the cost."""
    whose = {source: (SOURCE, source.encode()) for source in set(sources)}
    ids = [own_id.encode() for own_id in message_ids(times_ns, schema.fqdn, dedupe_keys)]
    keys = [key.encode() for key in dedupe_keys]
    each = map(of_known, ids, keys, ordered_by, new_traces(ids))
    return [[whose[source], *known] for source, known in zip(sources, each, strict=True)]


def of_known(own_id: bytes, dedupe_key: bytes, ordered_by: bytes, trace: bytes) -> Headers:
    """The same, but for its source, of a message whose id and trace are known."""
    return [
        (MESSAGE_ID, own_id),
        (PARTITION_KEY, ordered_by),
        (TRACEPARENT, trace),
        (DEDUPE_KEY, dedupe_key),
    ]


@lru_cache(maxsize=16_384)
def signal_key(adapter: str, symbol: str, interval: str) -> bytes:
    """What the signals of a model are in order by."""
    return partition_key("signals", {"model_id": adapter, "symbol": symbol, "horizon": interval}).encode()


@lru_cache(maxsize=16_384)
def bar_key(symbol: str) -> bytes:
    """What bars are in order by."""
    return partition_key("bars", {"symbol": symbol}).encode()


def refused_key(key: bytes | None, place: str) -> bytes:
    """What refused records are in order by: the key that they came with, where it is a text, else their partition."""
    if not key or len(key) > MAX_TEXT_BYTES:
        return place.encode()
    try:
        key.decode()
    except UnicodeDecodeError:
        return place.encode()
    return key
