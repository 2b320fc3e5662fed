"""`python -m bench.sink`: the cost of writing bars idempotently, compared with a plain COPY.

Rounds of 5,000 bars (500 symbols, 10 windows) each: through `TimescaleWriter` in its mode after existing rows (COPY
into a staging table, merge, progress, commit), and in its mode after new rows only (COPY into the table, progress,
commit); the first batch again, which changes nothing; and all as a plain COPY and commit of prepared rows into a table
with the same keys and checks. Medians of all rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
import psycopg

from bench import results
from contracts.batch import MicroBatch
from contracts.frames import BARS
from mdp.local import LocalStack
from sinks.connection import connect
from sinks.copy import copy_into
from sinks.merge import Target, targets
from sinks.schema.migrate import migrate
from sinks.staging import table_rows
from sinks.timescale import TimescaleWriter

SYMBOLS: Final = 500
WINDOWS: Final = 10  # in a large batch; a flush of a live flow has one
WINDOW_NS: Final = 2_000_000_000
START_NS: Final = 1_760_000_000 * 10**9
_PLAIN: Final = "plain_bars"
_WARM_UP: Final = 5  # rounds that are not measured: the server's caches, the first pages of each table


@dataclass
class Took:
    """Seconds of each round, and the client's CPU seconds for new rows."""

    plain: list[float] = field(default_factory=list)
    merge: list[float] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
    replay: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)
    flush: list[float] = field(default_factory=list)


def bars(first: int, windows: int) -> pl.DataFrame:
    """Bars of all symbols in `windows` windows, the first of which is number `first`."""
    chance = np.random.default_rng(first)
    count = SYMBOLS * windows
    start = START_NS + (first + np.arange(windows).repeat(SYMBOLS)) * WINDOW_NS
    price = chance.uniform(20, 900, count).round(4)
    values = {
        "provider": pl.repeat("synthetic", count, eager=True),
        "symbol": [f"S{number:03d}" for number in range(SYMBOLS)] * windows,
        "interval": pl.repeat("2s", count, eager=True),
        "window_start": start,
        "window_end": start + WINDOW_NS,
        "open": price,
        "high": price + 0.5,
        "low": price - 0.5,
        "close": price + 0.1,
        "volume": chance.integers(100, 9_000, count).astype(float),
        "vwap": price + chance.normal(0, 0.1, count),
        "trades": np.full(count, 20),
        "revision": np.zeros(count, np.int64),
        "offset": first * 10_000 + np.arange(count),
        "row": np.zeros(count, np.int64),
    }
    return pl.DataFrame(values, schema=BARS)


def batch(first: int, windows: int) -> MicroBatch:
    frame = bars(first, windows)
    return MicroBatch(
        topic="mdp.events", partition=0, next_offset=int(frame["offset"][-1]) + 1, results={"bars": frame}
    )


def measure(conninfo: str, rounds: int) -> Took:
    """Writes to an empty database."""
    migrate(conninfo, ())
    target, *others = targets(())
    writer = TimescaleWriter(conninfo, flow="bench", targets=[target, *others])
    took = Took()
    with connect(conninfo) as connection:
        connection.execute(f"CREATE TABLE {_PLAIN} (LIKE {target.table} INCLUDING ALL)".encode())
        for number in range(rounds + _WARM_UP):
            first = number * (2 * WINDOWS + 1)
            large = batch(first, WINDOWS), batch(first + WINDOWS, WINDOWS)
            _round(took, connection, writer, target, large, batch(first + 2 * WINDOWS, 1))
            if number + 1 == _WARM_UP:
                took = Took()
        _check(connection, target)
    writer.close()
    return took


def _round(
    took: Took,
    connection: psycopg.Connection,
    writer: TimescaleWriter,
    target: Target,
    large: tuple[MicroBatch, MicroBatch],
    small: MicroBatch,
) -> None:
    took.merge.append(_seconds(lambda: writer.write([large[0]])))  # after a replay, or at the beginning
    cpu = time.process_time()
    took.ahead.append(_seconds(lambda: writer.write([large[1]])))
    took.client.append(time.process_time() - cpu)
    took.flush.append(_seconds(lambda: writer.write([small])))
    took.replay.append(_seconds(lambda: writer.write([large[0]])))
    took.plain += [_seconds(partial(_plain, connection, table_rows(target, [one]))) for one in large]
    _plain(connection, table_rows(target, [small]))  # so that the tables stay alike


def _plain(connection: psycopg.Connection, rows: pl.DataFrame) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        copy_into(cursor, _PLAIN, rows)


def _seconds(write: Callable[[], object]) -> float:
    began = time.perf_counter()
    write()
    return time.perf_counter() - began


def _check(connection: psycopg.Connection, target: Target) -> None:
    """Checks that both tables hold the same rows, so that replays changed none."""
    for one, other in ((target.table, _PLAIN), (_PLAIN, target.table)):
        if connection.execute(f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other} LIMIT 1".encode()).fetchone():
            raise SystemExit(f"FAILED: {one} holds a row that {other} does not")


def summary(took: Took) -> dict[str, float]:
    """The section of results.json."""
    plain, merge, ahead, replay = map(statistics.median, (took.plain, took.merge, took.ahead, took.replay))
    rows = SYMBOLS * WINDOWS
    return {
        "plain_copy_rows_per_s": round(rows / plain),
        "merge_rows_per_s": round(rows / merge),
        "ratio": round(plain / merge, 3),
        "ahead_rows_per_s": round(rows / ahead),
        "replay_rows_per_s": round(rows / replay),
        "client_us_per_row": round(statistics.median(took.client) / rows * 1e6, 2),
        "flush_500_ms": round(statistics.median(took.flush) * 1e3, 2),
        "rounds": len(took.merge),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mdp-sink-") as folder:
        stack = LocalStack(Path(folder) / "mdp")
        try:
            stack.postgres.start()
            found = summary(measure(stack.postgres.conninfo(), asked.rounds))
        finally:
            stack.remove()
    results.keep("sink", found)
    _show(found)


def _show(found: dict[str, float]) -> None:
    rows = (
        ("plain COPY, rows/s", f"{found['plain_copy_rows_per_s']:,}", ""),
        ("COPY and merge, rows/s", f"{found['merge_rows_per_s']:,}", ""),
        ("share of the plain COPY's rate", f"{found['ratio']:.2f}", "target >= 0.5"),
        ("nothing but new rows, rows/s", f"{found['ahead_rows_per_s']:,}", ""),
        ("replay that changes nothing, rows/s", f"{found['replay_rows_per_s']:,}", "target: above COPY and merge"),
        ("client CPU per row, µs", f"{found['client_us_per_row']:.2f}", ""),
        ("flush of 500 bars, ms", f"{found['flush_500_ms']:.1f}", ""),
    )
    for title, value, target in rows:
        print(f"{title:40}{value:>12}  {target}")


if __name__ == "__main__":
    main()
