"""Kafka records to a frame of events and a frame of rejects.

The content type says how to read a record: JSON (also where there is none), msgpack, or an Arrow IPC stream that
carries many events. A value that starts with `{` is JSON whatever its header says, as it can be neither of the others;
so the common case never looks at headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby
from operator import attrgetter, itemgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.batch import MicroBatch, Outcomes
from contracts.event import FIELDS, PARSED, PLACE, Event, accepted, explain, with_interval_lengths, with_times
from contracts.frames import EVENTS, REFUSED
from contracts.ids import joined_id
from contracts.record import ARROW, CONTENT_TYPE_NAMES, JSON, MSGPACK, Fetch, Record, header, is_arrow
from contracts.timestamps import format_timestamps

if TYPE_CHECKING:
    import pyarrow as pa

UNDECODABLE: Final = "undecodable"

_json: Final = msgspec.json.Decoder(Event)
_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    JSON: _json.decode,
    MSGPACK: msgspec.msgpack.Decoder(Event).decode,
    ARROW: lambda payload: _arrow_events().read(payload),
}
_Ints = npt.NDArray[np.int64]

_COLUMNS: Final = [(field, "src_text" if field == "src_ts" else field) for field in FIELDS]
_MAX_MILLISECONDS: Final = 2**63 // 1_000_000 - 86_400_000 * 366


@dataclass(frozen=True, slots=True)
class Decoder:
    """Turns fetches into micro-batches.

    Attributes:
        window_ns: length of a window; events of kind bar must divide it.
        max_future_ns: how far an event's time may lie ahead of its record's timestamp.
    """

    window_ns: int
    max_future_ns: int

    def decode(self, fetch: Fetch) -> MicroBatch:
        """The events of a fetch, and its rejects with their reasons. Nothing that a topic can hold makes it raise."""
        return self.decode_all([fetch])

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch out of at least one fetch; each is read before the next is asked for."""
        read = _Read()
        for fetch in fetches:
            read.add(fetch.records)
        parsed = with_interval_lengths(with_times(pl.concat(read.parsed)))
        is_accepted = parsed.select(accepted(self.window_ns, self.max_future_ns)).to_series()
        rejects = read.broken
        if not is_accepted.all():
            refused = parsed.filter(~is_accepted)
            parsed = parsed.filter(is_accepted)
            originals = refused_rows(refused, read.payloads, explain(refused, self.window_ns))
            keys = pl.Series([read.keys[record] for record in refused["record"]], dtype=pl.Binary)
            rejects = [*rejects, originals.with_columns(key=keys)]
        return MicroBatch(
            topic=fetch.topic,
            partition=fetch.partition,
            next_offset=fetch.next_offset,
            read_at=fetch.read_at,
            events=_with_ids(parsed).select(EVENTS.names()),
            payloads=read.payloads,
            rejects=pl.concat(rejects).sort(["offset", "row"]) if rejects else pl.DataFrame(schema=REFUSED),
            outcomes=Outcomes(rejected=sum(frame.height for frame in rejects)),
        )


