"""A worker that records when each of its steps begins and ends for a closed window; see bench.latency_breakdown.

    python -m bench.latency --steps --rates 10000 --seconds 20

It costs the worker some microseconds per batch, so such runs are for inspection only.
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from confluent_kafka import Producer

from contracts.batch import MicroBatch
from contracts.record import Fetch, Records
from features.bars.windows import Windows
from features.rolling.rolling import RollingFeatures
from flows import endpoints
from flows.settings import Settings
from flows.spec import MARKET
from inference.engine import Inference
from mdp.runtime.worker import run
from sinks.timescale import TimescaleWriter
from transports.kafka.partition import KafkaPartition
from transports.kafka.source import Decode
from transports.kafka.transactional_writer import TransactionalWriter

_notes: list[tuple[str, int, int, int]] = []  # step, partition, end of the window, when; nanoseconds
_read: dict[int, tuple[int, int]] = {}  # by partition: when the reading of its latest batch began and ended
_records: dict[int, list[Records]] = {}  # by partition: records of its latest batch

_Machine = TypeVar("_Machine")
_Result = TypeVar("_Result")
_Step = Callable[[_Machine, MicroBatch], MicroBatch]
_Write = Callable[[_Machine, Sequence[MicroBatch]], _Result]
_Read = Callable[[KafkaPartition], Iterable[tuple[str, MicroBatch]]]


def _note(step: str, batch: MicroBatch, at: int) -> None:
    _notes.extend((step, batch.partition, end, at) for end in batch.bars["window_end"].unique())


def _timed_step(step: str, run: _Step[_Machine]) -> _Step[_Machine]:
    @functools.wraps(run)
    def timed(machine: _Machine, batch: MicroBatch) -> MicroBatch:
        began = time.time_ns()
        result = run(machine, batch)
        ended = time.time_ns()
        if result.bars.height:
            _note(step, result, began)
            _note(f"{step}.done", result, ended)
            if step == "windows":
                _note_reading(result)
        return result

    return timed


def _note_reading(batch: MicroBatch) -> None:
    began, ended = _read[batch.partition]
    _note("read", batch, began)
    _note("read.done", batch, ended)
    causes = dict(batch.bars.select("window_end", "offset").iter_rows())
    for records in _records[batch.partition]:
        for end, offset in causes.items():
            times = records.times()[records.offsets == offset].tolist()
            _notes.extend(("appended", batch.partition, end, time_ns) for time_ns in times)


def _timed_write(step: str, write: _Write[_Machine, _Result]) -> _Write[_Machine, _Result]:
    @functools.wraps(write)
    def timed(writer: _Machine, batches: Sequence[MicroBatch]) -> _Result:
        began = time.time_ns()
        result = write(writer, batches)
        ended = time.time_ns()
        for batch in batches:
            if batch.bars.height:
                _note(step, batch, began)
                _note(f"{step}.done", batch, ended)
        return result

    return timed


class _TimedProducer:
    """A producer that records when a transaction's commit begins and ends."""

    def __init__(self, producer: Producer, written: list[int]) -> None:
        self._producer, self._written = producer, written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._producer, name)

    def commit_transaction(self, *given: float) -> None:
        self._written.append(time.time_ns())
        self._producer.commit_transaction(*given)
        self._written.append(time.time_ns())


def _timed_commit(write: _Write[TransactionalWriter, None]) -> _Write[TransactionalWriter, None]:
    @functools.wraps(write)
    def timed(writer: TransactionalWriter, batches: Sequence[MicroBatch]) -> None:
        written: list[int] = []
        plain = writer._producer
        if plain is not None:
            writer._producer = cast(Producer, _TimedProducer(plain, written))
        try:
            write(writer, batches)
        finally:
            if isinstance(writer._producer, _TimedProducer):
                writer._producer = plain
            for batch in batches:
                for step, at in zip(("commit", "committed"), written, strict=False):
                    _note(step, batch, at)

    return timed


def _timed_read(next_batch: _Read) -> _Read:
    @functools.wraps(next_batch)
    def timed(partition: KafkaPartition) -> Iterable[tuple[str, MicroBatch]]:
        began = time.time_ns()
        items = next_batch(partition)
        for _, batch in items:
            _read[batch.partition] = began, time.time_ns()
        return items

    return timed


def _kept(parts: Iterable[Fetch]) -> Iterator[Fetch]:
    records: list[Records] = []
    for part in parts:
        _records[part.partition] = records
        records.append(part.records)
        yield part


def _noting_records(events: Callable[[Settings], Decode]) -> Callable[[Settings], Decode]:
    def decoder(settings: Settings) -> Decode:
        decode = events(settings)
        return lambda parts: decode(_kept(parts))

    return decoder


def _instrument() -> None:
    points: list[tuple[object, str, Callable[..., object]]] = [
        (endpoints, "events", _noting_records),
        (KafkaPartition, "next_batch", _timed_read),
        (Windows, "step", functools.partial(_timed_step, "windows")),
        (RollingFeatures, "step", functools.partial(_timed_step, "rolling")),
        (Inference, "step", functools.partial(_timed_step, "inference")),
        (TransactionalWriter, "write", functools.partial(_timed_write, "kafka")),
        (TransactionalWriter, "_write", _timed_commit),
        (TimescaleWriter, "write", functools.partial(_timed_write, "timescale")),
    ]
    for owner, method, wrap in points:
        setattr(owner, method, wrap(getattr(owner, method)))


def main() -> None:
    trace, *overrides = sys.argv[1:]
    _instrument()
    code = run(MARKET, None, overrides, workers=1)
    Path(trace).write_text(json.dumps(_notes))
    sys.exit(code)


if __name__ == "__main__":
    main()
