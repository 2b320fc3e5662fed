"""History in TimescaleDB's columnstore: three hours of it, read, written again, corrected and repaired."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from contracts import frames
from contracts.batch import MicroBatch
from sinks import late_repairs
from sinks.late_repairs import POSITION
from sinks.merge import targets
from sinks.queries import stored
from sinks.queries.live import LiveReader, Series
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.conftest import TIMESCALE, empty_timescale, needs_timescale
from tests.sinks.database_rows import SECOND, T0, bar, batch, select

pytestmark = needs_timescale

WINDOWS = 3 * 60 * 30
SYMBOLS = [f"S{number}" for number in range(8)]
NAMES = ("rsi",)
START = T0 // (3600 * SECOND) * 3600 * SECOND


def history(**changes: object) -> MicroBatch:
    """Every bar, every features row and every tenth signal of three hours; some of the features are still unknown."""
    rows = pl.DataFrame({"k": range(WINDOWS)}).join(pl.DataFrame({"symbol": SYMBOLS}), how="cross")
    k, ts = pl.col("k").cast(pl.Int64), START + pl.col("k").cast(pl.Int64) * 2 * SECOND
    common = {"provider": pl.lit("sim"), "interval": pl.lit("2s"), "offset": k, "row": pl.lit(0, pl.Int64)}
    price = {name: pl.lit(bar()[name]) for name in ("open", "high", "low", "close", "volume", "vwap")}
    made = rows.with_columns(
        **common, **price, ts=ts, window_start=ts, window_end=ts + 2 * SECOND, trades=pl.lit(3), revision=pl.lit(0),
        rsi=pl.when(k % 100 > 0).then(k * 0.5), signal_id=pl.format("{}|{}", "symbol", "k"), name=pl.lit("cross"),
        value=pl.lit(1.0), score=pl.lit(0.5), adapter=pl.lit("rules"), meta=pl.lit("{}"),
    ).with_columns(**{name: pl.lit(value) for name, value in changes.items()})  # fmt: skip
    features, signals = frames.features_schema(NAMES), pl.Schema(frames.SIGNALS)
    return MicroBatch(
        topic="ticks",
        partition=0,
        next_offset=WINDOWS,
        results={
            "bars": made.select(pl.col(name).cast(kind) for name, kind in pl.Schema(frames.BARS).items()),
            "features": made.select(pl.col(name).cast(kind) for name, kind in features.items()),
            "signals": made.filter(k % 10 == 0).select(pl.col(name).cast(kind) for name, kind in signals.items()),
        },
    )


def at(k: int, symbol: str, **changes: object) -> dict[str, object]:
    """One of its bars."""
    start = START + k * 2 * SECOND
    return bar(symbol, k, **{"window_start": start, "window_end": start + 2 * SECOND} | changes)


def compress(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as owner:
        for table in ("bars_ohlcv", "features", "signals"):
            for (chunk,) in owner.execute("SELECT show_chunks(%s::regclass)::text", [table]).fetchall():
                owner.execute("CALL convert_to_columnstore(%s::regclass, if_not_columnstore => true)", [chunk])


def bytes_outside(database: str, *tables: str) -> int:
    """What rows of these tables take outside of the columnstore, which each of their chunks is in."""
    names = ", ".join(f"'{table}'" for table in tables or ("bars_ohlcv", "features", "signals"))
    chunks = f"unnest(ARRAY[{names}]::regclass[]) AS t (name), show_chunks(name) AS c (chunk)"
    query = f"SELECT sum(pg_relation_size(chunk)) FROM {chunks}"
    return int(select(database, query)[0][0])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with empty_timescale() as conninfo:
        migrate(conninfo, NAMES)
        with closing(TimescaleWriter(conninfo, flow="f", targets=targets(NAMES))) as writer:
            writer.write([history()])
        compress(conninfo)
        yield conninfo


def test_series_and_spans_are_read_from_it(server: str) -> None:
    with closing(LiveReader(server)) as reader:
        assert reader.series() == [Series("sim", symbol, "2s") for symbol in SYMBOLS]
        bars = reader.bars([Series("sim", "S3", "2s")], 300)[Series("sim", "S3", "2s")]
        assert [one.time * 10**6 for one in bars] == [START + (WINDOWS - 300 + k) * 2 * SECOND for k in range(300)]
        assert len(reader.recent_signals(30)) == 30
    assert stored.latest_bars(server)["symbol"].to_list() == SYMBOLS
    assert stored.features(server, "S1", limit=WINDOWS)["rsi"].null_count() == WINDOWS // 100


def test_what_changes_nothing_leaves_it_alone(server: str) -> None:
    before = bytes_outside(server)
    with closing(TimescaleWriter(server, flow="again", targets=targets(NAMES))) as writer:
        result = writer.write([history()])
    assert result.changed == {"bars_ohlcv": 0, "features": 0, "signals": 0}
    assert (result.conflicts, result.refused) == (0, [])
    assert bytes_outside(server) == before == 0


def test_bars_of_another_partition_are_counted_and_left(server: str) -> None:
    with closing(TimescaleWriter(server, flow="moved", targets=targets(NAMES))) as writer:
        result = writer.write([batch(bars=[at(5, "S1", revision=9), at(6, "S1")], partition=3, next_offset=7)])
    assert (result.changed["bars_ohlcv"], result.conflicts) == (0, 2)
    assert "from (ticks,0), now from (ticks,3)" in result.conflict_example
    assert bytes_outside(server) == 0


def test_what_is_corrected_changes_and_nothing_else(server: str) -> None:
    again = history()
    assert again.features is not None
    known = again.features.with_columns(rsi=pl.col("rsi").fill_null(-1.0))
    amended = [at(k, "S2", revision=1, close=99.0) for k in range(0, WINDOWS, 900)]
    bars = pl.concat([again.bars, pl.DataFrame(amended, schema=frames.BARS)])
    with closing(TimescaleWriter(server, flow="more", targets=targets(NAMES))) as writer:
        result = writer.write([replace(again, results={"bars": bars, "features": known})])
        result.add(writer.write([batch(bars=[at(WINDOWS, "S2")], next_offset=WINDOWS + 1)]))
    assert result.changed == {"bars_ohlcv": 7, "features": 54 * len(SYMBOLS)}
    assert select(server, "SELECT count(*), sum(revision) FROM bars_ohlcv WHERE close = 99") == [(6, 6)]
    assert stored.totals(server)["bars_ohlcv"] == WINDOWS * len(SYMBOLS) + 1
    assert select(server, "SELECT count(*) FROM features WHERE rsi IS NULL") == [(0,)]


def test_a_repair_puts_back_what_it_took_out_and_rollups_hold_it(server: str) -> None:
    view = "SELECT max(high) FROM bars_5m WHERE symbol = 'S4'"
    compress(server)
    with psycopg.connect(server, autocommit=True) as owner:
        owner.execute("CALL refresh_continuous_aggregate('bars_5m', NULL, NULL)")
    repaired = batch(bars=[at(k, "S4", revision=2, high=500.0) for k in range(0, WINDOWS, 50)])
    result = late_repairs.write(server, "late", repaired, POSITION.to_frame())
    assert result.changed["bars_ohlcv"] == WINDOWS // 50
    assert bytes_outside(server, "bars_ohlcv") > 0
    assert select(server, view) == [(12.0,)]
    first = datetime.fromtimestamp(START // SECOND, UTC)
    with psycopg.connect(TIMESCALE) as elsewhere:  # in another database of the server, something goes on
        elsewhere.execute("SELECT pg_current_xact_id()")
        late_repairs.settle(server, first, first + timedelta(hours=3))
    assert bytes_outside(server, "bars_ohlcv") == 0
    assert select(server, view) == [(500.0,)]
