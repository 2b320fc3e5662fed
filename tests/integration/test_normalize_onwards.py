"""A venue's own messages become bars and rows: normalize feeds the market dataflow and persist."""

from __future__ import annotations

import json
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.docs.page_blocks import PROJECT, block
from tests.harness import Deployments, create_topic, records

MAPPING = block((PROJECT / "docs" / "normalize.md").read_text(encoding="utf-8"), "A venue, step by step", "yaml")
PARTITIONS = 2


def match(number: int, symbol: str, price: str) -> dict[str, object]:
    """A trade in the form of the feed, one a second."""
    time = f"2025-10-28T07:14:{number:02}.312345Z"
    ids = {"trade_id": number, "sequence": number, "product_id": symbol, "time": time}
    return {"type": "match", "side": "sell", "size": "2", "price": price, **ids}


SENT = [match(number, symbol, f"{100 + number}.5") for number in range(10) for symbol in ("BTC-USD", "ETH-USD")]


def send(kafka: str, topic: str) -> None:
    """One partition after the other, whatever the symbol; some trades twice, and what is none in between."""
    producer = Producer({"bootstrap.servers": kafka})
    lines = [*SENT, {"type": "heartbeat"}, *SENT[-4:]]
    for number, line in enumerate(lines):
        producer.produce(topic, json.dumps(line).encode(), partition=number // 2 % PARTITIONS)
    assert producer.flush(30) == 0


def test_trades_of_a_venue_become_bars_and_stored_trades(deploy: Deployments) -> None:
    kafka, env = deploy.stack.kafka.bootstrap, f"v{uuid.uuid4().hex[:8]}"
    raw, trades = create_topic(kafka, "raw", PARTITIONS), f"utp.{env}.desk.trades.tick"
    names = [trades, f"utp.{env}.desk.quotes.tick"]
    admin = AdminClient({"bootstrap.servers": kafka, "log_level": 0})
    for created in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        created.result(30)
    (deploy.folder / "coinbase.yaml").write_text(MAPPING, encoding="utf-8")
    mapping = str(deploy.folder / "coinbase.yaml")
    source = {"topic": raw, "mapping": mapping, "source_id": "coinbase", "unmapped": "skip"}
    venue = deploy(
        trades,
        partitions=PARTITIONS,
        name="venue",
        messages={"env": env, "realm": "desk", "topics": [trades]},
        normalize={"sources": [source]},
        market={"input": "envelopes"},
    )
    send(kafka, raw)
    for flow in ("normalize", "persist", "market"):
        venue.run(flow=flow)
    assert len(records(kafka, trades)) == len(SENT) + 4
    assert venue.records("dlq") == []
    stored = venue.query("SELECT symbol, price, side, sequence FROM trades ORDER BY sequence, symbol")
    assert stored == [(one["product_id"], float(str(one["price"])), "buy", one["sequence"]) for one in SENT]
    bars = venue.query("SELECT symbol, open, close, volume, trades FROM bars_ohlcv ORDER BY symbol, window_start")
    expected = [(100.5 + at, 101.5 + at, 4.0, 2) for at in range(0, 10, 2)]
    assert bars == [(symbol, *bar) for symbol in ("BTC-USD", "ETH-USD") for bar in expected]
