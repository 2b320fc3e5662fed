"""Late events find their way into bars: from the log, once, whatever the flow does meanwhile or afterwards."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from codec.decode import Decoder
from contracts.record import Fetch, Record, Records
from features.bars.window_config import WindowConfig
from mdp.cli import main
from tests.harness import Deployment, Deployments, assert_same
from tests.market import FEATURES, PARTITIONS, RULES, START, market_topic
from tests.oracle_windows import WindowOracle
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_reader import TopicReader

FOR_EVER = WindowConfig(amend_ms=604_800_000)
MIDDLE = "2025-10-24T14:00:03Z"
VALUES = ("open", "high", "low", "close", "volume", "vwap", "trades", "revision")

Answer = tuple[int, dict[str, Any], str]
Run = Callable[..., Answer]


@pytest.fixture(scope="module")
def market(deploy: Deployments) -> Deployment:
    """A market with late events, and in front of it 20 events that say `ticker` for `symbol`; run to its end."""
    kafka = deploy.stack.kafka.bootstrap
    events = market_topic(kafka, 20_000, symbols=20)
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(20):
        time = f"2025-10-24T14:00:0{number % 5}.5Z"
        tick = {"ver": 1, "provider": "synthetic", "ticker": "MENDED", "kind": "tick", "src_ts": time, "c": 1, "v": 1}
        producer.produce(events, json.dumps({**tick, "seq": 10**9 + number}), None, 0, timestamp=START // 1_000_000)
    assert producer.flush(60) == 0
    deployment = deploy(events, partitions=PARTITIONS, rules=RULES, features=FEATURES, name="late")
    deployment.run()
    return deployment


@pytest.fixture
def mdp(market: Deployment, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command and reads its JSON."""
    monkeypatch.setenv("MDP_HOME", str(market.home))
    monkeypatch.setenv("MDP_OVERRIDES", "[]")

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--json", "--config", str(market.config)])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), json.loads(out), err

    return run


def recomputed(market: Deployment) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The bars of the whole log in which no event is ever too late, event by event."""
    bars = []
    decoder = Decoder(FOR_EVER.window_ns, FOR_EVER.max_future_ms * 1_000_000)
    with TopicReader(KafkaConfig(brokers=market.kafka), market.events) as reader:
        for partition in reader.partitions:
            oracle = WindowOracle(FOR_EVER)
            for messages in reader.span(partition, *reader.bounds(partition)):
                records = Records.of(cast(list[Record], messages))
                fetch = Fetch(topic="", partition=partition, next_offset=0, records=records)
                for row in decoder.decode(fetch).events.iter_rows(named=True):
                    oracle.take(row)
            bars += [*oracle.emitted, *oracle.still_open({"offset": 0, "row": 0})]
    return {_key(bar): tuple(bar[name] for name in VALUES) for bar in bars}


def _key(bar: dict[str, Any]) -> tuple[Any, ...]:
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=bar["window_start"] // 1_000)
    return bar["provider"], bar["symbol"], moment


def stored(market: Deployment) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    rows = market.query(f"SELECT provider, symbol, window_start, {', '.join(VALUES)} FROM bars_ohlcv")
    return {row[:3]: row[3:] for row in rows}


def test_late_events_of_another_window_are_left_and_told(market: Deployment, mdp: Run) -> None:
    code, done, err = mdp("late", "repair", "--set", "micro_batch.window_ms=1000")
    assert (code, done["windows"], done["foreign"]) == (0, 0, len(market.records("late")))
    assert "late events of flow late-market-2s are skipped" in err


def test_a_repair_makes_the_bars_those_of_the_whole_log_computed_anew(market: Deployment, mdp: Run) -> None:
    before, late = stored(market), len(market.records("late"))
    expected = recomputed(market)
    assert late > 50
    changed = {key for key in expected if before.get(key) != expected[key]}
    code, first, _ = mdp("late", "repair", "--to", MIDDLE)
    code_of_rest, rest, err = mdp("late", "repair")
    assert (code, code_of_rest, err) == (0, 0, "")
    assert stored(market) == expected
    assert min(first["late_events"], rest["late_events"]) > 0
    assert first["late_events"] + rest["late_events"] == late
    assert first["bars_changed"] + rest["bars_changed"] == len(changed)


def test_repairing_and_running_again_changes_nothing(market: Deployment, mdp: Run) -> None:
    versions, output = market.row_versions(), market.output()
    code, again, _ = mdp("late", "repair")
    assert (code, again["late_events"], again["windows"]) == (0, 0, 0)
    market.run(f"recovery.directory={market.folder / 'another'}")
    assert_same(market.row_versions(), versions)
    assert_same(market.output(), output)


def test_redriven_events_that_have_become_late_are_repaired(market: Deployment, mdp: Run) -> None:
    _, redriven, _ = mdp("dlq", "redrive", "--contains", "ticker", "--fix", ".symbol = .ticker")
    assert redriven["sent"] == 20
    late = len(market.records("late"))
    market.run()
    assert len(market.records("late")) == late + 20
    _, done, _ = mdp("late", "repair")
    assert done["late_events"] == 20
    assert stored(market) == recomputed(market)


def test_no_bar_is_made_of_half_a_log(market: Deployment, mdp: Run) -> None:
    with psycopg.connect(market.database, autocommit=True) as connection:
        connection.execute("DELETE FROM late_repairs")
    bars, late = market.copied("SELECT * FROM bars_ohlcv"), len(market.records("late"))
    admin = AdminClient({"bootstrap.servers": market.kafka})
    for partitions, expected_code in ((range(1), 1), (range(1, PARTITIONS), 2)):
        if expected_code == 2:
            with psycopg.connect(market.database, autocommit=True) as connection:
                connection.execute("DELETE FROM late_repairs")
        cut = [TopicPartition(market.events, partition, -1) for partition in partitions]
        for future in admin.delete_records(cut).values():
            future.result(30)
        code, done, err = mdp("late", "repair")
        assert code == expected_code
        assert done["late_events"] + done["lost"] == late
        assert f"{market.events}[{partitions[-1]}] no longer holds all events of the windows from 2025-10-24T14" in err
    assert done["late_events"] == 0
    assert market.query("SELECT count(*) FROM late_repairs") == [(0,)]
    assert sorted(market.copied("SELECT * FROM bars_ohlcv")) == sorted(bars)
