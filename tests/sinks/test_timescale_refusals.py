from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from sinks.merge import targets
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import bar, batch, feature, get_ahead, select, signal

INCOMPRESSIBLE = "".join(chr(33 + i * i * 7919 % 9_001) for i in range(9_000))  # longer than an index row may be


@pytest.fixture(params=["new", "ahead"])
def writer(database: str, request: pytest.FixtureRequest) -> Iterator[TimescaleWriter]:
    migrate(database, ("rsi",))
    writer = TimescaleWriter(database, flow="f", targets=targets(("rsi",)))
    if request.param == "ahead":
        get_ahead(database, writer)
    yield writer
    writer.close()


def test_refused_rows_are_returned_and_their_neighbours_written(database: str, writer: TimescaleWriter) -> None:
    bars = [bar(f"S{i}", offset=i) for i in range(40)]
    bars[7]["symbol"] = "nul\0"
    bars[30]["window_end"] = bars[30]["window_start"]
    signals = [signal(f"S{i}", offset=i, meta="{" if i == 3 else "{}") for i in range(10)]
    result = writer.write([batch(bars=bars, signals=signals, partition=2, topic="market", next_offset=40)])
    assert result.changed == {"bars_ohlcv": 38, "signals": 9}
    assert [(r.table, r.topic, r.partition, r.offset, r.source_row) for r in result.refused] == [
        ("bars_ohlcv", "market", 2, 7, 0),
        ("bars_ohlcv", "market", 2, 30, 0),
        ("signals", "market", 2, 3, 0),
    ]
    nul, empty_window, bad_json = result.refused
    assert "0x00" in nul.error
    assert json.loads(nul.key)["symbol"] == "nul\0"
    assert "check constraint" in empty_window.error
    assert json.loads(empty_window.row)["close"] == 11.0
    assert bad_json.error == "invalid input syntax for type json"
    assert select(database, "SELECT next_offset FROM progress") == [(40,)]


@pytest.mark.parametrize("bad", [{"symbol": None}, {"open": None}, {"trades": None}, {"symbol": INCOMPRESSIBLE}])
def test_what_a_column_or_its_index_cannot_hold_is_refused(
    database: str, writer: TimescaleWriter, bad: dict[str, object]
) -> None:
    result = writer.write([batch(bars=[bar(), bar(k=1) | bad, bar(k=2)])])
    assert len(result.refused) == 1
    assert select(database, "SELECT count(*) FROM bars_ohlcv") == [(2,)]


def test_an_earlier_row_of_the_same_bar_is_written_when_the_later_is_refused(
    database: str, writer: TimescaleWriter
) -> None:
    result = writer.write([batch(bars=[bar(close=1.0), bar(revision=1, offset=5, open=None)])])
    assert [r.offset for r in result.refused] == [5]
    assert select(database, "SELECT close FROM bars_ohlcv") == [(1.0,)]


def test_a_flush_of_nothing_but_refused_rows_still_makes_progress(database: str, writer: TimescaleWriter) -> None:
    bad = feature("\0", rsi=1.0)
    result = writer.write([batch(features=[bad, bad | {"ts": 0}], names=("rsi",), next_offset=9)])
    assert (len(result.refused), result.changed) == (2, {})
    assert select(database, "SELECT next_offset FROM progress") == [(9,)]


def test_the_writer_goes_on_after_a_refusal(database: str, writer: TimescaleWriter) -> None:
    writer.write([batch(bars=[bar("\0")])])
    result = writer.write([batch(bars=[bar()])])
    assert (result.refused, result.changed) == ([], {"bars_ohlcv": 1})
