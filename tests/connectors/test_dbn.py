"""DBN: what Databento's encoder writes comes out as canonical columns, with every digit."""

from __future__ import annotations

import os
import tempfile
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.databento.dbn import preset_of
from connectors.files.errors import FileError
from connectors.files.maps import load_map
from connectors.files.opening import opened
from mdp.ops.file_events import EventFiles
from mdp.ops.file_messages import MessageFiles, made_of
from tests.connectors import dbn_files
from tests.connectors.dbn_files import ESM2, T0, bar, book, metadata, trade, write
from tests.connectors.mapped_tables import mapped

RECORDED = os.environ.get("DBN_RECORDED")  # a folder of files that Databento's projects test with


def read(path: Path, kind: str | None = None) -> pl.DataFrame:
    columns = load_map(preset_of(opened(path)[0]))
    return mapped(path, columns if kind is None else columns.model_copy(update={"type": kind}))


@pytest.mark.parametrize("name", ["a.dbn", "a.dbn.zst"])
def test_trades_have_the_symbol_of_the_metadata_and_the_side_of_the_aggressor(tmp_path: Path, name: str) -> None:
    records = [trade(3955_500000000, side=side, sequence=at) for at, side in enumerate("ABN")]
    path = write(tmp_path / name, metadata("trades", ESM2), records)
    found = read(path, "trades/v2")
    assert found["flaw"].null_count() == 3
    assert found.select("symbol", "src_ts", "price", "size", "side", "seq", "venue").rows() == [
        ("ESM2", T0, 3955.5, 1.0, "sell", 0, "GLBX.MDP3"),
        ("ESM2", T0, 3955.5, 1.0, "buy", 1, "GLBX.MDP3"),
        ("ESM2", T0, 3955.5, 1.0, None, 2, "GLBX.MDP3"),
    ]
    events = pl.concat(EventFiles([path], columns=load_map("dbn-trades")).rows())
    assert events.select("provider", "kind", "c", "v").row(0) == ("databento", "tick", 3955.5, 1.0)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
def test_fixed_point_prices_are_the_nearest_floats(prices: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records = [trade(price, sequence=at) for at, price in enumerate(prices)]
        found = read(write(Path(folder) / "a.dbn", metadata("trades", ESM2), records), "trades/v2")
    assert found["price"].to_list() == [float(f"{Decimal(price).scaleb(-9):f}") for price in prices]


def test_an_instrument_has_the_symbol_of_the_day(tmp_path: Path) -> None:
    day = 86_400_000_000_000
    symbols = {
        "ES.c.0": [("2022-06-10", "2022-06-11", 3403), ("2022-06-11", "2022-06-12", 9)],
        "NQ.c.0": [("2022-06-11", "2022-06-12", 3403)],
    }
    records = [trade(1, ts=T0, sequence=1), trade(1, ts=T0 + day, sequence=2), trade(1, ts=T0 + day, instrument=9)]
    path = write(tmp_path / "a.dbn", metadata("trades", symbols), records)
    assert read(path)["symbol"].to_list() == ["ES.c.0", "NQ.c.0", "ES.c.0"]
    unknown = write(tmp_path / "b.dbn", metadata("trades", symbols), [trade(1, instrument=77)])
    assert read(unknown)["symbol"].to_list() == [None]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([3403, 9])), min_size=1, max_size=30), st.integers(1, 7))
