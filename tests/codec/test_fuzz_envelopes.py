"""Whatever a topic of envelopes holds, each record becomes what `open_envelope` says, or is rejected for that reason.

`FUZZ_RECORDS=1000000 FUZZ_SEED=7 make test ARGS=tests/codec/test_fuzz_envelopes.py` goes on for longer, elsewhere.
"""

from __future__ import annotations

import os
import zlib
from itertools import islice
from typing import Any

import msgspec
import pytest

from contracts.event import TIME_BOUND
from contracts.market_prices import MarketPrice
from contracts.payloads.heartbeat import Heartbeat
from contracts.payloads.quotes import Quote
from contracts.payloads.trades import Trade
from contracts.registry import open_envelope
from contracts.timestamps import parse_timestamp
from tests.codec.envelope_mutations import records
from tests.codec.envelope_records import decode
from tests.codec.stored_records import MAX_FUTURE, Stored

RECORDS = int(os.environ.get("FUZZ_RECORDS", "20000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
MOST_MS = 2**63 // 1_000_000 - 86_400_000 * 366

SIDES = {None: None, "buy": 1, "sell": 2}

Outcome = tuple[Any, ...]

COMPARED = ("kind", "provider", "symbol", "src_ts", "c", "v", "side", "seq", "event_id")


@pytest.mark.parametrize("price", ["trade", "mid"])
def test_every_record_is_what_the_declarations_say(price: MarketPrice) -> None:
    accepted = rejected = 0
    coming = records(SEED, RECORDS)
    while batch := list(islice(coming, 5_000)):
        made = decode(*batch, price=price)
        found: dict[int, Outcome] = {
            row["offset"]: tuple(row[name] for name in COMPARED) for row in made.events.iter_rows(named=True)
        }
        reasons = made.rejects.select("offset", "reason", "error", "value").rows()
        assert all(error for _, _, error, _ in reasons)
        assert all(value == batch[offset].payload for offset, _, _, value in reasons)
        found |= {offset: (reason,) for offset, reason, _, _ in reasons}
        assert len(found) == made.events.height + len(reasons) == len(batch)
        for place, record in enumerate(batch):
            assert repr(found[place]) == repr(expected(record, price)), (SEED, record.payload)
        accepted, rejected = accepted + made.events.height, rejected + len(reasons)
    assert min(accepted, rejected) > RECORDS / 10


def expected(record: Stored, price: MarketPrice) -> Outcome:
    """The event's values, or the reason why it is none."""
    try:
        envelope, message = open_envelope(opened(record.payload))
    except msgspec.ValidationError:
        return ("contract",)
    except Exception:
        return ("undecodable",)
    time = parse_timestamp(envelope.event_time)
    if isinstance(message, Heartbeat):
        told: Outcome = "heartbeat", envelope.source_id, None, time, 0.0, 0.0, None
    else:
        at = priced(message, price)
        if at is None:
            return ("unsupported",)
        told = "tick", envelope.source_id, message.symbol, time, *at
    arrived = min(max(record.milliseconds, -1), MOST_MS) * 1_000_000
    if abs(time) > TIME_BOUND:
        return ("contract",)
    return ("future",) if arrived > 0 and time > arrived + MAX_FUTURE else (*told, envelope.sequence, envelope.event_id)


def opened(payload: bytes | None) -> bytes:
    if payload is not None and payload[:2] == b"\x1f\x8b":
        stream = zlib.decompressobj(31)
        text = stream.decompress(payload)
        if not stream.eof or stream.unused_data:
            raise ValueError("not one gzip stream")
        return text
    if not payload:
        raise ValueError("nothing")
    return payload


def priced(message: Any, price: MarketPrice) -> tuple[float, float, int | None] | None:
    if isinstance(message, Trade):
        return (message.price, message.size, SIDES[message.side]) if price == "trade" else None
    if not isinstance(message, Quote) or price == "trade":
        return None
    if message.mid is not None:
        return message.mid, 0.0, None
    return None if message.bid is None or message.ask is None else ((message.bid + message.ask) / 2, 0.0, None)
