"""Hostile records among the load, malformed or with huge decoded sizes: each must be refused exactly once."""

from __future__ import annotations

import random
import threading
from typing import Final

import pyarrow as pa
from confluent_kafka import Producer

from chaos.market import PARTITIONS
from contracts.record import ARROW, CONTENT_TYPE, Headers

_SECONDS: Final = 0.5  # between two of them
_MANY: Final = 200_000  # rows, within the limit
_TOO_MANY: Final = 1_000_000


class Poison:
    """A thread that sends them until it is stopped, to random partitions at random times given by the seed."""

    def __init__(self, kafka: str, topic: str, seed: int) -> None:
        self._producer = Producer({"bootstrap.servers": kafka, "log_level": 0})
        self._topic, self._draw = topic, random.Random(seed)  # noqa: S311 - to be repeated
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poison", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        self._producer.flush(30)

    def _run(self) -> None:
        records = hostile_records()
        while not self._ended.wait(_SECONDS):
            value, content_type = self._draw.choice(records)
            headers: Headers = [(CONTENT_TYPE, content_type.encode())] if content_type else []
            partition = self._draw.randrange(PARTITIONS)
            self._producer.produce(self._topic, value, b"poison", partition, headers=headers)
            self._producer.poll(0)


def hostile_records() -> list[tuple[bytes, str]]:
    """Values and their content types."""
    names = pa.DictionaryArray.from_arrays(pa.array([0] * _MANY, pa.int8()), pa.array(["x" * 4_000]))
    written_out = _stream({"symbol": names})
    return [
        (b"", ""),
        (b"\x00\xff" * 500, ""),
        (b"[" * 50_000, ""),
        (b'{"ver": 1, "provider": "' + b"p" * 100_000, ""),
        (b"\xff" * 1_000, ARROW),
        (written_out[: len(written_out) // 2], ARROW),
        (written_out, ARROW),  # 800 MB
        (_stream({"unpacked": pa.array([bytes(1_000)] * _MANY)}), ARROW),  # 200 MB
        (_stream({"nothing": pa.nulls(_TOO_MANY)}), ARROW),
    ]


def _stream(columns: dict[str, pa.Array]) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.RecordBatch.from_pydict(columns)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    value: bytes = sink.getvalue().to_pybytes()
    return value
