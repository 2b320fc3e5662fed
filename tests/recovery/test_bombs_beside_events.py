"""Records that would become large, beside 20,000 good events a second: the worker stays small, and keeps up."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.codec.bombs import BOMBS
from tests.forked import Process
from tests.harness import Deployment, Deployments, create_topic, until

PARTITIONS, RATE, SECONDS = 4, 20_000, 40
LARGEST = 4_200_000  # bytes of a record
MOST_RESIDENT = 1_500_000_000


class Watch:
    """How much memory a worker has at most, and how long at most the log is ahead of what came of it."""

    def __init__(self, flow: Deployment, worker: Process) -> None:
        self._flow, self._status = flow, Path(f"/proc/{worker.pid}/status")
        self._client = Consumer({"bootstrap.servers": flow.kafka, "group.id": "watch"})
        self._ends: deque[tuple[float, int]] = deque()  # when the log had which length
        self.resident, self.delayed, self.is_all = 0, 0.0, False

    def look(self) -> None:
        """Notes both; afterwards `is_all` says whether all of the log has been turned into rows."""
        now, done = time.monotonic(), self._flow.progress
        places = (TopicPartition(self._flow.events, partition) for partition in range(PARTITIONS))
        self._ends.append((now, sum(self._client.get_watermark_offsets(place, timeout=10)[1] for place in places)))
        while self._ends and self._ends[0][1] <= done:
            self._ends.popleft()
        self.is_all = not self._ends
        self.delayed = max(self.delayed, now - self._ends[0][0] if self._ends and done else 0.0)
        self.resident = max(self.resident, 1024 * int(self._status.read_text().split("VmRSS:")[1].split()[0]))


def bombs() -> Iterator[tuple[bytes, list[tuple[str, str | bytes | None]] | None]]:
    """(value, headers) of each, for ever."""
    made = [bomb() for bomb in BOMBS.values()]
    return cycle((bomb.payload or b"", bomb.headers()) for bomb in made)


@pytest.mark.slow
def test_the_worker_stays_small_and_counts_every_good_event(
    deploy: Deployments, record_testsuite_property: Callable[[str, object], None]
) -> None:
    kafka = deploy.stack.kafka.bootstrap
    flow = deploy(create_topic(kafka, "bombs", PARTITIONS, max_message_bytes=str(LARGEST)), name="bombs")
    coming, sent = bombs(), 0
    sender = Producer({"bootstrap.servers": kafka, "message.max.bytes": LARGEST})
    watch = Watch(flow, worker := flow.start())
    until(flow.connections, "the worker")
    options = ("--provider", "synthetic", "--rate", str(RATE), "--seconds", str(SECONDS))
    feed = flow.command("stream", "produce", *options)

    def has_ended() -> bool:
        nonlocal sent
        value, headers = next(coming)
        sender.produce(flow.events, value, b"bomb", sent % PARTITIONS, headers=headers)
        sender.flush(10)
        sent += 1
        watch.look()
        return feed.poll() is not None

    def has_come_to_the_end() -> bool:
        watch.look()
        return watch.is_all

    until(has_ended, "the end of the feed")
    until(has_come_to_the_end, "the end of the log")
    record_testsuite_property("seconds behind at most", watch.delayed)
    record_testsuite_property("bytes resident at most", watch.resident)
    assert worker.poll() is None
    assert watch.resident < MOST_RESIDENT
    assert sent > len(BOMBS)
    assert flow.query("SELECT sum(accepted + amending + duplicate + late + heartbeat)::bigint FROM progress") == [
        (flow.progress - sent,)
    ]
