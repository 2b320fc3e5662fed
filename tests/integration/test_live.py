"""A run without an end: quiet markets come out, stops leave open windows open, and the log alone tells it all again."""

import json
import signal
from datetime import UTC, datetime, timedelta

from confluent_kafka import Producer

from tests.forked import Process
from tests.harness import Deployment, Deployments, Record, assert_same, kill, records, until

START = datetime(2025, 10, 24, 14, tzinfo=UTC)
QUIET = {"flush_timeout_ms": 300}
BUSY = {"flush_timeout_ms": 3_600_000}  # so no heartbeats
STOP_SECONDS = 15.0

FEATURES = {"windows": [{"name": "vwap_4s", "horizon": "4s"}, {"name": "ret_4s", "horizon": "4s"}]}
RULES = [{"name": "moved", "condition": "ret_4s <> 0", "signal": 1.0, "score": 1.0, "emit": "edge"}]


def send(deployment: Deployment, *windows: int) -> None:
    """Four ticks of a symbol on each partition in each of these windows of 2 s."""
    producer = Producer({"bootstrap.servers": deployment.kafka})
    for window in windows:
        for tick in range(4):
            at = START + timedelta(seconds=2 * window, milliseconds=400 * tick)
            for partition in range(deployment.partitions):
                symbol = f"S{partition}"
                event = {
                    "ver": 1,
                    "provider": "feed",
                    "symbol": symbol,
                    "kind": "tick",
                    "src_ts": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                    "c": 100.0 + (window * tick) % 7,
                    "v": 1.0,
                    "seq": 4 * window + tick,
                }
                producer.produce(deployment.events, json.dumps(event), symbol, partition)
    assert producer.flush(30) == 0


def log(deployment: Deployment) -> list[Record]:
    return records(deployment.kafka, deployment.events)


def bars(deployment: Deployment) -> list[tuple[int, int]]:
    """(number of the window, trades) of every bar, one for each partition."""
    query = f"""SELECT (extract(epoch FROM window_start) - {START.timestamp():.0f})::bigint / 2, trades
        FROM bars_ohlcv ORDER BY window_start, symbol"""
    return deployment.query(query)


def caught_up(deployment: Deployment) -> None:
    until(deployment.has_caught_up, "all of the log")


def stop(process: Process, how: signal.Signals) -> None:
    process.send_signal(how)
    assert process.wait(STOP_SECONDS) == 0


def test_a_quiet_markets_last_bars_come_out_and_a_rerun_closes_them_at_the_same_place(deploy: Deployments) -> None:
    live = deploy(partitions=2, micro_batch=QUIET, features=FEATURES, rules=RULES, name="quiet")
    worker = live.start()
    send(live, 0, 1, 2)
    until(lambda: live.progress and bars(live)[-2:] == [(2, 4), (2, 4)], "the bars of the last window")
    beats = [record for record in log(live) if record.json["kind"] == "heartbeat"]
    assert {record.partition for record in beats} == {0, 1}
    assert all(record.json["provider"] == "feed" and record.key is None for record in beats)
    caught_up(live)
    send(live, 9)  # the market wakes up
    until(lambda: bars(live)[-2:] == [(9, 4), (9, 4)], "the bars after the silence")
    caught_up(live)
    stop(worker, signal.SIGTERM)
    again = deploy(live.events, partitions=2, micro_batch=QUIET, features=FEATURES, rules=RULES, name="again")
    again.run()
    assert len(bars(again)) == 8
    assert_same(again.tables(), live.tables())
    assert_same(again.output(), live.output())
    assert len(log(live)) == live.progress  # a bounded run appends nothing


def test_a_stop_is_not_an_end_and_the_next_start_goes_on(deploy: Deployments) -> None:
    live = deploy(partitions=2, micro_batch=BUSY, features=FEATURES, rules=RULES, name="stopped")
    open_since = 1
    send(live, 0, open_since)
    for number, how in enumerate((signal.SIGTERM, signal.SIGINT)):
        worker = live.start()
        caught_up(live)
        stop(worker, how)
        assert bars(live) == [(window, 4) for window in range(open_since + number) for _ in range(2)]
        send(live, open_since + number + 1)
    assert live.query("SELECT status, count(*) FROM job_runs GROUP BY status") == [("stopped", 2)]
    whole = deploy(live.events, partitions=2, micro_batch=BUSY, features=FEATURES, rules=RULES, name="whole")
    live.run()
    whole.run()
    assert_same(live.tables(), whole.tables())
    assert_same(live.output(), whole.output())


def test_a_cluster_that_is_stopped_leaves_no_process_behind(deploy: Deployments) -> None:
    live = deploy(partitions=2, micro_batch=BUSY, name="cluster")
    send(live, 0, 1)
    parent = live.start(workers=2)
    caught_up(live)
    stop(parent, signal.SIGTERM)
    assert not live.connections()
    assert bars(live) == [(0, 4), (0, 4)]


def test_a_cluster_whose_parent_is_killed_ends_too(deploy: Deployments) -> None:
    live = deploy(partitions=2, micro_batch=BUSY, name="orphans")
    send(live, 0, 1)
    parent = live.start(workers=2)
    caught_up(live)
    assert live.connections()
    kill(parent)
    until(lambda: not live.connections(), "the end of the workers", STOP_SECONDS)
