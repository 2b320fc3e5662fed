"""Files of any columns: a map leads to the same rows from every format, and what is wrong with it is one line."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connectors.files.errors import FileError
from connectors.files.maps import MapError, load_map, parse_map
from connectors.files.targets import target_of
from contracts.errors import MdpError
from mdp.ops.file_events import EventFiles
from tests.connectors.mapped_tables import COLUMNS, FORMATS, PACKINGS, map_for, mapped, trades, write

SIDES = {True: "sell", False: "buy", None: None}


@given(trades, st.sampled_from(FORMATS), st.sampled_from(PACKINGS))
def test_the_same_table_gives_the_same_rows_in_any_format(rows: list[dict[str, Any]], form: str, packing: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = mapped(write(Path(folder), rows, form, packing), map_for(form))
    assert found["flaw"].null_count() == len(rows)
    assert found["symbol"].to_list() == [row["pair"] for row in rows]
    assert found["provider"].to_list() == ["acme"] * len(rows)
    assert found["src_ts"].to_list() == [row["at"] * 1_000 for row in rows]
    assert found["price"].to_list() == [float(Decimal(row["px"]).scaleb(-2)) for row in rows]
    assert found["size"].to_list() == [row["qty"] for row in rows]
    assert found["side"].to_list() == [SIDES[row["maker"]] for row in rows]
    assert found["seq"].to_list() == [row["no"] for row in rows]


def csv(tmp_path: Path, text: str, name: str = "dump.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def minimal(**more: Any) -> dict[str, Any]:
    return {"provider": {"value": "p"}, "symbol": {"value": "S"}, "time": "t", "price": "p", "size": "q", **more}


def events(path: Path, columns: dict[str, Any], **head: Any) -> pl.DataFrame:
    return pl.concat(EventFiles([path], columns=parse_map({**head, "columns": columns})).rows())


def test_trades_become_ticks_and_what_an_event_has_no_place_for_is_left_out(tmp_path: Path) -> None:
    path = csv(tmp_path, "t,p,q,side,id\n1735689600010866,4.15,2,buy,7\n")
    found = events(path, minimal(side="side", trade_id="id", sequence="id"))
    assert found.select("kind", "src_ts", "c", "v", "seq").rows() == [("tick", 1735689600010866000, 4.15, 2.0, 7)]


def test_bars_have_the_words_of_bars(tmp_path: Path) -> None:
    path = csv(tmp_path, "1735689600000,1,4,0.5,2,10\n")
    words = {"time": 1, "open": 2, "high": 3, "low": 4, "close": 5, "volume": 6, "interval": {"value": "1m"}}
    found = events(path, {"provider": {"value": "p"}, "symbol": {"value": "S"}, **words})
    assert found.select("kind", "interval", "o", "h", "l", "c", "v").rows() == [("bar", "1m", 1, 4, 0.5, 2, 10)]


def test_a_first_line_that_has_words_where_times_are_is_a_header(tmp_path: Path) -> None:
    numbered = {"provider": {"value": "p"}, "symbol": {"value": "S"}, "time": 1, "price": 2, "size": 3}
    with_header, without = csv(tmp_path, "time,px,qty\n1735689600,1,2\n", "a.csv"), csv(tmp_path, "1735689600,1,2\n")
    assert events(with_header, numbered)["c"].to_list() == events(without, numbered)["c"].to_list() == [1.0]
    assert events(csv(tmp_path, "0 px,0 qty,0 time\n2,3,1735689600\n"), minimal(
        time={"column": 3, "unit": "s"}, price="0 px", size="0 qty"
    ))["c"].to_list() == [2.0]  # fmt: skip
    with pytest.raises(FileError, match="row 1: time is not a time such as"):
        events(with_header, numbered, header=False)


def test_dates_and_times_in_two_columns_are_joined_and_read_in_a_form_of_their_own(tmp_path: Path) -> None:
    path = csv(tmp_path, "d;c;p;q\n24.10.2025;10:02:01.5;1;2\n")
    time = {"column": ["d", "c"], "format": "%d.%m.%Y %H:%M:%S%.f", "zone": "America/New_York"}
    assert events(path, minimal(time=time), delimiter=";")["src_ts"].to_list() == [1761314521_500_000_000]


def test_times_of_a_day_count_from_the_midnight_of_the_day_in_the_name(tmp_path: Path) -> None:
    path = csv(tmp_path, "34200000,1,2\n", "20140605_spy.csv")
    time = {"column": 1, "unit": "ms", "day": r"(\d{8})_", "zone": "America/New_York"}
    columns = {"provider": {"value": "p"}, "symbol": {"file": r"\d{8}_([a-z]+)"}, "time": time, "price": 2, "size": 3}
    found = events(path, columns, header=False)
    assert found.select("symbol", "src_ts").rows() == [("spy", 1401975000_000_000_000)]  # 09:30 in New York


@given(st.integers(-(2**62), 2**62), st.sampled_from([1e-9, 0.0001, 0.01, 0.5, 1.0]))
def test_fixed_point_prices_are_the_nearest_floats(price: int, scale: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = csv(Path(folder), f"t,p,q\n1735689600,{price},1\n")
        columns = parse_map({"type": "trades/v2", "columns": minimal(price={"column": "p", "scale": scale})})
        found = mapped(path, columns)["price"][0]
    exact = Decimal(price) * Decimal(repr(scale))
    assert found == float(f"{exact:f}")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (minimal(price="pxx"), "has no column pxx; did you mean px?"),
        (minimal(time=9), "dump.csv has 4 columns, and the map reads column 9"),
        (
            minimal(time={"column": "t", "unit": "s"}),
            "time is not a time within 64-bit nanoseconds, but '1761314521234'",
        ),
        (minimal(time="d"), "row 2: time has no time zone: name the zone of the times with --zone"),
        (minimal(symbol={"file": "([A-Z]+)-trades"}), r"columns.symbol.file: .* finds nothing in the name .*dump.csv"),
        (minimal(side={"column": "px", "values": {"b": "buy"}}), "row 2: side is none of b, but '1.5'"),
        (minimal(side="px"), "row 2: side is none of buy, sell, but '1.5'"),
    ],
)
def test_what_does_not_fit_a_file_is_one_line(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    path = csv(tmp_path, "t,d,px,q\n1761314521234,2025-10-24 14:02:01,1.5,2\n")
    with pytest.raises(FileError, match=message) as raised:
        events(path, {**columns, "price": "px"} if columns["price"] == "p" else columns)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"columns": minimal(time={"column": "t", "unit": "h"})}, "columns.time.unit: Input should be 's', 'ms'"),
        ({"columns": minimal(time={"column": "t", "zone": "Mars"})}, "columns.time.zone: 'Mars' is not a time zone"),
        ({"columns": minimal(time={"value": 5})}, "columns.time is missing"),
        ({"columns": minimal(price={"column": "p", "scael": 2})}, "columns.price.scael is not a known key; did you"),
        ({"columns": minimal(price={"column": "p", "value": 2})}, "columns.price: give it one of column, value"),
        ({"columns": minimal(symbol={"file": "[a"})}, r"columns.symbol.file: '\[a' is not a regular expression"),
        ({"columns": minimal(symbol={"file": "abc"})}, "needs one group in parentheses"),
        (
            {"columns": minimal(), "header": False},
            "header is false, so that columns have numbers, and no name such as t",
        ),
        ({"colums": {}}, "colums is not a known key; did you mean columns?"),
        ({"columns": {}, "uses": "binance-trade"}, "there is no preset binance-trade; did you mean binance-trades?"),
    ],
)
def test_a_map_that_is_none_is_one_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(MapError, match=message) as raised:
        parse_map(entry)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"columns": minimal(pirce="x")}, "columns.pirce: events/v1 has no such field; did you mean price?"),
        ({"columns": minimal(), "type": "trade/v2"}, "no message type is called 'trade/v2'; did you mean trades/v2?"),
        ({"columns": minimal(), "type": "bars/v1"}, "bars/v1 is sent without an envelope"),
        ({"columns": {"time": "t"}}, "columns lacks provider, symbol, price, size"),
        ({"columns": minimal(price={"column": "p", "unit": "s"})}, "columns.price.unit is for times"),
        ({"columns": minimal(symbol={"column": "p", "scale": 2.0})}, "columns.symbol.scale is for numbers"),
    ],
)
def test_a_map_that_does_not_fit_its_type_is_one_line(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(MdpError, match=message):
        target_of(parse_map(entry))


def test_a_map_may_change_columns_of_a_preset(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"uses": "kraken-trades", "columns": {"symbol": {"value": "XBT"}}}))
    found, base = load_map(str(own)), load_map("kraken-trades")
    assert found.columns["symbol"].value == "XBT"
    assert found.columns["price"] == base.columns["price"]
    assert found.header is False


def test_a_name_that_is_no_map_suggests_one(tmp_path: Path) -> None:
    with pytest.raises(MapError, match=r"neither a file nor one of the presets; did you mean binance-trades\?"):
        load_map("binance-trade")
    twice = csv(tmp_path, "columns: {}\ncolumns: {}\n", "twice.yaml")
    with pytest.raises(MapError, match="columns comes twice"):
        load_map(str(twice))


def test_lines_of_json_that_are_none_and_rows_that_are_too_short_are_named(tmp_path: Path) -> None:
    path = csv(tmp_path, '{"t":1735689600,"p":1,"q":2}\n{"t":\n', "dump.ndjson")
    with pytest.raises(FileError, match="row 2: Input data was truncated"):
        events(path, minimal())
    numbered = {**minimal(), "time": 1, "price": 2, "size": 3}
    with pytest.raises(FileError, match="row 2: the row has 2 values, and the map reads number 3"):
        events(csv(tmp_path, "[1735689600,1,2]\n[1735689601,1]\n", "dump.ndjson"), numbered)


def test_a_column_that_json_has_nowhere_is_missing_and_one_that_some_lack_is_null(tmp_path: Path) -> None:
    rows = [{"t": 1735689600, "p": 1, "q": 2, "side": "buy"}, {"t": 1735689601, "p": 1, "q": 2}]
    path = csv(tmp_path, "\n".join(map(json.dumps, rows)), "dump.ndjson")
    assert mapped(path, parse_map({"type": "trades/v2", "columns": minimal(side="side")}))["side"].to_list() == [
        "buy",
        None,
    ]
    with pytest.raises(FileError, match=r"has no column sied; did you mean side\?"):
        events(path, minimal(side="sied"))


def test_a_zip_of_several_files_is_merged_by_time(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "dump.zip", "w") as archive:
        archive.writestr("A-x.csv", "t,p,q\n1735689600,1,1\n1735689602,3,1\n")
        archive.writestr("B-x.csv", "t,p,q\n1735689601,2,1\n")
        archive.writestr("__MACOSX/._B-x.csv", "junk")
    found = events(tmp_path / "dump.zip", minimal(symbol={"file": "([AB])-x"}))
    assert found.select("symbol", "c").rows() == [("A", 1.0), ("B", 2.0), ("A", 3.0)]
    broken = minimal(price="q", size="px", symbol={"value": "S"})
    with pytest.raises(FileError, match=r"dump\.zip/A-x\.csv has no column px"):
        events(tmp_path / "dump.zip", broken)


def test_every_preset_leads_somewhere() -> None:
    from connectors.files.maps import presets

    assert len(presets()) >= 10
    for name in presets():
        target_of(load_map(name))
    assert set(COLUMNS) <= set(target_of(map_for("csv")).fields)
