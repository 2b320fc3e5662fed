"""Decodes Kafka records to a frame of events and a frame of rejects.

The content type determines the format of a record: JSON (also the default), msgpack, or an Arrow IPC stream of many
events. A value that starts with `{` is JSON regardless of its header, as it cannot be one of the others; so the common
case never reads headers. The most common case of all, a plain tick, has a fast path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Final

import msgspec
import numpy as np
import polars as pl

from codec.encoding import unpacked_size
from codec.event_rows import places, with_interval_lengths, with_times
from codec.market_batch import in_order, micro_batch
from codec.refused import UNDECODABLE, Sources, one_line, refused_record, refused_rows
from codec.tick_formats import EVENT_TICKS
from codec.ticks import TickReader
from contracts.batch import NO_EVENTS, NO_REFUSED, MicroBatch
from contracts.binary import NONE
from contracts.budgets import Room
from contracts.event import BAR, PARSED, AnyEvent, BarEvent, Event
from contracts.event_rules import accepted, explain
from contracts.frames import EVENTS, REFUSED
from contracts.ids import with_event_ids
from contracts.record import ARROW, JSON, MSGPACK, TOMBSTONE, Buffer, Fetch, Records

_FIELDS: Final = [
    (name, "src_text" if name == "src_ts" else name) for name in BarEvent.__struct_fields__ if name != "ver"
]


@dataclass(frozen=True, slots=True)
class Decoder:
    """Turns fetches into micro-batches.

    Attributes:
        window_ns: length of a window; events of kind bar must divide it.
        max_future_ns: how far an event's time may be ahead of its record's timestamp.
    """

    window_ns: int
    max_future_ns: int

    def decode(self, fetch: Fetch) -> MicroBatch:
        """The events of a fetch, and its rejects with their reasons. It never raises, whatever the topic contains."""
        return self.decode_all([fetch])

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch from at least one fetch; each is decoded before the next is requested."""
        return micro_batch(fetches, TickReader(EVENT_TICKS, self.max_future_ns), self._read)

    def _read(self, records: Records, chosen: Sequence[int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(EVENTS, REFUSED) of the chosen records, by the rules of the contract, in log order."""
        types = {index: _media_type(records.content_type(index)) for index in chosen}
        many = [index for index, content_type in types.items() if content_type == ARROW]
        single, broken = _decoded(records, {index: types[index] for index in types.keys() - many})
        ticks: list[pl.DataFrame] = []
        parsed = [_parsed_events(records, single)] if single else []
        if many:
            arrow = _arrow_ticks().ArrowReader(records, self.max_future_ns)
            arrow.read(arrow.scan(many))
            ticks, parsed = arrow.ticks, parsed + arrow.others
            broken |= arrow.broken
        events, refused = self._judged(records, in_order(parsed)) if parsed else (NO_EVENTS, NO_REFUSED)
        if broken:
            refused = pl.concat([_undecodable(records, broken), refused]).sort("offset", "row")
        return in_order([events, *ticks]), refused

    def _judged(self, records: Records, parsed: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(EVENTS, REFUSED) of a PARSED frame: the rows that satisfy the contract, and those that do not."""
        parsed = with_interval_lengths(with_times(parsed))
        is_accepted = parsed.select(accepted(self.window_ns, self.max_future_ns)).to_series()
        events = with_event_ids(parsed.filter(is_accepted)).with_columns(side=pl.lit(None, EVENTS["side"]))
        events = events.select(EVENTS.names())
        if events.height == parsed.height:
            return events, NO_REFUSED
        refused = parsed.filter(~is_accepted)
        sources = Sources(records.values, records.traces, records.keys)
        return events, refused_rows(refused, sources, explain(refused, self.window_ns), refused["record_ts"])


def fitting(records: Records, room: Room) -> int:
    """How many records from the first on fit the budget `room`, which they consume; one-event records do not grow."""
    told = np.flatnonzero(records.content_types.lengths != NONE).tolist()
    many = [index for index in told if _media_type(records.content_type(index)) == ARROW]
    count = int(_arrow_ticks().fitting(records, many, room)) if many else len(records)
    return _fitting_packed(records, count, room) if records.packed else count


def _fitting_packed(records: Records, count: int, room: Room) -> int:
    """The same for records that are packed, by what they say that they become; of a blob nothing is known."""
    packed = np.flatnonzero(np.isin(records.offsets[:count], list(records.packed))).tolist()
    for index in packed:
        if not room.take(0, unpacked_size(records.values.view(index))):
            return max(index, 1)
    return count


def _decoded(records: Records, types: Mapping[int, str]) -> tuple[dict[int, Event], dict[int, Exception]]:
    """The records of one event each, and the errors of all others, given their content types."""
    events: dict[int, Event] = {}
    broken: dict[int, Exception] = {}
    for index in sorted(types):
        try:
            if records.values.lengths[index] == NONE:
                raise ValueError(TOMBSTONE)
            events[index] = _decoder(types[index])(records.values.view(index))
        except Exception as error:
            broken[index] = error.with_traceback(None)  # a traceback would keep the record alive
    return events, broken


def _undecodable(records: Records, broken: Mapping[int, Exception]) -> pl.DataFrame:
    """REFUSED rows for whole records."""
    refused = [refused_record(records, at, UNDECODABLE, one_line(error)) for at, error in broken.items()]
    return pl.DataFrame(refused, schema=REFUSED, orient="row")


@lru_cache(maxsize=100)
def _media_type(content_type: str) -> str:
    """The content type without parameters, as in `_DECODERS`; an unknown one is returned unchanged."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type if media_type in _TYPES else content_type


def _decoder(content_type: str) -> Callable[[Buffer], Event]:
    decoder = _DECODERS.get(content_type)
    if decoder is None:
        raise ValueError(f"content type {content_type[:100]!r} is none of {', '.join(_TYPES)}")
    return decoder


def _by_kind(event: Callable[[Buffer], Event], bar: Callable[[Buffer], Event]) -> Callable[[Buffer], Event]:
    """Decodes bars a second time: other kinds may have anything in the fields of bars."""

    def decode(payload: Buffer) -> Event:
        decoded = event(payload)
        return bar(payload) if decoded.kind == BAR else decoded

    return decode


_DECODERS: Final[dict[str, Callable[[Buffer], Event]]] = {
    JSON: _by_kind(msgspec.json.Decoder(AnyEvent).decode, msgspec.json.Decoder(BarEvent).decode),
    MSGPACK: _by_kind(msgspec.msgpack.Decoder(AnyEvent).decode, msgspec.msgpack.Decoder(BarEvent).decode),
}
_TYPES: Final = (*_DECODERS, ARROW)


def _arrow_ticks() -> ModuleType:
    from codec import arrow_ticks  # noqa: PLC0415 - PyArrow costs a fifth of a start, and most topics hold no Arrow

    return arrow_ticks


def _parsed_events(records: Records, events: dict[int, Event]) -> pl.DataFrame:
    """One-event records as a PARSED frame."""
    place = places(records, list(events), [1] * len(events))
    data = {
        name: pl.Series([getattr(event, field, None) for event in events.values()], dtype=PARSED[name])
        for field, name in _FIELDS
    }
    unset = {"flaw": pl.lit(None, pl.String), "src_ts": pl.lit(None, pl.Int64)}
    return pl.DataFrame({**place, **data}).with_columns(**unset).select(PARSED.names())
