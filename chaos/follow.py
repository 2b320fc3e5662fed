"""Runs the oracle in a separate process, which reads the log while it is written."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from chaos.oracle import Expected, Oracle

_SECONDS: Final = 300.0


class Follower:
    """Returns the expected outputs at the end of the log."""

    def __init__(self, kafka: str, topic: str, partitions: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, kafka, topic, partitions)
        self._process = context.Process(target=_follow, args=arguments, name="oracle", daemon=True)
        self._process.start()

    def expected(self, ends: Mapping[int, int]) -> Expected:
        """The expected outputs of the log up to these offsets.

        Raises:
            TimeoutError: the oracle did not get that far.
        """
        self._pipe.send(dict(ends))
        if not self._pipe.poll(_SECONDS):
            raise TimeoutError("the oracle has not reached the end of the log")
        expected: Expected = self._pipe.recv()
        return expected

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


def _follow(pipe: Connection, kafka: str, topic: str, partitions: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    oracle = Oracle()
    next_offsets = dict.fromkeys(range(partitions), 0)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "chaos-oracle",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
    ends: dict[int, int] | None = None
    while ends is None or any(next_offsets[partition] < end for partition, end in ends.items()):
        for message in consumer.consume(5_000, timeout=0.2):
            partition, offset = message.partition() or 0, message.offset() or 0
            error = message.error()
            if error is None and offset == next_offsets[partition]:
                oracle.take(partition, offset, message.timestamp()[1] * 1_000_000, message.value())
                next_offsets[partition] = offset + 1
            elif error is not None and error.code() == KafkaError._AUTO_OFFSET_RESET:
                # A broker that was just killed may not have recovered the end of its log yet.
                consumer.assign([TopicPartition(topic, *place) for place in next_offsets.items()])
        if ends is None and pipe.poll():
            ends = pipe.recv()
    consumer.close()
    pipe.send(oracle.finish())
