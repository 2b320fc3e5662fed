"""`python -m bench.persist`: the rate of `mdp stream persist`, compared with a plain COPY of the same rows.

Quotes and trades in envelopes of about 450 bytes with checksums, of 500 symbols, on 4 partitions each. A worker reads
them all, from its first fetch to its last commit; then what it has stored is copied, as prepared binary rows in flushes
of the same size, into a table with the same key. The median of several rounds, each on an empty database.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import meter, results
from contracts.envelope import checksum
from contracts.message import MessageType
from contracts.payloads.quotes import QUOTES_V2
from contracts.payloads.trades import TRADES_V2
from contracts.timestamps import format_timestamp
from flows.spec import PERSIST
from mdp.local import LocalStack
from mdp.runtime import worker
from sinks.databases import create, drop
from transports.kafka.source import KafkaSource

PROJECT: Final = Path(__file__).resolve().parent.parent
PARTITIONS: Final = 4
SYMBOLS: Final = 500
KINDS: Final = (TRADES_V2, QUOTES_V2)
OUTPUTS: Final = ("dlq", "late")
FLUSH: Final = 20_000
START_NS: Final = 1_760_000_000 * 10**9


@dataclass(frozen=True)
class Round:
    """Rows, and seconds of the worker and of the plain COPY; CPU seconds of the worker."""

    rows: int
    seconds: float
    cpu_s: float
    plain_seconds: float


def messages(kind: MessageType, count: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of records."""
    for number in range(count):
        symbol, price = f"S{number % SYMBOLS:03d}", 100 + number % 977 / 100
        content = (
            {"symbol": symbol, "price": price, "size": 1 + number % 9, "side": "buy", "trade_id": str(number)}
            if kind is TRADES_V2
            else {"symbol": symbol, "bid": price, "ask": price + 0.01, "bid_size": 8, "ask_size": 1 + number % 9}
        )
        payload = json.dumps(content | {"venue": "CME", "currency": "USD"}, separators=(",", ":")).encode()
        at = START_NS + number * 200_000
        head = {
            "envelope_version": "1.0",
            "event_id": f"019a29c1-8f00-7abc-8def-{number:012x}",
            "event_type": kind.event_type,
            "source_id": "bench",
            "realm": "bench",
            "region": "US",
            "schema_ref": kind.schema_ref,
            "sequence": number,
            "event_time": format_timestamp(at),
            "ingest_time": format_timestamp(at + 1_000_000),
            "checksum": checksum(payload),
        }
        yield symbol.encode(), json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"payload":' + payload + b"}"


def fill(brokers: str, count: int) -> None:
    """Writes `count` messages of each type to its topic, each symbol in one partition."""
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    names = [str(kind.topic("bench", "bench")) for kind in KINDS]
    for made in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for kind, name in zip(KINDS, names, strict=True):
        for number, (key, value) in enumerate(messages(kind, count)):
            producer.produce(name, value, key, int(key[1:]) % PARTITIONS)
            if number % 10_000 == 0:
                producer.poll(0.01)
    producer.flush()


def measure(stack: LocalStack, folder: Path, count: int, number: int) -> Round:
    """One round, on a database and outputs of its own."""
    name, owner = f"persist{number}", stack.postgres.conninfo()
    create(owner, name)
    try:
        spent = _worker(stack, folder, name)
        rows, plain = _plain(stack.postgres.conninfo(name))
        if rows != count * len(KINDS):
            raise SystemExit(f"FAILED: {rows:,} rows of {count * len(KINDS):,} messages")
        return Round(rows, spent.seconds, spent.cpu_s, plain)
    finally:
        drop(owner, name)


def _worker(stack: LocalStack, folder: Path, name: str) -> meter.Spent:
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})
    for made in admin.create_topics([NewTopic(f"{name}.{output}", PARTITIONS, 1) for output in OUTPUTS]).values():
        made.result(30)
    overrides = [
        *(f"bus.kafka.{output}_topic={name}.{output}" for output in OUTPUTS),
        f"messages.topics={json.dumps([kind.topic('bench', 'bench') for kind in KINDS])}",
        f"recovery.directory={folder / name}",
        "telemetry.metrics_port=0",
        "run.until_end=true",
    ]
    environment = {
        **os.environ,
        "KAFKA_BROKERS": stack.kafka.bootstrap,
        "DATABASE_URL": stack.postgres.url.rpartition("/")[0] + f"/{name}",
        "PGPASSFILE": str(stack.postgres.passfile),
    }
    command = [sys.executable, "-m", "bench.persist", "--worker", json.dumps(overrides)]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"FAILED: the worker ended with {done.returncode}: {done.stderr[-2_000:]}")
    return meter.spent(done.stdout)


def _plain(conninfo: str) -> tuple[int, float]:
    """Copies the stored rows into tables of the same form; returns their number, and the seconds."""
    rows, seconds = 0, 0.0
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for kind in KINDS:
            connection.execute(f"CREATE TABLE plain_{kind.table} (LIKE {kind.table} INCLUDING ALL)".encode())
            count, parts = _binary(connection, kind)
            rows += count
            began = time.perf_counter()
            for data in parts:
                _copy(connection, f"plain_{kind.table}", data)
            seconds += time.perf_counter() - began
    return rows, seconds


def _copy(connection: psycopg.Connection, table: str, data: bytes) -> None:
    query = f"COPY {table} FROM STDIN (FORMAT BINARY)".encode()
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(query) as stream:
        stream.write(data)


def _binary(connection: psycopg.Connection, kind: MessageType) -> tuple[int, list[bytes]]:
    """The number of rows, and the rows in the order in which they were stored, in flushes."""
    query = f"SELECT count(*), pg_relation_size('{kind.table}') / 8192 FROM {kind.table}".encode()
    rows, pages = connection.execute(query).fetchone() or (0, 0)
    step = max(pages * FLUSH // max(rows, 1), 1)
    return rows, [_pages(connection, str(kind.table), first, first + step) for first in range(0, pages, step)]


def _pages(connection: psycopg.Connection, table: str, first: int, end: int) -> bytes:
    where = f"ctid >= '({first},0)' AND ctid < '({end},0)'"
    query = f"COPY (SELECT * FROM {table} WHERE {where}) TO STDOUT (FORMAT BINARY)"
    with connection.cursor() as cursor, cursor.copy(query.encode()) as stream:
        return b"".join(map(bytes, stream))


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """The section of results.json."""
    rates = [one.rows / one.seconds for one in rounds]
    return {
        "rows": rounds[0].rows,
        "rows_per_s": round(statistics.median(rates)),
        "plain_copy_rows_per_s": round(statistics.median(one.rows / one.plain_seconds for one in rounds)),
        "ratio": round(statistics.median(one.plain_seconds / one.seconds for one in rounds), 3),
        "cpu_us_per_row": round(statistics.median(one.cpu_s / one.rows for one in rounds) * 1e6, 2),
        "rounds": len(rounds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500_000, help="messages of each of the two types")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker is not None:
        worker.run_process = meter.metered(worker.run_process, KafkaSource)
        sys.exit(worker.run(PERSIST, None, json.loads(asked.worker), 1))
    with tempfile.TemporaryDirectory(prefix="mdp-persist-") as folder:
        stack = LocalStack(Path(folder) / "mdp")
        try:
            stack.up(lambda _: None)
            fill(stack.kafka.bootstrap, asked.count)
            found = summary([measure(stack, Path(folder), asked.count, number) for number in range(asked.rounds)])
        finally:
            stack.remove()
    results.keep("persist", found)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
