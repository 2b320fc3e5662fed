"""The market flow for Bytewax's runner; every step writes down for which partition, and in which worker, it runs.

The file that $PLACES names gets a line `step partition process worker` for each batch; a worker is a thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from contracts.batch import MicroBatch
from flows import market
from flows.chain import Chain
from sinks.partitioned import KafkaSink, TimescaleSink
from transports.kafka.partition import KafkaPartition
from transports.kafka.source import KafkaSource

PATCH = pytest.MonkeyPatch()


def note(step: str, partition: int) -> None:
    with open(os.environ["PLACES"], "a") as places:
        places.write(f"{step} {partition} {os.getpid()} {threading.get_native_id()}\n")


def note_reads() -> None:
    build = KafkaSource.build_part

    def build_part(self: KafkaSource, step_id: str, *arguments: Any) -> KafkaPartition:
        part = build(self, step_id, *arguments)
        read = part.next_batch

        def next_batch() -> Iterable[tuple[str, MicroBatch]]:
            batches = read()
            for _, batch in batches:
                note(step_id, batch.partition)
            return batches

        PATCH.setattr(part, "next_batch", next_batch)
        return part

    PATCH.setattr(KafkaSource, "build_part", build_part)


def note_steps() -> None:
    answer = Chain.on_batch

    def on_batch(self: Chain, values: list[MicroBatch]) -> tuple[Iterable[MicroBatch], bool]:
        for batch in values:
            note("steps", batch.partition)
        return answer(self, values)

    PATCH.setattr(Chain, "on_batch", on_batch)


def note_writes(sink: type[FixedPartitionedSink[MicroBatch, Any]]) -> None:
    build = sink.build_part

    def build_part(
        self: FixedPartitionedSink[MicroBatch, Any], step_id: str, *arguments: Any
    ) -> StatefulSinkPartition[MicroBatch, Any]:
        part = build(self, step_id, *arguments)
        write = part.write_batch

        def write_batch(values: list[MicroBatch]) -> None:
            for batch in values:
                note(step_id, batch.partition)
            write(values)

        PATCH.setattr(part, "write_batch", write_batch)
        return part

    PATCH.setattr(sink, "build_part", build_part)


def flow() -> Dataflow:
    note_reads()
    note_steps()
    note_writes(KafkaSink)
    note_writes(TimescaleSink)
    return market.flow()
