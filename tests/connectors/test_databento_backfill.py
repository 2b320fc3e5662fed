"""`mdp connect backfill` of DBN files: in Kafka once, however often it is asked for."""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.connectors.dbn_files import T0, metadata, trade, write
from tests.harness import Deployments, create_topic_named, records

SYMBOLS = {"ESM2": [("2022-06-10", "2022-06-11", 3403)], "NQM2": [("2022-06-10", "2022-06-11", 9)]}
STREAMS = ("trades.tick", "quotes.tick", "orderbook.snapshot", "control.gaps", "control.connector_positions")


def test_the_trades_of_some_symbols_go_in_by_the_command(deploy: Deployments, tmp_path: Path) -> None:
    env = f"v{uuid.uuid4().hex[:8]}"
    topics = [f"utp.{env}.desk.{stream}" for stream in STREAMS]
    for topic in topics:
        create_topic_named(deploy.stack.kafka.bootstrap, topic, 2)
    made = deploy(topics[0], partitions=2, messages={"env": env, "realm": "desk"}, market={"input": "envelopes"})
    trades = [trade(3955_500000000 + at, sequence=at, instrument=9 if at % 3 else 3403, ts=T0 + at) for at in range(90)]
    write(tmp_path / "x.trades.dbn.zst", metadata("trades", SYMBOLS), trades)
    options = ("--set", f"path={tmp_path / '*.dbn.zst'}", "--symbols", "ESM2")
    span = ("--from", "2022-06-10T14:00:00Z", "--to", "2022-06-10T15:00:00Z")
    for _ in range(2):
        code, said = made.mdp("connect", "backfill", "--connector", "databento", *options, *span)
        assert code == 0, said
    found = [record.json for record in records(made.kafka, topics[0])]
    assert len({one["event_id"] for one in found}) == 30
    assert {one["payload"]["symbol"] for one in found} == {"ESM2"}
    assert sorted({one["sequence"] for one in found}) == list(range(0, 90, 3))
