"""Decodes envelopes to events of the market dataflow: trades, or quotes at one of their prices.

An envelope's source_id is the provider, its event_time src_ts, its sequence seq, and its event_id stays what it is. A
record may be packed by gzip, which is seen by its first bytes, as no JSON text begins so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from codec.encoding import unpacked
from codec.envelope_ticks import OF_ENVELOPE, envelope_ticks
from codec.market_batch import micro_batch
from codec.refused import UNDECODABLE, one_line, refused_record
from codec.ticks import TickReader
from contracts.batch import MicroBatch
from contracts.budgets import BLOB_ABOVE_BYTES
from contracts.envelope import Envelope
from contracts.event import TIME_BOUND
from contracts.event_rules import CONTRACT, FUTURE
from contracts.frames import EVENTS, REFUSED
from contracts.market_prices import MarketPrice, Priced, priced, read_type
from contracts.payloads.heartbeat import Heartbeat
from contracts.payloads.quotes import Quote
from contracts.payloads.trades import Trade
from contracts.record import TOMBSTONE, Fetch, Records
from contracts.registry import open_envelope
from contracts.timestamps import parse_timestamp

UNSUPPORTED: Final = "unsupported"  # the reason of messages that satisfy their contract, and have no price for bars

_GZIP: Final = b"\x1f\x8b"
_NO_PRICE: Final = Priced(0.0, 0.0)


class _Refusal(Exception):  # noqa: N818 - says what is wrong
    """Why a record is no event: its reason, and the error."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason


class _Row(NamedTuple):
    """An envelope, and what its message says of an event."""

    envelope: Envelope
    kind: str
    src_ts: int
    symbol: str | None
    price: Priced


@dataclass(frozen=True, slots=True)
class MarketEnvelopeDecoder:
    """Turns fetches of envelopes into micro-batches.

    Attributes:
        window_ns: length of a window.
        max_future_ns: how far an event's time may be ahead of its record's timestamp.
        price: that makes bars; messages without it are rejected.
    """

    window_ns: int
    max_future_ns: int
    price: MarketPrice

    def decode(self, fetch: Fetch) -> MicroBatch:
        """The events of a fetch, and its rejects with their reasons. It never raises, whatever the topic contains."""
        return self.decode_all([fetch])

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch from at least one fetch; each is decoded before the next is requested."""
        return micro_batch(fetches, TickReader(envelope_ticks(self.price), self.max_future_ns), self._read)

    def _read(self, records: Records, chosen: Sequence[int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(EVENTS, REFUSED) of the chosen records, in log order."""
        events: list[dict[str, Any]] = []
        refused: list[tuple[object, ...]] = []
        for index in chosen:
            try:
                events.append(_event(records, index, self._row(records, index)))
            except _Refusal as refusal:
                refused.append(refused_record(records, index, refusal.reason, str(refusal)))
        return pl.DataFrame(events, schema=EVENTS), pl.DataFrame(refused, schema=REFUSED, orient="row")

    def _row(self, records: Records, index: int) -> _Row:
        """Raises _Refusal: the record is no event."""
        envelope, message = _opened(records.values[index])
        row = self._of_message(envelope, message)
        record_ts = records.time(index)
        if abs(row.src_ts) > TIME_BOUND:
            raise _Refusal(CONTRACT, "event_time lies within a year of the end of 64-bit nanoseconds")
        if record_ts > 0 and row.src_ts > record_ts + self.max_future_ns:
            raise _Refusal(FUTURE, "event_time is too far ahead of the record's own timestamp")
        return row

    def _of_message(self, envelope: Envelope, message: Any) -> _Row:
        src_ts = parse_timestamp(envelope.event_time)
        if isinstance(message, Heartbeat):
            return _Row(envelope, "heartbeat", src_ts, None, _NO_PRICE)
        kind = read_type(self.price)
        if not isinstance(message, Trade | Quote) or not isinstance(message, kind.struct):
            error = f"{envelope.schema_ref} makes no bars here: market.price {self.price} is of {kind.id}"
            raise _Refusal(UNSUPPORTED, error)
        price = priced(message, self.price)
        if price is None:
            raise _Refusal(UNSUPPORTED, f"the quote has no {self.price}")
        return _Row(envelope, "tick", src_ts, message.symbol, price)


def _event(records: Records, index: int, row: _Row) -> dict[str, Any]:
    """A row of EVENTS."""
    place = {"record": index, "offset": int(records.offsets[index]), "row": 0}
    carried = {name: getattr(row.envelope, field) for name, field in OF_ENVELOPE.items()}
    price, volume, side = row.price
    told = {"kind": row.kind, "src_ts": row.src_ts, "symbol": row.symbol, "c": price, "v": volume, "side": side}
    return place | carried | told


def _opened(value: bytes | None) -> tuple[Envelope, Any]:
    """The envelope in a record, and its message.

    Raises:
        _Refusal: it is none, or violates its contract.
    """
    try:
        return open_envelope(_payload(value))
    except msgspec.ValidationError as error:
        raise _Refusal(CONTRACT, one_line(error)) from None
    except Exception as error:  # the text may be anything
        raise _Refusal(UNDECODABLE, one_line(error)) from None


def _payload(value: bytes | None) -> bytes:
    """The text of an envelope, unpacked within the size that one in a record may have.

    Raises:
        ValueError: there is none.
    """
    if value is None:
        raise ValueError(TOMBSTONE)
    if not value:
        raise ValueError("the record is empty: payloads outside of their record are not read here")
    return unpacked(value, BLOB_ABOVE_BYTES) if value.startswith(_GZIP) else value
