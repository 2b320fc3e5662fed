"""Trades make the same bars, features and signals, bit for bit, as Event v1 and in envelopes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.decode import Decoder
from codec.heartbeats import envelope_heartbeats, event_heartbeat
from codec.market_batch import MarketDecoder
from codec.market_envelopes import MarketEnvelopeDecoder
from contracts.batch import MicroBatch
from contracts.envelope import checksum
from features.bars.windows import Windows
from features.rolling.feature_config import FeatureConfig
from features.rolling.rolling import RollingFeatures
from inference.conditions import compile_condition
from inference.engine import Inference
from inference.rules import Rule, RulesEvaluator
from tests.event_logs import CONFIG, MS, Row, cut, logs
from tests.features.rolling_logs import KINDS, bits
from tests.flows.pipeline_records import StoredRecord, fetch, iso

FEATURES = [FeatureConfig(name=f"{kind}_50ms", kind=kind, horizon="50ms") for kind in KINDS]
CONDITIONS = {"up": ("return_50ms > 0", False), "turns": ("close > vwap_50ms", True), "traded": ("volume > 0", False)}
BY_SIDE = ("buy_volume", "sell_volume")
FUTURE_NS = CONFIG.max_future_ms * MS


def as_event(row: Row) -> bytes:
    if row["kind"] == "heartbeat":
        return event_heartbeat(row["provider"], row["src_ts"])
    named = {name: row[name] for name in ("provider", "symbol", "c", "v", "seq", "event_id")}
    return json.dumps({**named, "kind": "tick", "src_ts": iso(row["src_ts"])}).encode()


def as_envelope(row: Row) -> bytes:
    """A third of them with a checksum, a third with more in them, a few in a form that the scan does not take."""
    if row["kind"] == "heartbeat":
        return envelope_heartbeats("test")(row["provider"], row["src_ts"])
    number = row["offset"] // 3
    payload = json.dumps(
        {"symbol": row["symbol"], "price": row["c"], "size": row["v"], "side": ("buy", None)[number % 2]}
    )
    envelope: dict[str, Any] = {
        "envelope_version": "1.0",
        "event_id": row["event_id"],
        "event_type": "trades.tick" if number % 7 else "trades.block",
        "source_id": row["provider"],
        "schema_ref": "utp://schemas/trades/v2",
        "sequence": row["seq"],
        "event_time": iso(row["src_ts"]),
        "ingest_time": iso(row["record_ts"]),
    }
    if number % 3 == 0:
        envelope["checksum"] = checksum(payload.encode())
    if number % 3 == 1:
        envelope |= {"meta": {"retry": number}, "watermark": {"partition": "p", "offset": number}, "more": [number]}
    return (json.dumps(envelope)[:-1] + f', "payload": {payload}}}').encode()


def results(decoder: MarketDecoder, batches: Sequence[Sequence[StoredRecord]]) -> dict[str, pl.DataFrame]:
    """What leaves the steps of one partition, and what was late."""
    names = [*(feature.name for feature in FEATURES), "close", "volume"]
    rules = [Rule(name, compile_condition(text, names), 1.0, 0.5, edge) for name, (text, edge) in CONDITIONS.items()]
    windows, rolling = Windows(CONFIG), RollingFeatures(FEATURES, CONFIG.window_ns, CONFIG.amend_ns)
    inference = Inference([RulesEvaluator(rules, 100 * MS)])

    def onwards(batch: MicroBatch) -> MicroBatch:
        return inference.step(rolling.step(batch))

    found = [onwards(windows.step(decoder.decode(fetch(batch)))) for batch in batches if batch]
    end = windows.flush()
    found += [onwards(end)] if end else []
    return {
        "bars": pl.concat([batch.bars for batch in found]),
        "features": pl.concat([batch.features for batch in found if batch.features is not None] or [pl.DataFrame()]),
        "signals": pl.concat([batch.signals for batch in found]),
        "late": pl.concat([batch.late for batch in found]).select("offset", "row", "time"),
        "rejects": pl.concat([batch.rejects for batch in found]).select("offset", "reason"),
    }


@given(logs(60, least=1), st.lists(st.integers(0, 60), max_size=3), st.lists(st.integers(0, 60), max_size=3))
@settings(max_examples=60, deadline=None)
def test_the_same_trades_give_the_same_bits(log: list[Row], cuts: list[int], others: list[int]) -> None:
    events, envelopes = (
        [StoredRecord(row["offset"], form(row), row["record_ts"] // MS) for row in log]
        for form in (as_event, as_envelope)
    )
    of_events = results(Decoder(CONFIG.window_ns, FUTURE_NS), cut(events, cuts))
    decoder = MarketEnvelopeDecoder(CONFIG.window_ns, FUTURE_NS, "trade")
    of_envelopes = results(decoder, cut(envelopes, others))
    for name, rows in of_events.items():
        by_side = [column for column in BY_SIDE if column in rows.columns]  # which events do not tell
        assert bits(of_envelopes[name].drop(by_side)) == bits(rows.drop(by_side)), name
        assert not any(rows[column].count() for column in by_side)


@pytest.mark.parametrize("price", ["bid", "ask", "mid"])
def test_quotes_make_bars_of_their_price_without_volume(price: str) -> None:
    quoted = [(100.0, 102.0), (99.0, 101.0), (101.0, 103.0)]
    records = []
    for place, (bid, ask) in enumerate(quoted):
        envelope = {
            "envelope_version": "1.0",
            "event_id": f"q{place}",
            "event_type": "quotes.tick",
            "source_id": "feed",
            "schema_ref": "utp://schemas/quotes/v2",
            "event_time": iso(1_700_000_000_000_000_000 + place),
            "ingest_time": iso(1_700_000_000_000_000_000 + place),
            "payload": {"symbol": "X", "bid": bid, "ask": ask},
        }
        records.append(StoredRecord(place, json.dumps(envelope).encode(), 1_700_000_000_000))
    decoder = MarketEnvelopeDecoder(CONFIG.window_ns, FUTURE_NS, price)  # type: ignore[arg-type]
    (bar,) = results(decoder, [records])["bars"].to_dicts()
    first, low, high = {"bid": (100.0, 99.0, 101.0), "ask": (102.0, 101.0, 103.0), "mid": (101.0, 100.0, 102.0)}[price]
    assert (bar["open"], bar["low"], bar["high"], bar["close"]) == (first, low, high, high)
    assert (bar["volume"], bar["vwap"], bar["trades"]) == (0.0, None, 3)