def test_trades_of_one_sequence_are_told_apart_wherever_a_file_is_cut(trades: list[tuple[int, int]], rows: int) -> None:
    from connectors.databento.dbn import read_dbn
    from connectors.files.layout import Layout

    symbols = {"A": [("2022-06-10", "2022-06-11", 3403)], "B": [("2022-06-10", "2022-06-11", 9)]}
    ordered = sorted(trades, key=lambda one: one[0])
    records = [
        trade(1, sequence=sequence, instrument=instrument, ts=T0 + at)
        for at, (sequence, instrument) in enumerate(ordered)
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = opened(write(Path(folder) / "a.dbn", metadata("trades", symbols), records))[0]
        layout = Layout(("instrument_id", "sequence", "repeat_id"), is_mapped=True)
        found = pl.concat([piece.values for piece in read_dbn(file, layout, rows)])
    seen: dict[tuple[int, int], int] = {}
    for at, ((sequence, instrument), repeat) in enumerate(zip(ordered, found["repeat_id"], strict=True)):
        count = seen.get((sequence, instrument), 0)
        assert repeat == (f"{instrument}.{T0 + at}.{sequence}.{count}" if count else None)
        seen[sequence, instrument] = count + 1


def test_quotes_are_the_best_bid_and_ask_and_an_empty_book_is_none(tmp_path: Path) -> None:
    records = [
        book([(3955_250000000, 3955_500000000, 8, 6)], depth=1),
        book([], depth=1),
        book([(3955_250000000, dbn_files.dbn.UNDEF_PRICE, 8, 0)], depth=1),
    ]
    found = read(write(tmp_path / "a.dbn", metadata("mbp-1", ESM2), records))
    assert found.select("row", "bid", "ask", "bid_size", "ask_size").rows() == [
        (1, 3955.25, 3955.5, 8.0, 6.0),
        (3, 3955.25, None, 8.0, 0.0),
    ]


def test_books_have_the_levels_that_there_are_and_keep_their_contract(tmp_path: Path) -> None:
    levels = [(3955_250000000 - at * 250000000, 3955_500000000 + at * 250000000, 8 + at, 6 + at) for at in range(3)]
    path = write(tmp_path / "a.dbn", metadata("mbp-10", ESM2), [book(levels, depth=10), book([], depth=10)])
    files = MessageFiles([path], load_map("dbn-books"))
    (made,) = made_of(files.kind, files.rows(), "local")
    assert not made.errors
    levels_of = made.rows["levels"].to_list()
    assert levels_of[0] == {
        "bids": [[3955.25, 8.0], [3955.0, 9.0], [3954.75, 10.0]],
        "asks": [[3955.5, 6.0], [3955.75, 7.0], [3956.0, 8.0]],
    }
    assert levels_of[1] == {"bids": [], "asks": []}
    assert b'"levels":{"bids":[[3955.25,8.0],[3955.0,9.0],[3954.75,10.0]]' in made.messages.values[0]


def test_bars_begin_at_their_time_and_have_their_length(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.dbn", metadata("ohlcv-1m", ESM2), [bar((1_000000000, 4_000000000, 500000000, 2_000000000), 9)]
    )
    found = pl.concat(EventFiles([path], columns=load_map("dbn-bars")).rows())
    row = ("bar", "1m", "ESM2", 1_654_871_400_000_000_000, 1.0, 4.0, 0.5, 2.0, 9.0)
    assert found.select("kind", "interval", "symbol", "src_ts", "o", "h", "l", "c", "v").rows() == [row]


def test_times_of_sending_after_each_record_are_skipped(tmp_path: Path) -> None:
    head = metadata("trades", ESM2, ts_out=True)
    record = bytearray(trade(2_000000000) + (T0 + 5).to_bytes(8, "little"))
    record[0] = len(record) // 4
    assert read(write(tmp_path / "a.dbn", head, [bytes(record)] * 2), "trades/v2")["price"].to_list() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"DBN", "is not DBN of version 1 or later"),
        (b"symbol,price\n", "is not DBN of version 1 or later"),
        (metadata("trades", ESM2)[:60], "cannot be read as DBN"),
        (metadata("mbo", ESM2), "has the schema mbo: those that can be read are trades, tbbo"),
        (metadata(None, ESM2), "has records of several schemas"),
        (metadata("trades", ESM2) + trade(1)[:-3], "ends within a record"),
        (metadata("trades", ESM2) + book([], depth=1) + bytes(16), "has records of another length"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.dbn"
    path.write_bytes(data)
    with pytest.raises(FileError, match=message) as raised:
        read(path)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(RECORDED is None, reason="DBN_RECORDED names no folder with recorded DBN files")
def test_recorded_files_are_read_whole() -> None:
    from connectors.databento.dbn import PRESETS
    from connectors.files.reader import Reading
    from connectors.files.reader import read as read_files

    found = dict.fromkeys(PRESETS, 0)
    schemas = [schema for names in PRESETS.values() for schema in names]
    for path in sorted(Path(str(RECORDED)).rglob("test_data.*.dbn*")):
        if path.name.split(".")[1] not in schemas or ".frag" in path.name:
            continue
        preset = preset_of(opened(path)[0])
        for frame in read_files([path], Reading.of_map(load_map(preset), None, None, lambda _: None)):
            assert frame["flaw"].null_count() == frame.height, path
            assert frame["symbol"].null_count() == 0, path
            found[preset] += frame.height
    assert all(found.values())
