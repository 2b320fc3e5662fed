"""A proposed map works as it is printed, and leads to what the file holds."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from connectors.files.errors import FileError
from connectors.files.guess import NAMES, guess
from connectors.files.maps import load_map, parse_map
from connectors.files.targets import target_of
from mdp.ops.file_events import EventFiles
from tests.connectors.mapped_tables import mapped

T0 = 1_761_314_521_234_567_000  # 2025-10-24T14:02:01.234567Z


def saved(path: Path) -> dict[str, Any]:
    """The map that is proposed for a file, after it was saved."""
    file = path.with_name("map.yaml")
    file.write_text(guess(path).text)
    return {word: source.model_dump(exclude_unset=True) for word, source in load_map(str(file)).columns.items()}


def write(tmp_path: Path, name: str, *lines: str) -> Path:
    path = tmp_path / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


NAMED = st.fixed_dictionaries(
    {role: st.sampled_from(NAMES[role].split()) for role in ("time", "symbol", "price", "size", "side", "sequence")}
).filter(lambda names: len(set(names.values())) == len(names))


@given(NAMED, st.sampled_from(["csv", "ndjson", "parquet"]), st.sampled_from([str.upper, str.title, str]))
def test_names_that_are_known_say_what_columns_are(names: dict[str, str], kind: str, case: Any) -> None:
    rows = {
        names["time"]: [T0 // 1_000_000, T0 // 1_000_000 + 7],
        names["symbol"]: ["A", "B"],
        names["price"]: [1.5, 2.5],
        names["size"]: [1.0, 2.0],
        names["side"]: ["buy", "sell"],
        names["sequence"]: [7, 9],
    }
    frame = pl.DataFrame({case(name): values for name, values in rows.items()})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        getattr(frame, f"write_{kind}")(path)
        found = mapped(path, parse_map(guess(path).entry | {"type": "trades/v2"}))
    assert found["flaw"].null_count() == 2
    assert found.select("symbol", "price", "size", "side", "seq").rows() == [
        ("A", 1.5, 1.0, "buy", 7),
        ("B", 2.5, 2.0, "sell", 9),
    ]
    assert found["src_ts"].to_list() == [T0 // 1_000_000 * 1_000_000, (T0 // 1_000_000 + 7) * 1_000_000]


def test_columns_without_names_are_known_by_their_values(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "BTCUSDT-trades-2025.csv",
        "4359,42000.2,0.5,21000.1,1735689600010866,False,True",
        "4360,42000.1,10.25,430501.02,1735689600010999,True,True",
        "4363,42001.0,0.001,42.001,1735689600020000,False,True",
    )
    found = saved(path)
    assert found["time"] == {"column": 5, "unit": "us"}
    assert (found["price"], found["size"], found["sequence"]) == ({"column": 2}, {"column": 3}, {"column": 1})
    assert found["side"] == {"column": 6, "values": {True: "sell", False: "buy"}}
    events = pl.concat(EventFiles([path], columns=parse_map(guess(path).entry)).rows())
    assert events.select("symbol", "c", "v", "seq").row(0) == ("BTCUSDT", 42000.2, 0.5, 4359)


def test_bars_are_known_by_highs_and_lows_and_their_length_by_their_times(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "XBTUSD.csv",
        "1559347200,10,12,9,11,5,3",
        "1559347260,11,11,10.5,10.5,1,1",
        "1559347380,11,12,8,9,1,1",
    )
    found = saved(path)
    assert {word: found[word]["column"] for word in ("open", "high", "low", "close", "volume")} == {
        "open": 2, "high": 3, "low": 4, "close": 5, "volume": 6,
    }  # fmt: skip
    assert found["interval"] == {"value": "1m"}
    events = pl.concat(EventFiles([path], columns=parse_map(guess(path).entry)).rows())
    assert events.select("kind", "symbol", "h").row(0) == ("bar", "XBTUSD", 12.0)


def test_quotes_are_known_by_bid_and_ask(tmp_path: Path) -> None:
    path = write(tmp_path, "q.csv", "Time,Ticker,Bid,Ask,BidSize", "2025-10-24T14:02:01Z,SPY,1.5,1.6,100")
    proposed = guess(path)
    assert proposed.head == {"type": "quotes/v2"}
    assert target_of(parse_map(proposed.entry)).kind.id == "quotes/v2"
    assert {word: proposed.columns[word] for word in ("bid", "ask", "bid_size")} == {
        "bid": "Bid", "ask": "Ask", "bid_size": "BidSize",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "time", "first"),
    [
        (("2025-10-24 14:02:01", "2025-10-24 14:02:02"), {"zone": "UTC"}, T0 // 10**9 * 10**9),
        (("2025-10-24T14:02:01.234567Z", "2025-10-24T14:02:02Z"), {}, T0),
        (("1761314521.234567", "1761314522"), {"unit": "s"}, T0),
        (
            ("24.10.2025 14:02:01", "24.10.2025 14:02:02"),
            {"format": "%d.%m.%Y %H:%M:%S%.f", "zone": "UTC"},
            T0 // 10**9 * 10**9,
        ),
        (
            ("20251024 14:02:01", "20251024 14:02:02"),
            {"format": "%Y%m%d %H:%M:%S%.f", "zone": "UTC"},
            T0 // 10**9 * 10**9,
        ),
    ],
)
def test_times_are_proposed_as_they_are_read(
    tmp_path: Path, cells: tuple[str, str], time: dict[str, str], first: int
) -> None:
    path = write(tmp_path, "spy.csv", "stamp,time,px,qty", *(f"x,{cell},1,1" for cell in cells))
    found = saved(path)
    assert found["time"] == {"column": "time", **time}
    events = pl.concat(EventFiles([path], columns=parse_map(guess(path).entry)).rows())
    assert events["src_ts"][0] == first
    assert any("UTC" in remark for remark in guess(path).remarks) == ("zone" in time)


def test_a_date_and_a_time_are_joined(tmp_path: Path) -> None:
    path = write(tmp_path, "spy.csv", "Date;Time;Price;Qty", "2025-10-24;14:02:01.5;1;1", "2025-10-24;14:02:02.5;1;1")
    proposed = guess(path)
    assert proposed.head == {"delimiter": ";"}
    assert proposed.columns["time"] == {"column": ["Date", "Time"], "zone": "UTC"}
    events = pl.concat(EventFiles([path], columns=parse_map(proposed.entry)).rows())
    assert events["src_ts"][0] == 1761314521_500_000_000


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    proposed = guess(write(tmp_path, "trades.csv", "ts,px", "1761314521,1.5", "1761314522,1.5"))
    assert proposed.columns["symbol"] == {"value": "unknown"}
    assert proposed.columns["size"] == {"value": 0}
    assert any("symbol is not in the file" in remark for remark in proposed.remarks)
    assert any("no column looks like size" in remark for remark in proposed.remarks)
    assert yaml.safe_load(proposed.text) == proposed.entry


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "ts,px\n", "a.csv holds no rows"),
        ("a.csv", "", "a.csv holds no rows"),
        ("a.csv", "what,px\nx,1\n", "none of its columns holds times that are known"),
        ("a.csv", "ts,what\n1761314521,1\n", "no column looks like price: write the map by hand"),
        ("a.json", "[5]", "holds neither objects nor rows"),
    ],
)
def test_a_file_of_which_nothing_is_known_is_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        guess(path)


def test_objects_of_json_are_read_like_columns(tmp_path: Path) -> None:
    rows = [{"ts": 1761314521234, "sym": "A", "px": "1.50", "qty": 2, "side": "B"}] * 3
    path = write(tmp_path, "feed.ndjson", *map(json.dumps, rows))
    assert saved(path)["side"] == {"column": "side", "values": {"B": "buy", "S": "sell"}}
