"""Refused events that are sent back by themselves: once per refusal, as often as is allowed, whatever is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer

from contracts.record import Headers
from features.bars.window_config import WindowConfig
from tests.forked import Process
from tests.harness import SECONDS, Deployment, Deployments, Record, create_topic, kill, records, until

START = 1_761_314_400_000  # milliseconds; a whole window
REFUSED = 300


def value_of(number: int, **changes: object) -> bytes:
    at = START + 100 * number
    time = f"2025-10-24T14:00:{at // 1_000 % 60:02}.{at % 1_000:03}Z"
    event = {"ver": 1, "provider": "feed", "symbol": "S", "kind": "tick", "src_ts": time, "c": 1.0, "v": 1.0}
    return json.dumps({**event, "seq": number, **changes}).encode()


@dataclass
class Queue:
    """A deployment whose DLQ is filled, and processes that send back what is in it."""

    flow: Deployment
    rules: list[dict[str, Any]] = field(default_factory=lambda: [{"reason": "future", "backoff_s": 0}])

    def options(self, rate: float) -> list[str]:
        auto = {"rules": self.rules, "rate": rate, "interval_s": 0.1}
        return ["--set", f"dlq.auto={yaml.safe_dump(auto, default_flow_style=True).strip()}"]

    def start(self, *more: str, rate: float = 1e6) -> Process:
        return self.flow.command("dlq", "auto", *more, *self.options(rate))

    def once(self) -> None:
        self.flow.ends_well(self.start("--once"))

    def redriven(self) -> list[Record]:
        return [one for one in records(self.flow.kafka, self.flow.events) if dict(one.headers).get("redriven_from")]

    def origins(self) -> list[str]:
        return [one.header("redriven_from") for one in self.redriven()]

    def has_sent(self, least: int) -> bool:
        return len(self.origins()) >= least

    def refuse(self, *, count: int = REFUSED, reason: str = "future") -> None:
        """Records of the DLQ, as if events of offsets from 0 on had been refused."""
        producer = Producer({"bootstrap.servers": self.flow.kafka})
        for number in range(count):
            origin = {"source_partition": "0", "source_offset": str(number), "source_row": "0"}
            texts = {
                "source_topic": self.flow.events,
                **origin,
                "dlq_reason": reason,
                "failed_at": "2025-10-24T14:00:00Z",
            }
            headers: Headers = [(name, text.encode()) for name, text in texts.items()]
            producer.produce(self.flow.topics["dlq"], value_of(number), b"S", 0, headers=headers)
        assert producer.flush(30) == 0


@pytest.fixture
def queue(deploy: Deployments) -> Iterator[Queue]:
    events = create_topic(deploy.stack.kafka.bootstrap, "events", 1, retention_ms="-1")
    flow = deploy(events, partitions=1, name="auto", micro_batch=WindowConfig(amend_ms=60_000).model_dump())
    yield Queue(flow)
    flow.stop()


def test_events_come_back_when_their_time_has_come_or_a_fix_is_configured(queue: Queue) -> None:
    flow = queue.flow
    producer = Producer({"bootstrap.servers": flow.kafka})
    for number in range(60):
        early = 60_000 if number % 6 == 1 else 0  # the event is ahead of its record
        value = value_of(number, v="1") if number % 6 == 2 else value_of(number)
        producer.produce(flow.events, value, b"S", 0, timestamp=START + 100 * number - early)
    producer.produce(flow.events, b"junk", b"S", 0, timestamp=START)
    assert producer.flush(30) == 0
    queue.rules += [
        {"reason": "undecodable", "fix": ".v |= tonumber", "backoff_s": 0},
        {"reason": "contract", "fix": ".v |= tonumber", "backoff_s": 0},
    ]
    flow.run()
    queue.once()
    assert len(queue.redriven()) == 20
    assert {one.header("retry_count") for one in queue.redriven()} == {"1"}
    flow.run()
    assert flow.query("SELECT sum(trades), sum(volume) FROM bars_ohlcv") == [(60, 60.0)]
    queue.once()
    assert len(queue.redriven()) == 20


def test_what_is_refused_again_and_again_stays_when_it_was_retried_as_often_as_is_allowed(queue: Queue) -> None:
    producer = Producer({"bootstrap.servers": queue.flow.kafka})
    producer.produce(queue.flow.events, b"junk", b"S", 0, timestamp=START)
    assert producer.flush(30) == 0
    queue.rules = [{"reason": "undecodable", "backoff_s": 0, "max_retries": 2}]
    for retries in (1, 2, 2, 2):
        queue.flow.run()
        queue.once()
        assert [one.header("retry_count") for one in queue.redriven()] == ["1", "2"][:retries]


def test_a_record_waits_for_its_retry(queue: Queue) -> None:
    queue.refuse(count=3)
    queue.rules = [{"reason": "future", "backoff_s": 86_400, "max_retries": 1}]
    code, said = queue.flow.mdp("dlq", "auto", "--once", *queue.options(1e6))
    assert code == 0, said
    assert len(queue.redriven()) == 3  # refused more than a day ago
    queue.refuse(reason="contract")
    queue.once()
    assert len(queue.redriven()) == 3  # there is no rule for these


@pytest.mark.slow
def test_processes_that_are_killed_send_each_event_once(queue: Queue) -> None:
    queue.refuse()
    for least in (60, 120):
        process = queue.start(rate=60)
        until(partial(queue.has_sent, least), "some events")
        kill(process)
    queue.once()
    assert sorted(queue.origins()) == sorted(set(queue.origins()))
    assert len(queue.origins()) == REFUSED


@pytest.mark.slow
def test_of_two_processes_one_works_until_it_is_killed_and_a_redrive_by_hand_goes_first(queue: Queue) -> None:
    queue.refuse()
    both = [queue.start(rate=1), queue.start(rate=1)]
    until(partial(queue.has_sent, 3), "some events")
    kill(both[0])
    before = len(queue.origins())
    until(lambda: len(queue.origins()) > before, "events of the other one")
    code, said = queue.flow.mdp("dlq", "redrive", "--reason", "future", "--json")
    assert code == 0, said
    assert len(queue.origins()) == len(set(queue.origins())) == REFUSED
    assert both[1].poll() is None
    both[1].terminate()
    assert both[1].wait(SECONDS) == 0


def test_a_fix_that_is_no_program_ends_in_one_line(queue: Queue) -> None:
    queue.rules = [{"reason": "contract", "fix": ".v |"}]
    code, said = queue.flow.mdp("dlq", "auto", "--once", *queue.options(1.0))
    assert code == 2
    assert "dlq.auto.rules, contract: --fix is not a valid jq program" in said
