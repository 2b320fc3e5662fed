from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.batch import MicroBatch, Outcomes
from sinks.connection import StoreUnavailable
from sinks.merge import targets
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import T0, bar, batch, everything, feature, get_ahead, select, signal

NAMES = ("rsi", "vwap")
HOSTILE = [
    "quote'double\"",
    "back\\slash\\n",
    "new\nline\r\n",
    "tab\t",
    "\\.",
    "\n\\.\n",
    "\\N",
    "",
    " ",
    "\u05e9\u05dc\u05d5\u05dd\u202e",
    "🚀💸",
    "'; DROP TABLE bars_ohlcv; --",
    "a,b;c|d",
    "\x01\x7f",
]

Open = Callable[..., TimescaleWriter]


@pytest.fixture(params=["new", "ahead"])
def writer(database: str, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Makes writers on a migrated database and closes them: one that knows nothing, one that has written new rows."""
    migrate(database, NAMES)
    made: list[TimescaleWriter] = []

    def make(flow: str = "f", features: Sequence[str] = NAMES, *, overwrite: bool = False) -> TimescaleWriter:
        chosen = targets(features, overwrite=overwrite)
        made.append(TimescaleWriter(database, flow=flow, targets=chosen, overwrite=overwrite))
        if request.param == "ahead":
            get_ahead(database, made[-1])
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_rows_are_stored_with_their_cause(database: str, writer: Open) -> None:
    result = writer().write(
        [
            batch(
                bars=[bar(k=1, offset=41, row=7)],
                features=[feature(k=2, rsi=55.5, vwap=None)],
                signals=[signal(k=3, meta='{"a": [1, "b"]}')],
                names=NAMES,
                topic="market",
                partition=3,
            )
        ]
    )
    assert result.changed == {"bars_ohlcv": 1, "features": 1, "signals": 1}
    assert (result.conflicts, result.refused) == (0, [])
    start = datetime.fromtimestamp(T0 // 10**9, UTC)
    cause = "source_topic, partition, source_offset, source_row"
    assert select(database, f"SELECT window_start, window_end, vwap, {cause} FROM bars_ohlcv") == [
        (start + timedelta(seconds=2), start + timedelta(seconds=4), 10.5, "market", 3, 41, 7)
    ]
    assert select(database, f"SELECT ts, rsi, vwap, {cause} FROM features") == [
        (start + timedelta(seconds=4), 55.5, None, "market", 3, 2, 0)
    ]
    assert select(database, "SELECT ts, meta, score FROM signals") == [
        (start + timedelta(seconds=6), {"a": [1, "b"]}, 0.5)
    ]


def test_times_are_exact_to_the_microsecond_also_before_1970(database: str, writer: Open) -> None:
    starts = [-9_000_000_000_000_001_000, -1_000, 0, 1_700_000_000_123_456_000, 9_000_000_000_000_001_000]
    writer().write([batch(bars=[bar(window_start=t, window_end=t + 1_000) for t in starts])])
    query = "SELECT (extract(epoch FROM window_start) * 1000000)::bigint FROM bars_ohlcv ORDER BY window_start"
    assert select(database, query) == [(t // 1_000,) for t in starts]


def test_floats_come_back_bit_for_bit(database: str, writer: Open) -> None:
    bits = [i * 0x9E3779B97F4A7C15 % 2**64 for i in range(4_000)]
    floats = [struct.unpack("<d", struct.pack("<Q", b))[0] for b in bits]
    floats = [f for f in floats if f == f] + [-0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e23]
    writer().write([batch(bars=[bar(k=k, volume=f) for k, f in enumerate(floats)])])
    stored = [f for (f,) in select(database, "SELECT volume FROM bars_ohlcv ORDER BY window_start")]
    assert struct.pack(f"{len(floats)}d", *stored) == struct.pack(f"{len(floats)}d", *floats)


def test_hostile_text_comes_out_unharmed(database: str, writer: Open) -> None:
    writer().write(
        [
            batch(
                bars=[bar(s) for s in HOSTILE],
                features=[feature(s, rsi=1.0, vwap=2.0) for s in HOSTILE],
                signals=[signal(s, name=s, adapter=s, signal_id=s) for s in HOSTILE],
                names=NAMES,
                topic="a\tb\\c\nd",
            )
        ]
    )
    expected = sorted(HOSTILE)
    assert sorted(s for (s,) in select(database, "SELECT symbol FROM bars_ohlcv")) == expected
    assert sorted(s for (s,) in select(database, "SELECT symbol FROM features")) == expected
    for column in ("symbol", "name", "adapter", "signal_id"):
        assert sorted(s for (s,) in select(database, f"SELECT {column} FROM signals")) == expected
    assert select(database, "SELECT DISTINCT source_topic FROM bars_ohlcv") == [("a\tb\\c\nd",)]


def test_null_is_not_the_empty_string_nor_the_word(database: str, writer: Open) -> None:
    writer().write([batch(signals=[signal(name="", meta=None, value=None), signal(name="\\N"), signal(name="NULL")])])
    rows = select(database, "SELECT name, value, meta FROM signals ORDER BY name")
    assert rows == [("", None, None), ("NULL", 1.0, {}), ("\\N", 1.0, {})]


def test_writing_the_same_batches_again_touches_no_row(database: str, writer: Open) -> None:
    batches = [
        batch(
            bars=[bar(k=k, revision=k % 2) for k in range(50)],
            features=[feature(k=k, rsi=1.0, vwap=None) for k in range(50)],
            signals=[signal(k=k) for k in range(50)],
            names=NAMES,
            next_offset=50,
        )
    ]
    writer().write(batches)
    before = everything(database)
    result = writer().write(batches)
    assert result.changed == {"bars_ohlcv": 0, "features": 0, "signals": 0}
    assert result.conflicts == 0
    assert everything(database) == before


@pytest.mark.parametrize(
    ("stored", "new", "kept"),
    [
        ({"revision": 0, "offset": 9}, {"revision": 1, "offset": 20}, "new"),
        ({"revision": 2, "offset": 30}, {"revision": 1, "offset": 20}, "stored"),
        ({"revision": 0, "offset": 9}, {"revision": 0, "offset": 12}, "new"),  # provisional, then closed
        ({"revision": 0, "offset": 12}, {"revision": 0, "offset": 9}, "stored"),
        ({"revision": 1, "offset": 9, "row": 3}, {"revision": 1, "offset": 9, "row": 4}, "new"),
        ({"revision": 1, "offset": 9, "row": 4}, {"revision": 1, "offset": 9, "row": 4}, "stored"),
    ],
)
def test_a_bar_gives_way_only_to_a_later_one(
    database: str, writer: Open, stored: dict[str, int], new: dict[str, int], kept: str
) -> None:
    writer().write([batch(bars=[bar(close=1.0) | stored])])
    writer().write([batch(bars=[bar(close=2.0) | new])])
    close, offset = {"stored": (1.0, stored["offset"]), "new": (2.0, new["offset"])}[kept]
    assert select(database, "SELECT close, source_offset FROM bars_ohlcv") == [(close, offset)]


@pytest.mark.parametrize("other", [{"partition": 1}, {"topic": "elsewhere"}])
def test_a_bar_of_another_source_is_reported_and_not_overwritten(
    database: str, writer: Open, other: dict[str, Any]
) -> None:
    writer().write([batch(bars=[bar(close=1.0), bar(k=1)])])
    result = writer().write([batch(bars=[bar(close=2.0, revision=9, offset=99), bar(k=2)], **other)])
    assert result.conflicts == 1
    assert "AAPL" in result.conflict_example
    assert "ticks,0" in result.conflict_example
    assert select(database, "SELECT close FROM bars_ohlcv ORDER BY window_start") == [(1.0,), (11.0,), (11.0,)]


def test_a_conflict_is_reported_when_the_log_gets_there_and_not_when_it_is_read_again(
    database: str, writer: Open
) -> None:
    writer().write([batch(bars=[bar(close=1.0)])])
    in_conflict = batch(bars=[bar(close=2.0, offset=8)], partition=1, next_offset=9)
    one = writer()
    assert [one.write([in_conflict]).conflicts for _ in range(3)] == [1, 0, 0]
    assert writer().write([in_conflict]).conflicts == 0
    further = batch(bars=[bar(close=3.0, offset=9)], partition=1, next_offset=10)
    assert writer().write([further]).conflicts == 1
    assert select(database, "SELECT close FROM bars_ohlcv") == [(1.0,)]


def test_a_conflict_within_one_flush_does_not_cost_the_owner_its_amendment(database: str, writer: Open) -> None:
    writer().write([batch(bars=[bar(close=1.0)])])
    amended = batch(bars=[bar(close=3.0, revision=1, offset=5)])
    result = writer().write([amended, batch(bars=[bar(close=2.0, revision=7, offset=99)], partition=1)])
    assert (result.conflicts, result.changed["bars_ohlcv"]) == (1, 1)
    assert select(database, "SELECT close, partition FROM bars_ohlcv") == [(3.0, 0)]


def test_features_fill_nulls_only_and_leave_full_rows_alone(database: str, writer: Open) -> None:
    full, partial = feature(k=0, rsi=1.0, vwap=2.0), feature(k=1, rsi=None, vwap=2.0)
    writer().write([batch(features=[full, partial], names=NAMES)])
    before = everything(database)["features"]
    again = [feature(k=0, rsi=8.0, vwap=None), feature(k=1, rsi=8.0, vwap=9.0)]
    result = writer().write([batch(features=again, names=NAMES)])
    assert result.changed["features"] == 1
    assert select(database, "SELECT rsi, vwap FROM features ORDER BY ts") == [(1.0, 2.0), (8.0, 2.0)]
    assert len(set(before) & set(everything(database)["features"])) == 1


def test_a_feature_that_is_not_configured_is_not_written(database: str, writer: Open) -> None:
    writer(features=("rsi",)).write([batch(features=[feature(rsi=1.0, vwap=2.0)], names=NAMES)])
    writer(features=()).write([batch(features=[feature(k=1, rsi=1.0, vwap=2.0)], names=NAMES)])
    assert select(database, "SELECT rsi, vwap FROM features ORDER BY ts") == [(1.0, None), (None, None)]


def test_a_signal_once_given_stays(database: str, writer: Open) -> None:
    writer().write([batch(signals=[signal(value=1.0)])])
    writer().write([batch(signals=[signal(value=2.0, offset=9), signal(value=3.0, adapter="model")])])
    assert select(database, "SELECT adapter, value FROM signals ORDER BY adapter") == [("model", 3.0), ("rules", 1.0)]


def test_rows_after_new_rows_meet_what_another_run_has_stored_since(database: str, writer: Open) -> None:
    one, other = writer(), writer(flow="g")
    assert one.write([batch(bars=[bar(k=0, close=1.0)])]).changed == {"bars_ohlcv": 1}
    other.write([batch(bars=[bar(k=1, close=2.0, offset=7)], partition=1)])
    result = one.write([batch(bars=[bar(k=1, close=3.0), bar(k=2, close=4.0)], signals=[signal()], next_offset=3)])
    assert (result.conflicts, result.changed) == (1, {"bars_ohlcv": 1, "signals": 1})
    assert select(database, "SELECT close FROM bars_ohlcv ORDER BY window_start") == [(1.0,), (2.0,), (4.0,)]


def test_what_stands_in_for_a_table_is_merged_into_where_it_takes_no_copy(database: str, writer: Open) -> None:
    one = writer()
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE bars_ohlcv RENAME TO stored")
        connection.execute("CREATE VIEW bars_ohlcv AS SELECT * FROM stored")
    for k in range(3):
        assert one.write([batch(bars=[bar(k=k)], next_offset=k + 1)]).changed == {"bars_ohlcv": 1}


def test_overwrite_replaces_what_differs_and_nothing_else(database: str, writer: Open) -> None:
    stored = batch(
        bars=[bar(k=0, revision=3), bar(k=1)],
        features=[feature(k=0, rsi=1.0, vwap=2.0), feature(k=1, rsi=1.0, vwap=2.0)],
        signals=[signal(k=0), signal(k=1)],
        names=NAMES,
    )
    writer().write([stored])
    changed = batch(
        bars=[bar(k=0, close=7.0), bar(k=1)],
        features=[feature(k=0, rsi=None, vwap=5.0), feature(k=1, rsi=1.0, vwap=2.0)],
        signals=[signal(k=0, meta=None), signal(k=1)],
        names=NAMES,
    )
    assert writer(overwrite=True).write([changed]).changed == {"bars_ohlcv": 1, "features": 1, "signals": 1}
    assert writer(overwrite=True).write([changed]).changed == {"bars_ohlcv": 0, "features": 0, "signals": 0}
    assert select(database, "SELECT close, revision FROM bars_ohlcv ORDER BY window_start") == [(7.0, 0), (11.0, 0)]
    assert select(database, "SELECT rsi, vwap FROM features ORDER BY ts") == [(None, 5.0), (1.0, 2.0)]
    assert select(database, "SELECT meta FROM signals ORDER BY ts") == [(None,), ({},)]


def test_overwrite_takes_bars_over_from_another_partition(database: str, writer: Open) -> None:
    writer().write([batch(bars=[bar()])])
    assert writer(overwrite=True).write([batch(bars=[bar()], partition=1)]).conflicts == 0
    assert select(database, "SELECT partition FROM bars_ohlcv") == [(1,)]


def test_progress_only_moves_forward(database: str, writer: Open) -> None:
    query = "SELECT partition, next_offset, accepted, heartbeat FROM progress ORDER BY partition"

    def at(offset: int, n: int, p: int = 0) -> MicroBatch:
        return batch(next_offset=offset, partition=p, outcomes=Outcomes(accepted=n, heartbeat=n + 1))

    writer().write([at(5, 5), at(10, 10), at(3, 3, 1)])
    assert select(database, query) == [(0, 10, 10, 11), (1, 3, 3, 4)]
    writer().write([at(7, 99), at(4, 4, 1)])
    assert select(database, query) == [(0, 10, 10, 11), (1, 4, 4, 5)]
    writer(flow="other").write([at(7, 99)])
    assert select(database, "SELECT flow, next_offset FROM progress WHERE partition = 0 ORDER BY flow") == [
        ("f", 10),
        ("other", 7),
    ]


def test_bars_features_signals_and_progress_are_written_together_or_not_at_all(database: str, writer: Open) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("REVOKE ALL ON signals FROM CURRENT_USER; ALTER TABLE signals RENAME adapter TO gone")
    with pytest.raises(psycopg.ProgrammingError):
        writer().write([batch(bars=[bar()], signals=[signal()])])
    assert select(database, "SELECT count(*) FROM bars_ohlcv UNION ALL SELECT count(*) FROM progress") == [(0,), (0,)]


def test_a_broken_connection_is_reported_and_the_next_write_opens_another(database: str, writer: Open) -> None:
    one = writer()
    one.write([batch(bars=[bar()])])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    again = [batch(bars=[bar(k=1)])]
    with pytest.raises(StoreUnavailable):
        one.write(again)
    assert one.write(again).changed == {"bars_ohlcv": 1}


def test_a_database_that_is_read_only_for_now_is_unavailable(database: str, writer: Open) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    one = writer()
    one.close()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with pytest.raises(StoreUnavailable, match="read-only"):
        one.write([batch(bars=[bar()])])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
    assert one.write([batch(bars=[bar()])]).changed == {"bars_ohlcv": 1}


def test_an_unreachable_database_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        TimescaleWriter("postgresql://nobody@127.0.0.1:1/nowhere", flow="f", targets=targets(())).write([batch()])


def log(steps: Sequence[tuple[int, int, int, float | None]]) -> list[MicroBatch]:
    """One batch per step: partition, symbol, revision of its bar, and a value that may be missing."""
    offsets = count()
    return [
        batch(
            bars=[bar(f"S{symbol}", revision=revision, offset=offset, close=float(offset))],
            features=[feature(f"S{symbol}", rsi=value, vwap=None, offset=offset)],
            signals=[signal(f"S{symbol}", value=value, offset=offset)],
            names=NAMES,
            partition=partition,
            next_offset=offset + 1,
        )
        for (partition, symbol, revision, value), offset in zip(steps, offsets, strict=False)
    ]


STEPS: st.SearchStrategy[list[tuple[int, int, int, float | None]]] = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 2), st.just(0), st.sampled_from([None, 1.0, 2.0])),
    min_size=1,
    max_size=12,
)
TABLES = (
    "SELECT symbol, close, revision, partition, source_offset FROM bars_ohlcv ORDER BY symbol",
    "SELECT symbol, rsi, partition, source_offset FROM features ORDER BY symbol",
    "SELECT symbol, value, partition, source_offset FROM signals ORDER BY symbol",
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, cut=st.integers(0, 12))
def test_what_is_stored_does_not_depend_on_how_batches_were_flushed(
    database: str, writer: Open, steps: list[tuple[int, int, int, float | None]], cut: int
) -> None:
    batches = log(steps)
    states = []
    for flushes in ([[one] for one in batches], [batches[:cut], batches[cut:]]):
        with psycopg.connect(database) as connection:
            connection.execute("TRUNCATE bars_ohlcv, features, signals, progress")
        one = writer()
        for flush in flushes:
            one.write(flush)
        one.close()
        states.append([select(database, query) for query in TABLES])
    assert states[0] == states[1]
