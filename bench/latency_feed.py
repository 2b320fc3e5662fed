"""The load of the latency measurement: a market in real time, and the send times of events that close windows.

Event number n is due at the start + n / rate, and that is its `src_ts`, to the microsecond. The values are assembled
from prepared parts, so that the load takes little of a machine that also runs the pipeline.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from confluent_kafka import Producer

from transports.kafka.partitioner import Partitioner

PROVIDER: Final = "bench"
_PRICES: Final = 256  # of each symbol, repeated
_TICK_SECONDS: Final = 0.001
_MICROS: Final = 1_000_000
# While the maximum of requests is in flight, librdkafka's thread spins, and takes half a core of the two from the
# pipeline: idempotence would allow five requests.
_PRODUCER: Final = {"max.in.flight": 200, "acks": "all", "queue.buffering.max.messages": 1_000_000}


@dataclass(frozen=True)
class Part:
    """The constant parts of a symbol's events; `tails` has one end for each price."""

    key: bytes
    partition: int
    head: bytes
    tails: list[bytes]


def partition_of(symbols: list[str], partitions: int) -> dict[str, int]:
    """The partition of each symbol."""
    assigned = Partitioner(partitions).assign(pl.Series(symbols, dtype=pl.String))
    return dict(zip(symbols, assigned, strict=True))


def market(symbols: list[str], partitions: int) -> list[Part]:
    """The symbols in the order in which they trade, round after round."""
    shuffled = random.Random(1)
    placed = partition_of(symbols, partitions)
    parts = [_part(symbol, placed[symbol], shuffled) for symbol in symbols]
    shuffled.shuffle(parts)
    return parts


def _part(symbol: str, partition: int, chance: random.Random) -> Part:
    head = f'{{"ver":1,"provider":"{PROVIDER}","symbol":"{symbol}","kind":"tick","interval":"tick","src_ts":"'
    tails, price = [], chance.uniform(20, 900)
    for _ in range(_PRICES):
        price *= 1 + chance.gauss(0, 0.0005)
        c, v = round(price, 4), float(chance.randint(1, 200))
        tails.append(f',"o":{c},"h":{c},"l":{c},"c":{c},"v":{v},"seq":0,"event_id":"{PROVIDER}|{symbol}|'.encode())
    return Part(symbol.encode(), partition, head.encode(), tails)


@dataclass
class Feed:
    """Sends `rate` events per second.

    Attributes:
        start_us: when event number 0 is due.
        wait_ns: allow_late_ms: a window is closed by the first event that is at least this much newer than its end.
        closers: (partition, end of the window in nanoseconds, when produce() was called) of each closed window.
    """

    producer: Producer
    topic: str
    parts: list[Part]
    partitions: int
    rate: int
    start_us: int
    window_ns: int
    wait_ns: int

    def __post_init__(self) -> None:
        self.sent = 0
        self.closers: list[tuple[int, int, int]] = []
        self._open: set[int] = set()
        self._end = (self.start_us * 1_000 // self.window_ns + 1) * self.window_ns

    def run(self, seconds: float) -> float:
        """Sends for `seconds`; returns how many seconds it really took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            self.send(self._due())
            self.producer.poll(0)
            time.sleep(_TICK_SECONDS)
        return time.monotonic() - began

    def _due(self) -> int:
        return (time.time_ns() // 1_000 - self.start_us) * self.rate // _MICROS

    def send(self, due: int) -> None:
        """Sends the events before number `due`."""
        produce, topic, parts, number = self.producer.produce, self.topic, self.parts, len(self.parts)
        boundary = (self._end + self.wait_ns) // 1_000
        for n in range(self.sent, due):
            part = parts[n % number]
            time_us = self.start_us + n * _MICROS // self.rate
            content = value(part, time_us, n // number)
            if time_us >= boundary:
                boundary = self._closes(part.partition, boundary)
            produce(topic, content, part.key, part.partition)
        self.sent = max(self.sent, due)

    def _closes(self, partition: int, boundary: int) -> int:
        """Notes the time if this is the partition's first event past the boundary; returns the next boundary."""
        self._open = self._open or set(range(self.partitions))
        if partition in self._open:
            self._open.remove(partition)
            self.closers.append((partition, self._end, time.time_ns()))
        if self._open:
            return boundary
        self._end += self.window_ns
        return (self._end + self.wait_ns) // 1_000


@functools.lru_cache(maxsize=2)
def _second(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.").encode()


def value(part: Part, time_us: int, step: int) -> bytes:
    """The symbol's event at a time in microseconds, Event v1 as JSON; `step` counts its events, and sets the price."""
    second, micros = divmod(time_us, _MICROS)
    at = b"%s%06dZ" % (_second(second), micros)
    return b'%s%s","ingest_ts":"%s"%s%s|0"}' % (part.head, at, at, part.tails[step % _PRICES], at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--symbols", required=True, help="separated by commas")
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--window-ms", type=int, required=True)
    parser.add_argument("--allow-late-ms", type=int, required=True)
    parser.add_argument("--linger-ms", type=float, required=True)
    parser.add_argument("--found", type=Path, required=True, help="file for what was sent, as JSON")
    asked = parser.parse_args()
    parts = market(asked.symbols.split(","), asked.partitions)
    producer = Producer({"bootstrap.servers": asked.brokers, "linger.ms": asked.linger_ms, **_PRODUCER})
    producer.list_topics(asked.topic, timeout=30)
    gc.freeze()
    gc.disable()  # nothing here has cycles
    feed = Feed(
        producer,
        asked.topic,
        parts,
        asked.partitions,
        asked.rate,
        time.time_ns() // 1_000,
        asked.window_ms * 1_000_000,
        asked.allow_late_ms * 1_000_000,
    )
    cpu = time.process_time()
    seconds = feed.run(asked.seconds)
    cpu = time.process_time() - cpu
    left = producer.flush(30)
    found = {"sent": feed.sent - left, "seconds": seconds, "cpu_s": cpu, "closers": feed.closers}
    asked.found.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
