"""How all symbols fare, against sums over the table; and how they are found and put in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from mdp.serve.directory import Directory, Instrument, Length
from mdp.serve.market import Market, Quote
from mdp.serve.volumes import Volumes
from sinks.queries.live import LiveReader, Series
from sinks.queries.market import MarketReader
from tests.serve.market_rows import bars, store_rows

A, B, OLD, FX = (
    Series("feed", "A", "2s"), Series("feed", "B", "2s"), Series("feed", "OLD", "2s"), Series("fx", "EURUSD", "2s"),
)  # fmt: skip
SERIES = [A, B, OLD, FX]


@pytest.fixture
def reader(database: str) -> Iterator[MarketReader]:
    store_rows(
        database,
        bars("A", "2025-10-24T10:00Z", 5_000, 2, "100 + n"),
        bars("B", "2025-10-24T12:40Z", 200, 2, "500 - n"),  # listed in the last hour
        bars("OLD", "2025-10-24T10:00Z", 100, 2),  # and not traded in it
        bars("EURUSD", "2025-10-23T10:00Z", 5_000, 2, "1 + n / 1e5", provider="fx"),  # a day behind
    )
    live = LiveReader(database)
    yield MarketReader(live)
    live.close()


def expected(database: str, symbol: str, start: str) -> Quote:
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT (array_agg(open ORDER BY window_start))[1],"
            " (array_agg(close ORDER BY window_start DESC))[1], sum(volume)"
            " FROM bars_ohlcv WHERE symbol = %s AND window_start >= %s",
            [symbol, start],
        ).fetchone()
        assert row is not None
        return Quote(*row)


def test_quotes_are_of_the_hour_that_ends_with_the_newest_bar_of_the_provider(
    reader: MarketReader, database: str
) -> None:
    market = Market(reader)
    market.read(SERIES)
    assert market.span == "1h"
    assert market.quotes == {
        A: expected(database, "A", "2025-10-24T11:47Z"),  # the newest bar is of 12:46, which is the last minute of 60
        B: expected(database, "B", "2025-10-24T11:47Z"),
        FX: expected(database, "EURUSD", "2025-10-23T11:47Z"),
    }


def test_what_is_new_or_has_been_amended_lately_counts_at_the_next_look(reader: MarketReader, database: str) -> None:
    market = Market(reader)
    market.read(SERIES)
    with psycopg.connect(database) as connection:
        connection.execute(bars("A", "2025-10-24T12:46:40Z", 90, 2, "n").encode())
        connection.execute("UPDATE bars_ohlcv SET volume = 1e6 WHERE window_start = '2025-10-24T12:46:30Z'")
    market.read(SERIES)
    assert market.quotes[A] == expected(database, "A", "2025-10-24T11:50Z")
    assert market.quotes[B] == expected(database, "B", "2025-10-24T11:50Z")


def test_a_large_market_has_no_volume_before_all_of_it_is_known(reader: MarketReader, database: str) -> None:
    volumes = Volumes(reader, "feed", 60_000, reads=4)
    last = int(datetime(2025, 10, 24, 12, 46, tzinfo=UTC).timestamp()) // 60
    volumes.read(last)
    assert volumes.total() is None
    for _ in range(30):  # two of four reads are of the newest slots, which may have changed
        volumes.read(last)
    total = volumes.total()
    assert total is not None
    assert total[A] == expected(database, "A", "2025-10-24T11:47Z").volume


def test_bars_of_a_minute_are_quoted_by_the_day(database: str) -> None:
    store_rows(database, bars("A", "2025-10-20T00:00Z", 2_880, 60, "100 + n"))
    live = LiveReader(database)
    market = Market(MarketReader(live))
    market.read([Series("feed", "A", "1m")])
    live.close()
    assert market.span == "1d"
    assert market.quotes == {Series("feed", "A", "1m"): expected(database, "A", "2025-10-21T00:00Z")}


def directory() -> Directory:
    quotes = {A: Quote(100.0, 110.0, 5.0), B: Quote(100.0, 90.0, 50.0), FX: Quote(1.0, 1.2, 1.0)}
    return Directory(SERIES, quotes)


@pytest.mark.parametrize(
    ("order", "symbols"),
    [
        ("name", ["A", "B", "OLD", "EURUSD"]),
        ("volume", ["B", "A", "EURUSD", "OLD"]),
        ("gain", ["EURUSD", "A", "B", "OLD"]),
        ("loss", ["B", "A", "EURUSD", "OLD"]),
    ],
)
def test_all_symbols_are_put_in_order(order: str, symbols: list[str]) -> None:
    assert [one.symbol for one in directory().search("", "", order)] == symbols
    assert [one.symbol for one in directory().search("feed", "", order)] == [s for s in symbols if s != "EURUSD"]


def test_a_search_is_of_all_providers_unless_one_is_chosen() -> None:
    found = directory()
    assert found.search("", "eur", "name") == [Instrument("fx", "EURUSD")]
    assert found.search("feed", "eur", "name") == []


def test_symbols_that_begin_with_the_text_come_first() -> None:
    found = Directory([Series("feed", name, "1s") for name in ("AAPL", "SPY", "spyder", "XSPY")])
    assert [one.symbol for one in found.search("", "SPY", "name")] == ["SPY", "spyder", "XSPY"]


def test_lengths_are_those_of_the_series_and_of_the_rollups_that_they_divide() -> None:
    found = Directory([Series("feed", "A", length) for length in ("1m", "7s", "2s")] + [Series("feed", "B", "90s")])
    a = [Length("2s"), Length("7s"), Length("1m"), Length("2s", "5m"), Length("2s", "1h")]
    assert found.lengths(Instrument("feed", "A")) == a
    assert found.lengths(Instrument("feed", "B")) == [Length("90s"), Length("90s", "1h")]
    assert found.lengths(Instrument("feed", "C")) == []
