"""Observes the results: a consumer of the signals topic, and a reader of the bars; records when each has them.

Signals: a read_committed consumer; the time of a window's last signal counts. Bars: a connection that queries due bars
by their primary key every 5 ms; while none is due it queries nothing. Ends at the end of its input.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bench.latency_feed import PROVIDER

_STEP_SECONDS: Final = 0.005
_IDLE_SECONDS: Final = 0.2
# One look-up by key for each; a join becomes that only once the table has statistics.
_QUERY: Final = """
SELECT bars.symbol, (extract(epoch FROM bars.window_end) * 1000)::bigint
FROM unnest(%s::text[], %s::bigint[]) AS due (symbol, start_ms), LATERAL (
    SELECT symbol, window_end FROM bars_ohlcv
    WHERE provider = %s AND symbol = due.symbol AND "interval" = %s
        AND window_start = to_timestamp(due.start_ms / 1000.0)
    LIMIT 1
) AS bars
"""


class _Signal(msgspec.Struct):
    ts: str


class SignalWatch:
    """Records when each signal arrives."""

    def __init__(self, brokers: str, topic: str, partitions: int) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "latency",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
        self._seen: list[tuple[int, int, bytes]] = []

    def run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            message = self._consumer.poll(_IDLE_SECONDS)
            if message is not None and message.error() is None:
                self._seen.append((time.time_ns(), message.partition() or 0, message.value() or b""))
        self._consumer.close()

    @property
    def found(self) -> list[tuple[int, str, int, int]]:
        """(partition, end of the window, when its last signal was consumed, number of signals)."""
        decode = msgspec.json.Decoder(_Signal).decode
        latest: dict[tuple[int, str], tuple[int, int]] = {}
        for at, partition, value in self._seen:
            key = (partition, decode(value).ts)
            latest[key] = (at, latest.get(key, (0, 0))[1] + 1)
        return [(*key, *counted) for key, counted in latest.items()]


class BarWatch:
    """Records when the bars of some symbols can first be read, window after window."""

    def __init__(self, conninfo: str, symbols: Iterable[str], interval: str, window_ms: int, wait_ms: int) -> None:
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._symbols, self._interval = list(symbols), interval
        self._window_ms, self._wait_ms = window_ms, wait_ms
        self._end = (_now_ms() // window_ms + 1) * window_ms
        self._due: set[tuple[str, int]] = set()
        self.found: list[tuple[str, int, int]] = []  # symbol, end of the window in milliseconds, when seen

    def run(self, ended: threading.Event) -> None:
        while not ended.is_set():
            while self._end + self._wait_ms <= _now_ms():
                self._due |= {(symbol, self._end) for symbol in self._symbols}
                self._end += self._window_ms
            if self._due:
                self._look()
                time.sleep(_STEP_SECONDS)
            else:
                ended.wait(min(_IDLE_SECONDS, max(0.0, (self._end + self._wait_ms - _now_ms()) / 1_000)))
        self._connection.close()

    def _look(self) -> None:
        symbols = [symbol for symbol, _ in self._due]
        starts = [end - self._window_ms for _, end in self._due]
        seen = self._connection.execute(_QUERY, (symbols, starts, PROVIDER, self._interval), prepare=True).fetchall()
        at = time.time_ns()
        for symbol, end in seen:
            # Windows before a symbol's first one have no bars to wait for.
            self._due = {due for due in self._due if due[0] != symbol or due[1] > end}
            self.found.append((symbol, end, at))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--conninfo", required=True)
    parser.add_argument("--symbols", required=True, help="one of each partition, separated by commas")
    parser.add_argument("--interval", required=True)
    parser.add_argument("--window-ms", type=int, required=True)
    parser.add_argument("--allow-late-ms", type=int, required=True)
    parser.add_argument("--found", type=Path, required=True, help="file for what was seen, as JSON")
    asked = parser.parse_args()
    signals = SignalWatch(asked.brokers, asked.topic, asked.partitions)
    symbols = asked.symbols.split(",")
    bars = BarWatch(asked.conninfo, symbols, asked.interval, asked.window_ms, asked.allow_late_ms)
    ended = threading.Event()
    threads = [threading.Thread(target=watch.run, args=(ended,)) for watch in (signals, bars)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    asked.found.write_text(json.dumps({"signals": signals.found, "bars": bars.found}))


if __name__ == "__main__":
    main()
