from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import polars as pl
import psycopg
import pytest

from contracts.batch import Outcomes
from sinks.merge import targets
from sinks.queries import stored
from sinks.schema.job_runs import Ending, finish_run, start_run
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import T0, bar, batch, feature, select, signal

START = datetime.fromtimestamp(T0 // 10**9, UTC)
RUN = UUID(int=7)


@pytest.fixture
def filled(database: str) -> str:
    """Ten bars, features and signals of A, three of B."""
    migrate(database, ("rsi",))
    keys = [("A", k) for k in range(10)] + [("B", k) for k in range(3)]
    writer = TimescaleWriter(database, flow="f", targets=targets(("rsi",)))
    writer.write(
        [
            batch(
                bars=[bar(s, k, close=float(k)) for s, k in keys],
                features=[feature(s, k, rsi=float(k)) for s, k in keys],
                signals=[signal(s, k, meta='{"k": 1}') for s, k in keys],
                names=("rsi",),
                next_offset=10,
                outcomes=Outcomes(accepted=10, late=2),
            ),
            batch(partition=1, next_offset=5, outcomes=Outcomes(accepted=5)),
        ]
    )
    writer.close()
    return database


def test_a_span_is_half_open_limited_to_the_newest_and_oldest_first(filled: str) -> None:
    found = stored.bars(filled, "A", START + timedelta(seconds=2), START + timedelta(seconds=12), 3)
    assert found["close"].to_list() == [3.0, 4.0, 5.0]
    assert found.schema["window_start"] == pl.Datetime("us", "UTC")
    assert found["window_start"][0] == START + timedelta(seconds=6)


def test_spans_without_bounds_reach_everything_of_the_symbol(filled: str) -> None:
    assert stored.bars(filled, "B").height == 3
    assert stored.features(filled, "A")["rsi"].to_list() == [float(k) for k in range(10)]
    assert stored.signals(filled, "A")["meta"].to_list() == ['{"k": 1}'] * 10


def test_a_symbol_is_a_value_never_sql(filled: str) -> None:
    assert stored.bars(filled, "' OR true --").is_empty()


def test_the_latest_rows_are_one_per_series(filled: str) -> None:
    latest = stored.latest_bars(filled)
    assert latest.select("symbol", "close").rows() == [("A", 9.0), ("B", 2.0)]
    assert stored.latest_features(filled).select("symbol", "rsi").rows() == [("A", 9.0), ("B", 2.0)]


def test_the_latest_signals_are_the_newest_few_of_each_series(filled: str) -> None:
    latest = stored.latest_signals(filled, 2)
    assert latest.select("symbol", "source_offset").rows() == [("A", 9), ("A", 8), ("B", 2), ("B", 1)]


def test_empty_tables_give_empty_frames_with_their_columns(database: str) -> None:
    migrate(database, ("rsi",))
    assert stored.latest_bars(database).schema["close"] == pl.Float64
    assert "rsi" in stored.features(database, "A").columns
    assert stored.progress_totals(database).is_empty()


def test_totals_count_rows_and_sum_progress_over_partitions(filled: str) -> None:
    assert stored.totals(filled) == {"bars_ohlcv": 13, "features": 13, "signals": 13}
    row = stored.progress_totals(filled).row(0, named=True)
    assert (row["flow"], row["partitions"], row["accepted"], row["late"]) == ("f", 2, 15, 2)


def test_a_run_is_recorded_from_start_to_end(database: str) -> None:
    migrate(database, ())
    start_run(database, RUN, "stream", {"window_ms": 2000, "symbols": ["a"]})
    start_run(database, RUN, "stream", {"window_ms": 1})
    assert select(database, "SELECT status, finished_at, config->'window_ms' FROM job_runs") == [
        ("running", None, 2000)
    ]
    finish_run(database, RUN, "failed", {"accepted": 3}, "disk full")
    run = stored.job_runs(database).row(0, named=True)
    assert (run["status"], run["error"], run["counts"]) == ("failed", "disk full", '{"accepted": 3}')
    assert run["finished_at"] >= run["started_at"]


def test_a_run_cannot_end_in_a_status_nobody_knows(database: str) -> None:
    migrate(database, ())
    start_run(database, RUN, "stream", {})
    with pytest.raises(psycopg.errors.CheckViolation):
        finish_run(database, RUN, cast(Ending, "exploded"), {})
