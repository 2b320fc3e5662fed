"""Polls the progress of the log and of the pipeline from outside."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from typing import Final

import psycopg
from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # its own package does not export it to type checkers

from chaos.market import PARTITIONS
from chaos.pipeline import Pipeline

_LOOK_SECONDS: Final = 0.2
_BEHIND_SECONDS: Final = 2.0  # a pipeline that keeps up has written what the log has held this long
_QUERY: Final = "SELECT partition, next_offset FROM progress WHERE topic = %s"


class Watch:
    """A thread that records its observations: seconds of the monotonic clock, and sums over the partitions."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline, self._log = pipeline, pipeline.case.log
        self._admin: AdminClient | None = None
        self._ended = threading.Event()
        self._seen_at: list[float] = []
        self._seen_end: list[int] = []
        self.ends = dict.fromkeys(range(PARTITIONS), 0)
        self.written = dict.fromkeys(range(PARTITIONS), 0)
        self.longest_stall = 0.0
        self._moved_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops polling, after a last poll of what is written."""
        self._ended.set()
        self._thread.join()
        self._poll_database()

    @property
    def lag(self) -> int:
        """Records that are not written yet."""
        return sum(self.ends.values()) - sum(self.written.values())

    def has_written_up_to(self, moment: float) -> bool:
        """Whether everything that the log held at a moment is written, known after a later poll of the log."""
        place = bisect_right(self._seen_at, moment)
        return place < len(self._seen_end) and sum(self.written.values()) >= self._seen_end[place]

    def has_caught_up_since(self, fault: float) -> bool:
        """Whether everything that the log held two seconds ago, and a second after the fault, is written."""
        return self.has_written_up_to(max(fault + 1, time.monotonic() - _BEHIND_SECONDS))

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            before = self.lag, sum(self.written.values())
            self._poll_log()
            self._poll_database()
            self._judge(*before)

    def _poll_log(self) -> None:
        self._admin = self._admin or AdminClient({"bootstrap.servers": self._pipeline.kafka, "log_level": 0})
        wanted = {TopicPartition(self._log, partition): OffsetSpec.latest() for partition in range(PARTITIONS)}
        try:
            asked = self._admin.list_offsets(
                wanted, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=1.0
            )
            found = {place.partition: future.result().offset for place, future in asked.items()}
        except KafkaException:
            self._admin = None  # one from before the broker's restart may be refused for ever
            return
        self.ends = {partition: max(end, self.ends[partition]) for partition, end in found.items()}
        self._seen_at.append(time.monotonic())
        self._seen_end.append(sum(self.ends.values()))

    def _poll_database(self) -> None:
        try:
            with psycopg.connect(self._pipeline.conninfo, connect_timeout=2) as connection:
                self.written |= dict(connection.execute(_QUERY, [self._log]).fetchall())
        except psycopg.Error:
            return

    def _judge(self, lag: int, written: int) -> None:
        """Measures stalls: time in which there is something to write, but nothing is written."""
        now = time.monotonic()
        if not lag or sum(self.written.values()) > written:
            self._moved_at = now
        self.longest_stall = max(self.longest_stall, now - self._moved_at)
