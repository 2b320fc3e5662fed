"""What a run has computed takes the place of live rows: all of the range, and nothing else."""

from __future__ import annotations

from typing import Any, Final

import psycopg
import pytest

from contracts.batch import MicroBatch
from sinks.runs import registry
from sinks.runs.names import RunError
from sinks.runs.replacement import replace, settle
from sinks.runs.span import Part
from sinks.schema.migrate import migrate
from tests.sinks.database_rows import bar, batch, feature, select, signal
from tests.sinks.run_tables import ALL, made, part, window, write

SHOWN: Final = {
    "bars_ohlcv": "SELECT symbol, extract(epoch FROM window_start)::bigint / 2, close FROM bars_ohlcv",
    "features": "SELECT symbol, extract(epoch FROM ts)::bigint / 2, rsi FROM features",
    "signals": "SELECT symbol, extract(epoch FROM ts)::bigint / 2, name, value FROM signals",
}


@pytest.fixture
def live(database: str) -> str:
    migrate(database, ["rsi"])
    return database


def rows(symbol: str, value: float, *names: str, windows: range = range(6), offset: int = 0, **of: Any) -> MicroBatch:
    """Of each window a bar and features, and a signal of each name."""
    return batch(
        bars=[bar(symbol, k, close=value, offset=offset + k, **of) for k in windows],
        features=[feature(symbol, k + 1, rsi=value) | {"offset": offset + k} for k in windows],
        signals=[signal(symbol, k + 1, name=name, value=value, offset=offset + k) for k in windows for name in names],
        names=("rsi",),
        next_offset=offset + max(windows) + 1,
    )


def shown(database: str) -> dict[str, list[tuple[Any, ...]]]:
    first = int(window(0).timestamp()) // 2
    return {
        table: sorted((row[0], row[1] - first, *row[2:]) for row in select(database, query))
        for table, query in SHOWN.items()
    }


def replaced(database: str, of: Part, tables: tuple[str, ...] = ALL) -> None:
    replace(database, "new", of, features=("rsi",), tables=tables, topics=("ticks",))


def test_the_windows_inside_are_the_runs_and_all_others_stay(live: str) -> None:
    write(live, rows("A", 1.0, "up", "gone"), rows("B", 1.0, "up"), rows("A", 5.0, "up", interval="4s"))
    before = shown(live)
    made(live, "new", rows("A", 2.0, "up", "new", windows=range(1, 5)))
    replaced(live, part(1, 5))
    after = shown(live)
    assert [row for row in after["bars_ohlcv"] if row[0] == "A" and row[2] == 2.0] == [
        ("A", k, 2.0) for k in range(1, 5)
    ]
    assert [row for row in after["features"] if row[0] == "A"] == [
        ("A", k + 1, 2.0 if 1 <= k < 5 else 1.0) for k in range(6)
    ]
    of_a = {(row[1], row[2]) for row in after["signals"] if row[0] == "A"}
    assert of_a == {(k + 1, name) for k in range(6) for name in (("up", "new") if 1 <= k < 5 else ("up", "gone"))}
    for table, kept in before.items():
        others = [row for row in kept if row[0] == "B"]
        assert [row for row in after[table] if row[0] == "B"] == others
    assert registry.runs(live) == []
    assert select(live, "SELECT count(*) FROM pg_namespace WHERE nspname = 'run_new'") == [(0,)]
    replaced(live, part(1, 5))
    assert shown(live) == after


def test_a_flow_replaces_no_table_that_it_does_not_write(live: str) -> None:
    write(live, rows("A", 1.0, "up"))
    before = shown(live)
    made(live, "new", batch(bars=[bar("A", 1, close=2.0, offset=1)], next_offset=6))
    replaced(live, part(0, 6), tables=("bars_ohlcv",))
    after = shown(live)
    assert after["bars_ohlcv"] == [("A", 1, 2.0)]
    assert {table: after[table] for table in ("features", "signals")} == {
        table: before[table] for table in ("features", "signals")
    }


def test_what_the_live_flow_has_made_of_later_records_stays(live: str) -> None:
    """The run has read six records; the live flow amended a bar by a later one, and closed the last window by one."""
    write(live, rows("A", 1.0, "up"))
    amended = batch(bars=[bar("A", 2, close=3.0, revision=1, offset=7)], next_offset=8)
    closed = rows("A", 3.0, "closed", windows=range(6, 7), offset=2)
    write(live, amended, closed)
    made(
        live,
        "new",
        rows("A", 2.0, "new", windows=range(6)),
        rows("A", 2.0, "provisional", windows=range(6, 7), offset=-1),
    )
    replaced(live, part(0, 7))
    after = shown(live)
    assert after["bars_ohlcv"] == [("A", k, 3.0 if k in (2, 6) else 2.0) for k in range(7)]
    assert after["features"] == [("A", k + 1, 3.0 if k == 6 else 2.0) for k in range(7)]
    assert after["signals"] == [("A", k + 1, "new" if k < 6 else "closed", 2.0 if k < 6 else 3.0) for k in range(7)]


def test_a_series_that_the_live_tables_lacked_is_listed(live: str) -> None:
    made(live, "new", rows("NEW", 2.0))
    replaced(live, part(0, 6))
    assert select(live, "SELECT DISTINCT symbol FROM series") == [("NEW",)]


def test_rows_that_the_run_cannot_have_read_are_not_thrown_away(live: str) -> None:
    write(live, rows("A", 1.0, "up"))
    with psycopg.connect(live) as connection:
        connection.execute("UPDATE bars_ohlcv SET source_topic = 'history' WHERE window_start < %s", [window(2)])
    before = shown(live)
    made(live, "new", rows("A", 2.0))
    with pytest.raises(RunError, match="2 rows of the range from topic history"):
        replaced(live, part(0, 6))
    assert shown(live) == before
    assert registry.find(live, "new").status == "finished"
    replaced(live, part(2, 6))


def test_rollups_hold_what_replaced_their_bars(live: str) -> None:
    write(live, rows("A", 1.0, windows=range(60)))
    made(live, "new", rows("A", 2.0, windows=range(60)))
    whole = part(0, 60)
    replaced(live, whole)
    settle(live, whole, ALL)
    assert {close for (close,) in select(live, "SELECT close FROM bars_1m")} == {2.0}
