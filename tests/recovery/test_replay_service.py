"""Replays that are interrupted, and what they change: nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest
from confluent_kafka import Producer

from features.bars.window_config import WindowConfig
from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, Record, assert_same, create_topic, kill, records, until

START = 1_761_314_400_000  # milliseconds; a whole window
PARTITIONS = 2
EVENTS = 6_000
WINDOW = {"start": "2025-10-24T14:01:00Z", "end": "2025-10-24T14:09:00Z"}
RATE = 400.0
SYMBOLS = ("S0", "S1", "S2")


def value_of(number: int) -> bytes:
    """One each 100 ms, of four symbols in turn."""
    at = START + 100 * number
    minute, rest = divmod(at - START, 60_000)
    time_text = f"2025-10-24T14:{minute:02}:{rest // 1_000:02}.{rest % 1_000:03}Z"
    event = {"ver": 1, "provider": "feed", "symbol": f"S{number % 4}", "kind": "tick", "src_ts": time_text}
    return json.dumps({**event, "c": 100.0 + number % 7, "v": 1.0 + number % 3, "seq": number}).encode()


@dataclass
class Replays:
    """A deployment on a log, with topics for replays of it."""

    flow: Deployment
    control: str
    target: str
    services: list[Process] = field(default_factory=list)

    def options(self, rate: float) -> list[str]:
        changes = {"control_topic": self.control, "replay_topic": self.target}
        own = [f"bus.kafka.{key}={topic}" for key, topic in changes.items()]
        return [part for one in (*own, f"replay.records_per_s={rate}") for part in ("--set", one)]

    def start(self, *more: str, rate: float = RATE) -> Process:
        return self.flow.command("stream", "replay-service", *more, *self.options(rate))

    def ask(self, **request: object) -> None:
        file = self.flow.folder / "request.json"
        file.write_text(json.dumps({"domain": "events", "reason": "test", **WINDOW, **request}))
        code, said = self.flow.mdp("stream", "replay", "--request", str(file), *self.options(RATE))
        assert code == 0, said

    def sent(self) -> list[Record]:
        return records(self.flow.kafka, self.target)

    def has_sent(self, least: int) -> bool:
        return len(self.sent()) >= least

    def states(self) -> Counter[str]:
        """How many statuses there are of each state."""
        found = (record.json["payload"] for record in records(self.flow.kafka, self.control))
        return Counter(one["state"] for one in found if "state" in one)

    def expected(self, symbols: Sequence[str]) -> list[tuple[int, bytes | None, bytes | None]]:
        """What a replay of WINDOW sends, in its order."""
        inside = range(600, 5_400)
        found = records(self.flow.kafka, self.flow.events)
        numbered = [(one, one.json) for one in found]
        return [
            (one.partition, one.key, one.value)
            for one, event in numbered
            if event["seq"] in inside and event["symbol"] in symbols
        ]


@pytest.fixture
def replays(deploy: Deployments) -> Replays:
    brokers = deploy.stack.kafka.bootstrap
    kept = {"retention_ms": "-1"}
    events, target = create_topic(brokers, "events", PARTITIONS, **kept), create_topic(brokers, "replay", PARTITIONS)
    producer = Producer({"bootstrap.servers": brokers})
    for number in range(EVENTS):
        key = b"S%d" % (number % 4)
        producer.produce(events, value_of(number), key, number % 4 % PARTITIONS, timestamp=START + 100 * number)
    assert producer.flush(60) == 0
    windows = [{"name": "ret_4s", "horizon": "4s"}]
    rules = [{"name": "up", "condition": "ret_4s > 0", "signal": 1.0, "score": 1.0}]
    flow = deploy(
        events,
        partitions=PARTITIONS,
        name="replayed",
        rules=rules,
        features={"windows": windows},
        micro_batch=WindowConfig().model_dump(),
    )
    return Replays(flow, create_topic(brokers, "control", 1), target)


def content(found: Sequence[Record]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(one.partition, one.key, one.value) for one in found]


@pytest.mark.slow
def test_a_service_that_is_killed_again_and_again_sends_each_record_once(replays: Replays) -> None:
    replays.ask(symbols=SYMBOLS)
    for share in (1, 2, 3):
        service = replays.start()
        until(partial(replays.has_sent, 500 * share), "some records")
        kill(service)
    replays.flow.ends_well(replays.start("--once", rate=1e9))
    assert content(replays.sent()) == replays.expected(SYMBOLS)
    origins = [one.header("replayed_from") for one in replays.sent()]
    assert len(set(origins)) == len(origins)
    assert {one.header("replay_request_id")[:7] for one in replays.sent()} == {"sha256:"}
    assert replays.states()["done"] == 1


@pytest.mark.slow
def test_of_two_services_one_works_and_the_other_takes_over_when_it_is_killed(replays: Replays) -> None:
    services = [replays.start(), replays.start()]
    replays.ask(symbols=SYMBOLS)
    until(lambda: len(replays.sent()) >= 300, "some records")
    kill(services[0])
    time_of_death = len(replays.sent())
    until(lambda: len(replays.sent()) > time_of_death, "records of the one that is left")
    third = replays.start()
    kill(services[1])
    until(lambda: replays.states()["done"] == 1, "the end of the replay")
    assert content(replays.sent()) == replays.expected(SYMBOLS)
    third.terminate()
    assert third.wait(SECONDS) == 0


@pytest.mark.slow
def test_a_service_waits_for_kafka_and_goes_on(replays: Replays) -> None:
    service = replays.start()
    replays.ask(symbols=SYMBOLS)
    until(lambda: len(replays.sent()) >= 300, "some records")
    replays.flow.stack.kafka.kill()
    replays.flow.stack.kafka.start()
    until(lambda: replays.states()["done"] == 1, "the end of the replay")
    assert content(replays.sent()) == replays.expected(SYMBOLS)
    assert service.poll() is None
    kill(service)


def test_a_replay_changes_no_row_however_often_it_is_asked_for(replays: Replays) -> None:
    flow = replays.flow
    flow.run()
    rows, versions = flow.tables(), flow.row_versions()
    assert rows["bars_ohlcv"]
    everything = {"start": "2025-10-24T14:00:00Z", "end": "2025-10-24T15:00:00Z"}
    for name in ("first", "second"):
        replays.ask(request_id=name, **everything)
        replays.flow.ends_well(replays.start("--once", rate=1e9))
        over = ("--to", "now", "--set", f"bus.kafka.topic={replays.target}")
        assert flow.mdp("stream", "run", *over, "--into", "live")[0] == 3  # there was nothing to write
        tables = ("bars_ohlcv", "features", "signals")
        assert_same({table: flow.tables()[table] for table in tables}, {table: rows[table] for table in tables})
        assert_same(
            {table: flow.row_versions()[table] for table in tables}, {table: versions[table] for table in tables}
        )
        # Tables of its own, computed of the copies alone, hold the same.
        assert flow.mdp("stream", "run", *over, "--run", name)[0] == 0
        code, said = flow.mdp("runs", "diff", name, "live")
        assert code == 0, said
    assert len(replays.sent()) == 2 * EVENTS


@pytest.mark.slow
def test_a_replay_that_is_killed_before_its_first_status_is_served_later(replays: Replays) -> None:
    replays.ask(symbols=["S0"], request_id="early")
    service = replays.start()
    kill(service)
    replays.flow.ends_well(replays.start("--once", rate=1e9))
    assert content(replays.sent()) == replays.expected(["S0"])
