"""The market flow for Bytewax's runner; every step writes down for which partition, and in which worker, it runs.

The file that $PLACES names gets a line `step partition process worker` for each batch; a worker is a thread.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from bytewax.dataflow import Dataflow

from flows import market
from flows.chain import Chain
from sinks.partitioned import KafkaSink, TimescaleSink
from transports.kafka.source import KafkaSource


def note(step: str, partition: int) -> None:
    with open(os.environ["PLACES"], "a") as places:
        places.write(f"{step} {partition} {os.getpid()} {threading.get_native_id()}\n")


def note_reads() -> None:
    build = KafkaSource.build_part

    def build_part(self: KafkaSource, step_id: str, *arguments: Any) -> Any:
        part = build(self, step_id, *arguments)
        read = part.next_batch

        def next_batch() -> Any:
            batches = read()
            for _, batch in batches:
                note(step_id, batch.partition)
            return batches

        part.next_batch = next_batch  # type: ignore[method-assign]
        return part

    KafkaSource.build_part = build_part  # type: ignore[method-assign]


def note_steps() -> None:
    answer = Chain.on_batch

    def on_batch(self: Chain, values: Any) -> Any:
        for batch in values:
            note("steps", batch.partition)
        return answer(self, values)

    Chain.on_batch = on_batch  # type: ignore[method-assign]


def note_writes(sink: Any) -> None:
    build = sink.build_part

    def build_part(self: Any, step_id: str, *arguments: Any) -> Any:
        part = build(self, step_id, *arguments)
        write = part.write_batch

        def write_batch(values: Any) -> None:
            for batch in values:
                note(step_id, batch.partition)
            write(values)

        part.write_batch = write_batch
        return part

    sink.build_part = build_part


def flow() -> Dataflow:
    note_reads()
    note_steps()
    note_writes(KafkaSink)
    note_writes(TimescaleSink)
    return market.flow()
