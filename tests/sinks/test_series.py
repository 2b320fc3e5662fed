"""The list of series, which the page and the command line go by."""

from __future__ import annotations

import random
from contextlib import closing

import polars as pl
import psycopg

from contracts.frames import BARS
from sinks import late_repairs
from sinks.late_repairs import POSITION
from sinks.merge import targets
from sinks.queries import stored
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import bar, batch, feature, get_ahead, select, signal

TOO_LONG = "".join(random.Random(1).choices("0123456789abcdef", k=20_000))  # for an index, and so for a key


def listed(database: str) -> set[tuple[str, str]]:
    return set(select(database, "SELECT relation, symbol FROM series"))


def test_each_table_lists_its_own_series_whether_rows_are_copied_or_merged(database: str) -> None:
    migrate(database, ("rsi",))
    with closing(TimescaleWriter(database, flow="f", targets=targets(("rsi",)))) as writer:
        get_ahead(database, writer)
        writer.write([batch(bars=[bar("A"), bar("A", 1), bar("B")], features=[feature("A", rsi=1.0)], names=("rsi",))])
        writer.write([batch(bars=[bar("A", revision=1), bar("C")], signals=[signal("B")], next_offset=2)])
    expected = {("bars_ohlcv", symbol) for symbol in ("NEW", "A", "B", "C")}
    assert listed(database) == expected | {("features", "A"), ("signals", "B")}
    assert stored.latest_bars(database)["symbol"].to_list() == ["A", "B", "C"]


def test_a_series_whose_rows_are_refused_is_listed_when_one_is_stored(database: str) -> None:
    migrate(database, ())
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        assert len(writer.write([batch(bars=[bar("A"), bar(TOO_LONG), bar("B", k=1)])]).refused) == 1
        assert listed(database) == {("bars_ohlcv", "A"), ("bars_ohlcv", "B")}
        bad = bar("C", window_end=bar("C")["window_start"])
        assert len(writer.write([batch(bars=[bad, bar("A", 3)], next_offset=4)]).refused) == 1
        writer.write([batch(bars=[bar("C", 4)], next_offset=5)])
    assert ("bars_ohlcv", "C") in listed(database)


def test_a_writer_that_lost_its_connection_lists_what_may_have_been_lost_with_it(database: str) -> None:
    migrate(database, ())
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=[bar("A")])])
        with psycopg.connect(database) as owner:
            owner.execute("DELETE FROM series")  # as a database does that went back
        writer.close()
        writer.write([batch(bars=[bar("A", 1)], next_offset=2)])
    assert listed(database) == {("bars_ohlcv", "A")}


def test_a_late_repair_lists_a_symbol_that_had_no_bar_before(database: str) -> None:
    migrate(database, ())
    repaired = batch(bars=[bar("LATE")])
    late_repairs.write(database, "late", repaired, POSITION.to_frame())
    assert listed(database) == {("bars_ohlcv", "LATE")}
    assert pl.DataFrame([bar("LATE")], schema=BARS).height == stored.bars(database, "LATE").height


def test_rows_of_before_there_was_a_list_are_listed_by_the_migration(database: str) -> None:
    migrate(database, ())
    with closing(TimescaleWriter(database, flow="f", targets=targets(()))) as writer:
        writer.write([batch(bars=[bar("A"), bar("B"), bar("B", 1)], signals=[signal("A")])])
    with psycopg.connect(database) as owner:
        owner.execute(b"DROP TABLE series, runs; ALTER TABLE progress DROP COLUMN first_offset, DROP COLUMN again_from")
        owner.execute(b"ALTER TABLE bars_ohlcv DROP COLUMN buy_volume CASCADE, DROP COLUMN sell_volume CASCADE")
        owner.execute(b"DELETE FROM schema_version WHERE version >= 5")
    migrate(database, ())
    assert listed(database) == {("bars_ohlcv", "A"), ("bars_ohlcv", "B"), ("signals", "A")}
