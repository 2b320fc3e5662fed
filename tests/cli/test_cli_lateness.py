import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from confluent_kafka import Producer

from codec.encode import encode
from mdp.local import LocalStack
from tests.cli.cli_result import Config, Mdp, Topic
from tests.harness import Deployments
from tests.market import PARTITIONS, START, market_topic

MS = 1_000_000
OUTCOMES = ("accepted", "amending", "late", "duplicate")


def send(kafka: str, topic: str, events: pl.DataFrame) -> None:
    """Sends events in the order of arrival, each record with that time as its own."""
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    rows = zip(encode(events, "json"), events["partition"], events["arrival"] // MS, strict=True)
    for value, partition, arrived in rows:
        producer.produce(topic, value, b"k", partition, timestamp=arrived)
    assert producer.flush(60) == 0


def events_with(delays: npt.NDArray[np.float64], partitions: int) -> pl.DataFrame:
    """A thousand events a second, in the order in which they arrive."""
    src_ts = START + np.arange(len(delays)) * MS
    return pl.DataFrame(
        {
            "provider": "p",
            "symbol": [f"S{number % 20}" for number in range(len(delays))],
            "kind": "tick",
            "src_ts": src_ts,
            "c": 1.0,
            "v": 1.0,
            "seq": np.arange(len(delays)),
            "partition": np.arange(len(delays)) % 20 % partitions,
            "arrival": src_ts + delays.astype(np.int64),
        }
    ).sort("arrival", maintain_order=True)


def quantile(times: pl.Series, share: float) -> float:
    """Milliseconds."""
    return float(times.quantile(share, "higher") or 0) / MS


def test_quantiles_of_a_known_distribution_of_delays_come_out_within_2_percent(
    mdp: Mdp, config: Config, kafka: str, topic: Topic
) -> None:
    name, mean_ms = topic(partitions=2), 200
    events = events_with(np.random.default_rng(11).exponential(mean_ms * MS, 100_000), 2)
    send(kafka, name, events)
    result = mdp("stream", "lateness", "--json", "--config", config(brokers=kafka, topic=name))
    assert (result.code, result.err) == (0, "")
    report = json.loads(result.out)
    behind = events.select(pl.col("src_ts").cum_max().over("partition") - pl.col("src_ts")).to_series()
    delay = events["arrival"] - events["src_ts"]
    for label, share in (("p50_ms", 0.5), ("p90_ms", 0.9), ("p99_ms", 0.99), ("p99.9_ms", 0.999)):
        assert report["lateness"][label] == pytest.approx(quantile(behind, share), rel=0.01)
        assert report["delay"][label] == pytest.approx(quantile(delay, share), rel=0.01)
        if share <= 0.99:  # of more, so few events say less
            assert report["delay"][label] == pytest.approx(-np.log1p(-share) * mean_ms, rel=0.02)
    assert report["lateness"]["max_ms"] == behind.to_numpy().max() / MS
    assert report["lateness"]["in_order"] == (behind == 0).mean()
    assert (report["events"], report["rejected"], report["partitions"]) == (100_000, 0, 2)


def test_the_counts_of_a_grace_are_those_of_a_run_with_it(mdp: Mdp, stack: LocalStack, deploy: Deployments) -> None:
    """Of a market with duplicates, broken records and events up to 16 s late, under a grace that is not configured."""
    events = market_topic(stack.kafka.bootstrap, 20_000)
    window = {"allow_late_ms": 100, "amend_ms": 4_000}
    deployment = deploy(events, partitions=PARTITIONS, micro_batch=window)
    options = ("--topic", events, "--set", "micro_batch.amend_ms=4000", "--json", "--config", deployment.config)
    report = json.loads(mdp("stream", "lateness", *options, "--set", "micro_batch.allow_late_ms=500").out)
    deployment.run(flow="micro_batch")
    (counts,) = deployment.query(
        f"SELECT {', '.join(f'sum({name})' for name in (*OUTCOMES, 'rejected'))} FROM progress"
    )
    rows = {row["grace_ms"]: row for row in report["graces"]}
    assert [*(rows[100][name] for name in OUTCOMES), report["rejected"]] == [int(count) for count in counts]
    assert all(count > 10 for count in counts)
    assert report["configured_ms"] == 500
    assert report["symbols"]["late"][0]["share"] >= report["symbols"]["late"][-1]["share"] > 0


def test_records_are_chosen_by_the_time_of_their_arrival(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    name = topic(partitions=2)
    delays = np.where(np.arange(4_000) == 500, 1_800.0, 5.0) * MS  # sent at 0.5 s, and there at 2.3
    send(kafka, name, events_with(delays, 2))
    path = config(brokers=kafka, topic=name)
    part = ("--from", "2025-10-24T14:00:02Z", "--to", "2025-10-24T14:00:03Z")
    report = json.loads(mdp("stream", "lateness", *part, "--window", "100ms", "--json", "--config", path).out)
    assert report["events"] == 1_001
    assert report["window_ms"] == 100
    assert report["lateness"]["max_ms"] == pytest.approx(1_795, abs=2)
    zero = next(row for row in report["graces"] if row["grace_ms"] == 0)
    assert [zero[name] for name in OUTCOMES] == [1_000, 1, 0, 0]
    assert zero["bar_after_ms"] == pytest.approx(5, rel=0.3)


def test_tables_a_plot_and_a_drawing_are_for_people(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    name, drawing = topic(), tmp_path / "lateness.svg"
    delays = np.random.default_rng(3).exponential(300 * MS, 5_000)
    send(kafka, name, pl.concat([events_with(delays, 1), events_with(delays[:50], 1)]))
    path = config(brokers=kafka, topic=name)
    result = mdp("stream", "lateness", "--target", "0.5%", "--svg", drawing, "--config", path)
    assert result.code == 0
    assert f"{name}: 5,050 events in 1 partition," in result.out
    assert "in order" in result.out
    assert "█" in result.out
    assert "Recommended: micro_batch.allow_late_ms=" in result.out
    assert "Worst symbols" in result.out
    assert "events/s" in result.err
    text = drawing.read_text()
    assert len(text) < 100_000
    assert "recommended" in "".join(ElementTree.fromstring(text).itertext())


def test_a_topic_in_order_is_drawn_too_and_a_drawing_that_fails_costs_no_report(
    mdp: Mdp, config: Config, kafka: str, topic: Topic, tmp_path: Path
) -> None:
    name, drawing = topic(), tmp_path / "lateness.svg"
    send(kafka, name, events_with(np.zeros(200), 1))
    path = config(brokers=kafka, topic=name)
    assert mdp("stream", "lateness", "--svg", drawing, "--config", path).code == 0
    assert "above 0" in "".join(ElementTree.fromstring(drawing.read_text()).itertext())
    result = mdp("stream", "lateness", "--svg", tmp_path / "nowhere" / "lateness.svg", "--config", path)
    assert result.code == 2
    assert "Recommended" in result.out


def test_where_no_grace_is_enough_none_is_recommended(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    name = topic()
    delays = np.where(np.arange(30_000) % 100 == 0, 14_000.0, 0.0) * MS
    send(kafka, name, events_with(delays, 1))
    path = config(brokers=kafka, topic=name)
    assert "No grace up to 10 s is recommended" in mdp("stream", "lateness", "--config", path).out
    assert json.loads(mdp("stream", "lateness", "--json", "--config", path).out)["recommended_ms"] is None


def test_what_cannot_be_measured_is_said_in_one_line(mdp: Mdp, config: Config, kafka: str, topic: Topic) -> None:
    empty, junk = topic(), topic(partitions=2)
    producer = Producer({"bootstrap.servers": kafka})
    for _ in range(3):
        producer.produce(junk, b"junk")
    assert producer.flush(30) == 0
    path = config(brokers=kafka, topic=empty)
    for arguments, words in (
        ((), f"topic {empty} holds no records"),
        (("--topic", junk), f"topic {junk} holds no events: 3 rows were rejected"),
        (("--topic", junk, "--to", "2020-01-01"), "holds no records that arrived in this time"),
        (("--topic", "nowhere"), "nowhere"),
        (("--from", "2025-10-25", "--to", "2025-10-24"), "it must be after --from"),
        (("--target", "0.1"), "'0.1' is not a percentage such as 0.1%"),
        (("--window", "2"), "'2' is not a duration"),
    ):
        result = mdp("stream", "lateness", *arguments, "--config", path)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result.err
        assert words in result.err
