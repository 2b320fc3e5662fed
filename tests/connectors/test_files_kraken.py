from pathlib import Path

import polars as pl
import pytest

from connectors.files.errors import FileError
from mdp.ops.file_events import EventFiles

TRADES = """{"error": [], "result": {"XBTUSDT": [
  ["105433.60000", "0.00027625", 1762795433.9717445, "b", "l", "", 10218208],
  ["105410.10000", "0.00005000", 1762795457.8467374, "b", "m", "", 10218209],
  ["105383.80000", "0.00012460", 1762795473, "s", "m", "", 10218210]
], "last": "1762820035982277754"}}"""


def events(tmp_path: Path, text: str) -> pl.DataFrame:
    path = tmp_path / "trades.json"
    path.write_text(text)
    return pl.concat(EventFiles([path]).rows())


def test_trades_become_ticks_with_every_digit_of_their_time(tmp_path: Path) -> None:
    trades = events(tmp_path, TRADES)
    assert trades.select("provider", "symbol", "kind").unique().row(0) == ("kraken", "XBTUSDT", "tick")
    assert trades["src_ts"].to_list() == [1762795433_971744500, 1762795457_846737400, 1762795473_000000000]
    assert trades["c"].to_list() == [105433.6, 105410.1, 105383.8]
    assert trades["v"].to_list() == [0.00027625, 0.00005, 0.0001246]
    assert trades["seq"].to_list() == [10218208, 10218209, 10218210]


def test_an_answer_on_one_line_is_no_line_of_ndjson(tmp_path: Path) -> None:
    assert events(tmp_path, TRADES.replace("\n", "")).equals(events(tmp_path, TRADES))


def test_several_pairs_keep_their_names(tmp_path: Path) -> None:
    trades = events(tmp_path, TRADES.replace('"last":', '"ETHUSDT": [["1", "2", 3.5, "b", "l", "", 4]], "last":'))
    assert trades["symbol"].to_list() == ["XBTUSDT"] * 3 + ["ETHUSDT"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{\n"error": ["EQuery:Unknown asset pair"]}',
            r"has no rows at result\.\*, but .*Unknown asset pair",
        ),
        ('{\n"result": {"XBTUSDT": [["1", "2", 3.5]', "is not JSON: value 1: "),
        (
            '{"result": {"XBTUSDT": [[1762795380, "1", "2", "1", "1", "1", "3", 7]]}}',
            "row 1: side is none of b, s, but '1'",
        ),
        (
            '{"result": {"XBTUSDT": [["1", "2", "soon", "b", "l", "", 4]]}}',
            "row 1: time is not a time such as .* 'soon'",
        ),
        ('{"result": {"XBTUSDT": {"a": 1}}}', r"has no rows at result\.\*"),
    ],
)
def test_what_is_no_trade_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        events(tmp_path, text)
