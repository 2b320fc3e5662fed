"""`python -m bench.latency_floor`: the minimum latency on a machine, as a worker of the latency measurement.

One consumer waits for events, reads their time and symbol, and computes nothing. When a window closes on a partition, a
signal is written to its topic in a transaction, and a bar of each symbol to PostgreSQL by COPY and commit, as mdp
writes them; but nothing is deduplicated, merged or saved, and the values of bars are invented beforehand. So only the
time of Kafka, of PostgreSQL, and of the two cores shared with the load is left.
"""

from __future__ import annotations

import argparse
import gc
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Final

import msgspec
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, Producer, TopicPartition

from bench.latency_feed import PROVIDER
from contracts.timestamps import format_timestamp, parse_timestamp

_MANY: Final = 10_000
_SECONDS: Final = 30.0
_EVENTS: Final = "mdp.events"
_COPY: Final = """
COPY bars_ohlcv (provider, symbol, "interval", window_start, window_end, open, high, low, close, volume, vwap, trades,
    revision, source_topic, partition, source_offset, source_row) FROM STDIN
"""
_MADE_UP: Final = "1\t2\t1\t1\t3\t1\t4\t0"

Close = tuple[int, int]  # partition, and the end of the window in nanoseconds


class Event(msgspec.Struct):
    src_ts: str
    symbol: str


class Closes:
    """The closed windows of each partition, and its symbols."""

    def __init__(self, window_ns: int, wait_ns: int) -> None:
        self._window_ns, self._wait_ns = window_ns, wait_ns
        self._decode = msgspec.json.Decoder(Event).decode
        self._ends: dict[int, int] = {}
        self.symbols: defaultdict[int, set[str]] = defaultdict(set)

    def of(self, messages: Sequence[Message]) -> Iterator[Close]:
        newest = {}
        for message in messages:
            event, partition = self._decode(message.value() or b""), message.partition() or 0
            self.symbols[partition].add(event.symbol)
            newest[partition] = event.src_ts
        for partition, src_ts in newest.items():
            yield from self._passed(partition, parse_timestamp(src_ts) - self._wait_ns)

    def _passed(self, partition: int, watermark: int) -> Iterator[Close]:
        end = self._ends.setdefault(partition, (watermark // self._window_ns + 1) * self._window_ns)
        while end <= watermark:
            yield partition, end
            end = self._ends[partition] = end + self._window_ns


def signals(brokers: str, partition: int) -> Callable[[Sequence[Close]], None]:
    """Writes a signal for each close."""
    options = {"transactional.id": f"floor-{partition}", "linger.ms": 0, "retry.backoff.ms": 5}
    producer = Producer({"bootstrap.servers": brokers, **options})
    producer.init_transactions(_SECONDS)

    def write(closes: Sequence[Close]) -> None:
        producer.begin_transaction()
        for _, end in closes:
            producer.produce("mdp.signals", msgspec.json.encode({"ts": format_timestamp(end)}), partition=partition)
        producer.commit_transaction(_SECONDS)

    return write


def bars(conninfo: str, interval: str, window_ns: int, found: Closes) -> Callable[[Sequence[Close]], None]:
    """Writes a bar of each symbol for each close."""
    connection = psycopg.connect(conninfo, autocommit=True)

    def rows(partition: int, end: int) -> Iterator[str]:
        span = "\t".join(datetime.fromtimestamp(at / 1e9, UTC).isoformat() for at in (end - window_ns, end))
        for symbol in found.symbols[partition]:
            yield f"{PROVIDER}\t{symbol}\t{interval}\t{span}\t{_MADE_UP}\t{_EVENTS}\t{partition}\t0\t0\n"

    def write(closes: Sequence[Close]) -> None:
        with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write("".join(row for close in closes for row in rows(*close)))

    return write


def started(write: Callable[[Sequence[Close]], None]) -> SimpleQueue[Close]:
    """Starts a thread that writes what is queued, all that has accumulated at once."""
    queue: SimpleQueue[Close] = SimpleQueue()

    def run() -> None:
        while True:
            closes = [queue.get()]
            while not queue.empty():
                closes.append(queue.get())
            write(closes)

    threading.Thread(target=run, daemon=True).start()
    return queue


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--conninfo", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--interval", required=True)
    parser.add_argument("--window-ms", type=int, required=True)
    parser.add_argument("--allow-late-ms", type=int, required=True)
    asked = parser.parse_args()
    window_ns = asked.window_ms * 1_000_000
    found = Closes(window_ns, asked.allow_late_ms * 1_000_000)
    topics = [started(signals(asked.brokers, partition)) for partition in range(asked.partitions)]
    database = started(bars(asked.conninfo, asked.interval, window_ns, found))
    consumer = Consumer({"bootstrap.servers": asked.brokers, "group.id": "floor"})
    consumer.assign([TopicPartition(_EVENTS, partition, OFFSET_BEGINNING) for partition in range(asked.partitions)])
    gc.freeze()
    sys.setswitchinterval(0.000_5)
    while True:
        first = consumer.poll(1.0)
        if first is None:
            continue
        for partition, end in found.of([first, *consumer.consume(_MANY, 0)]):
            topics[partition].put((partition, end))
            database.put((partition, end))


if __name__ == "__main__":
    main()