@dataclass(slots=True)
class _Read:
    """What has been read of records so far: everything that is a Python object per event happens in here."""

    payloads: list[bytes | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    parsed: list[pl.DataFrame] = field(default_factory=list)  # PARSED, `record` counting all payloads
    broken: list[pl.DataFrame] = field(default_factory=list)  # REFUSED

    def add(self, records: Sequence[Record]) -> None:
        payloads = [record.value() for record in records]
        parsed, broken = _read(records, payloads)
        if self.payloads:
            parsed = parsed.with_columns(pl.col("record") + len(self.payloads))
        self.parsed.append(parsed)
        if broken.height:
            self.broken.append(broken)
        self.payloads += payloads
        self.keys += [record.key() for record in records]


def refused_rows(rows: pl.DataFrame, payloads: Sequence[bytes | None], why: pl.DataFrame) -> pl.DataFrame:
    """A REFUSED frame of `rows` (record, offset, row, symbol), each with its original bytes and `why` (reason, error).

    A row of an Arrow batch comes as a batch of one, so that sending it again brings none of its neighbours.
    """
    by_record = groupby(rows.select("record", "row").iter_rows(), key=itemgetter(0))
    originals: list[bytes | None] = []
    for record, places in by_record:
        originals += _originals(payloads[record], [row for _, row in places])
    return pl.DataFrame(
        {
            "offset": rows["offset"],
            "row": rows["row"],
            "reason": why["reason"],
            "error": why["error"],
            "content_type": [_sniffed_type(payload) for payload in originals],
            "key": rows["symbol"].cast(pl.Binary),
            "value": originals,
        },
        schema=REFUSED,
    )


def _originals(payload: bytes | None, rows: list[int]) -> Sequence[bytes | None]:
    if payload is not None and is_arrow(payload):
        alone: list[bytes | None] = _arrow_events().slice_rows(payload, rows)
        return alone
    return [payload] * len(rows)


def _sniffed_type(payload: bytes | None) -> str:
    """Of a value that could be decoded: a map in msgpack starts with a byte that no JSON text has."""
    if is_arrow(payload):
        return ARROW
    return MSGPACK if payload is not None and payload[:1] >= b"\x80" else JSON


def _read(records: Sequence[Record], payloads: Sequence[bytes | None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(PARSED frame, REFUSED frame of what cannot be decoded)."""
    try:
        events = [_json.decode(payload) for payload in payloads]  # type: ignore[arg-type]
    except Exception:
        return _read_mixed(records, payloads)
    return _parsed(records, np.arange(len(events)), events), pl.DataFrame(schema=REFUSED)


def _read_mixed(records: Sequence[Record], payloads: Sequence[bytes | None]) -> tuple[pl.DataFrame, pl.DataFrame]:
    events: dict[int, Event] = {}
    tables: dict[int, pa.Table] = {}
    broken: list[tuple[object, ...]] = []
    for index, (record, payload) in enumerate(zip(records, payloads, strict=True)):
        kind = JSON if payload is None or payload[:1] == b"{" else header(record, *CONTENT_TYPE_NAMES) or JSON
        try:
            decoded = _decoder(kind)(payload or b"")
        except Exception as error:
            broken.append((record.offset(), 0, UNDECODABLE, _one_line(error), kind, record.key(), payload))
        else:
            (events if isinstance(decoded, Event) else tables)[index] = decoded
    singles = _parsed(records, np.fromiter(events, np.int64), list(events.values()))
    return (
        pl.concat([singles, _parsed_tables(records, tables)]).sort("record", "row") if tables else singles,
        pl.DataFrame(broken, schema=REFUSED, orient="row"),
    )


@lru_cache(maxsize=100)
def _decoder(content_type: str) -> Callable[[bytes], Any]:
    """Gives an Event, or a table of many."""
    decoder = _DECODERS.get(content_type.partition(";")[0].strip().lower())
    if decoder is None:
        raise ValueError(f"content type {content_type[:100]!r} is none of {', '.join(_DECODERS)}")
    return decoder


def _arrow_events() -> ModuleType:
    from contracts import arrow_events  # noqa: PLC0415 - PyArrow costs a fifth of a start, and most topics hold no Arrow

    return arrow_events


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def _places(records: Sequence[Record], indices: _Ints, counts: _Ints) -> dict[str, _Ints]:
    """The PLACE columns of `records`, which have these indices in the fetch and so many rows each."""
    offsets = np.array([record.offset() for record in records], np.int64)
    columns = (indices, offsets, np.cumsum(counts) - counts, _nanoseconds(records))
    repeated = {name: np.repeat(column, counts) for name, column in zip(PLACE, columns, strict=True)}
    return repeated | {"row": np.arange(counts.sum()) - repeated["row"]}


def _nanoseconds(records: Sequence[Record]) -> _Ints:
    """The records' own timestamps; a CreateTime is the producer's word and may be anything, so it is bounded."""
    milliseconds = np.array([record.timestamp()[1] for record in records], np.int64)
    return np.clip(milliseconds, -1, _MAX_MILLISECONDS) * 1_000_000


def _parsed_tables(records: Sequence[Record], tables: dict[int, pa.Table]) -> pl.DataFrame:
    indices = np.fromiter(tables, np.int64)
    counts = np.array([table.num_rows for table in tables.values()], np.int64)
    places = _places([records[index] for index in tables], indices, counts)
    rows: pl.DataFrame = _arrow_events().frame(list(tables.values()))
    return rows.with_columns(**places).select(PARSED.names())


def _parsed(records: Sequence[Record], indices: _Ints, events: Sequence[Event]) -> pl.DataFrame:
    """One-event records as a PARSED frame; `indices` say which of `records` each event came from."""
    if not events:
        return pl.DataFrame(schema=PARSED)
    chosen = records if len(events) == len(records) else [records[int(index)] for index in indices]
    # Field by field: a tuple per event would cost three times as much, most of it in the garbage collector.
    data = {name: pl.Series(name, list(map(attrgetter(field), events)), PARSED[name]) for field, name in _COLUMNS}
    return pl.DataFrame(
        {
            **_places(chosen, indices, np.ones(len(chosen), np.int64)),
            **data,
        },
    ).select(*PARSED.names()[:-2], flaw=pl.lit(None, pl.String), src_ts=pl.lit(None, pl.Int64))


def _with_ids(events: pl.DataFrame) -> pl.DataFrame:
    """Fills event_id where it is absent: provider|symbol|src_ts|seq, with the place in the log for an absent seq."""
    if events["event_id"].null_count() == 0:
        return events
    place = pl.concat_str(pl.lit("@"), "offset", pl.lit("."), "row")
    derived = joined_id(
        [
            pl.col("provider"),
            pl.col("symbol").fill_null(""),
            pl.lit(format_timestamps(events["src_ts"])),
            pl.col("seq").cast(pl.String).fill_null(place),
        ]
    )
    return events.with_columns(pl.col("event_id").fill_null(derived))
