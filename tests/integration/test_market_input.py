"""The market dataflow on a topic of envelopes writes what it writes of Event v1: with a real Kafka and PostgreSQL."""

from __future__ import annotations

from confluent_kafka import Producer

from contracts.registry import open_envelope
from mdp.local import LocalStack
from tests.harness import Deployment, Deployments, Record, assert_same, records, until
from tests.market import FEATURES, PARTITIONS, RULES, START, market_topic
from tests.market_envelopes import envelope, envelope_topic

EVENTS = 40_000
ENVELOPES = {"input": "envelopes"}
COUNTS = "SELECT partition, next_offset, accepted, amending, duplicate, late, rejected FROM progress ORDER BY 1"
ORDER = {"bars_ohlcv": "window_start", "features": "ts", "signals": "ts, name"}


def tables(deployment: Deployment) -> dict[str, list[str]]:
    """All columns but the name of the source topic."""
    found = {}
    for table, order in ORDER.items():
        columns = deployment.query(
            f"SELECT attname FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
        )
        listed = ", ".join(f'"{name}"' for (name,) in columns if name != "source_topic")
        query = f'SELECT {listed} FROM {table} ORDER BY provider, symbol COLLATE "C", {order}'
        found[table] = deployment.copied(query)
    return found


def messages(found: list[Record]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.partition, record.key, record.value) for record in found]


def test_the_same_trades_give_the_same_rows_and_signals(stack: LocalStack, deploy: Deployments) -> None:
    topics = market_topic(stack.kafka.bootstrap, EVENTS), envelope_topic(stack.kafka.bootstrap, EVENTS)
    events, envelopes = (
        deploy(topic, partitions=PARTITIONS, rules=RULES, features=FEATURES, name=name, market={"input": name})
        for name, topic in zip(("events", "envelopes"), topics, strict=True)
    )
    events.run()
    envelopes.run()
    assert_same(tables(envelopes), tables(events))
    assert_same({"signals": messages(envelopes.records("signals"))}, {"signals": messages(events.records("signals"))})
    assert envelopes.query(COUNTS) == events.query(COUNTS)
    assert min(len(tables(events)["signals"]), len(events.records("late")), len(events.records("dlq"))) > 10
    for refused in ("dlq", "late"):
        of_envelopes, of_events = (run.records(refused) for run in (envelopes, events))
        assert [one.header("source_offset") for one in of_envelopes] == [
            one.header("source_offset") for one in of_events
        ]
        assert {one.header("schema_fqdn") for one in of_envelopes} == {"utp.trades.v2"}


def test_late_trades_are_repaired_from_their_envelopes(stack: LocalStack, deploy: Deployments) -> None:
    kafka = stack.kafka.bootstrap
    topics = market_topic(kafka, 5_000, 20), envelope_topic(kafka, 5_000, 20)
    events, envelopes = (
        deploy(topic, partitions=PARTITIONS, name=name, market={"input": name}, micro_batch={"amend_ms": 100})
        for name, topic in zip(("events", "envelopes"), topics, strict=True)
    )
    before = {}
    for one in (events, envelopes):
        one.run()
        before[one.name] = tables(one)["bars_ohlcv"]
        code, said = one.mdp("late", "repair")
        assert code == 0, said
    assert_same({"bars": tables(envelopes)["bars_ohlcv"]}, {"bars": tables(events)["bars_ohlcv"]})
    assert tables(envelopes)["bars_ohlcv"] != before["envelopes"]


def test_a_silent_source_closes_its_windows_by_a_heartbeat_in_an_envelope(deploy: Deployments) -> None:
    quiet = {"flush_timeout_ms": 300}
    live = deploy(partitions=1, market=ENVELOPES, micro_batch=quiet, name="silent")
    producer = Producer({"bootstrap.servers": live.kafka})
    producer.produce(live.events, envelope(("e1", "feed", "X", START, None, 1.5, 2.0)), b"X", 0)
    assert producer.flush(30) == 0
    live.start()
    until(lambda: live.progress and live.query("SELECT volume FROM bars_ohlcv") == [(2.0,)], "the bar of the source")
    beats = [open_envelope(record.value or b"")[0] for record in records(live.kafka, live.events)[1:]]
    assert beats
    assert {(beat.event_type, beat.source_id) for beat in beats} == {("control.heartbeat", "feed")}


def test_volume_by_side_goes_to_bars_signals_and_through_a_repair(deploy: Deployments) -> None:
    rules = [{"name": "bought", "condition": "buy_volume > sell_volume", "signal": 1.0, "score": 1.0}]
    sided = deploy(partitions=1, market=ENVELOPES, micro_batch={"amend_ms": 1_000}, rules=rules, name="sided")
    late = ("e5", "feed", "X", START + 1, 5, 10.0, 0.3), "sell"
    trades = [
        (("e1", "feed", "X", START, 1, 10.0, 0.1), "buy"),
        (("e2", "feed", "X", START, 2, 10.0, 0.2), "buy"),
        (("e3", "feed", "X", START, 3, 10.0, 7.0), None),
        (("e4", "feed", "X", START + 60_000_000_000, 4, 10.0, 1.0), None),
        late,
    ]
    producer = Producer({"bootstrap.servers": sided.kafka})
    for trade, side in trades:
        producer.produce(sided.events, envelope(trade, side), b"X", 0)
    assert producer.flush(30) == 0
    volumes = "SELECT volume, buy_volume, sell_volume, revision FROM bars_ohlcv ORDER BY window_start"
    sided.run(flow="micro_batch")
    assert sided.query(volumes) == [(7.3, 0.3, 0.0, 0), (1.0, None, None, 0)]
    of_topic = [(bar.json["buy_volume"], bar.json["sell_volume"]) for bar in sided.records("bars")]
    assert of_topic == [(0.3, 0.0), (None, None)]
    sided.run(flow="infer")
    assert sided.query("SELECT name, ts FROM signals") == sided.query(
        "SELECT 'bought', min(window_end) FROM bars_ohlcv"
    )
    assert len(sided.records("late")) == 1
    code, said = sided.mdp("late", "repair")
    assert code == 0, said
    assert sided.query(volumes) == [(7.6, 0.3, 0.3, 1), (1.0, None, None, 0)]
    (rolled, _) = sided.query("SELECT volume, buy_volume, sell_volume FROM bars_1m ORDER BY bucket")
    assert rolled == (7.6, 0.3, 0.3)
