"""Files as the projects' own pages show them, and what their presets make of them.

The rows are those of the pages that docs/files.md names.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from connectors.files.maps import load_map
from mdp.ops.file_events import EventFiles

TICK = ("symbol", "src_ts", "c", "v", "seq")
BAR = ("symbol", "interval", "src_ts", "o", "h", "l", "c", "v")


def read(path: Path, preset: str) -> pl.DataFrame:
    return pl.concat(EventFiles([path], columns=load_map(preset)).rows())


@pytest.mark.parametrize(
    ("preset", "name", "text", "columns", "row"),
    [
        (
            "binance-trades",
            "BTCUSDT-trades-2025-01-01.csv",
            "4359,0.20000000,50.00000000,10.0,1735689600010866,False,True\n",
            TICK,
            ("BTCUSDT", 1735689600010866000, 0.2, 50.0, 4359),
        ),
        (
            "binance-trades",
            "BTCUSDT-trades-2024-01-01.csv",
            "id,price,qty,quote_qty,time,is_buyer_maker\n4359,0.2,50,10.0,1704067200010,true\n",
            TICK,
            ("BTCUSDT", 1704067200010000000, 0.2, 50.0, 4359),
        ),
        (
            "binance-aggtrades",
            "LTCBTC-aggTrades-2025-01.csv",
            "0,0.20000000,50.00000000,0,0,1735689600010866,False,True\n",
            TICK,
            ("LTCBTC", 1735689600010866000, 0.2, 50.0, 0),
        ),
        (
            "binance-klines",
            "BTCUSDT-1h-2025-01.csv",
            "1735689600000000,4.1507,4.1587,4.1506,4.1554,539.23,1735693199999999,2240.39860900,13,401.82,1669.98,0\n",
            BAR,
            ("BTCUSDT", "1h", 1735689600000000000, 4.1507, 4.1587, 4.1506, 4.1554, 539.23),
        ),
        (
            "databento-trades",
            "esh4.trades.csv",
            "ts_recv,ts_event,rtype,publisher_id,instrument_id,action,side,depth,price,size,flags,ts_in_delta,sequence,"
            "symbol\n2022-06-10T14:30:00.000148801Z,2022-06-10T14:30:00.000070033Z,0,1,3403,T,A,0,3955.500000000,1,0,"
            "18681,157862,ESM2\n",
            TICK,
            ("ESM2", 1654871400000070033, 3955.5, 1.0, 157862),
        ),
        (
            "databento-trades-raw",
            "esh4.trades.csv",
            "ts_event,side,price,size,sequence,symbol\n1654871400000070033,A,3955500000000,1,157862,ESM2\n",
            TICK,
            ("ESM2", 1654871400000070033, 3955.5, 1.0, 157862),
        ),
        (
            "kraken-trades",
            "XBTUSD.csv",
            "1559347203.7998,8552.90000,0.03190270\n",
            TICK,
            ("XBTUSD", 1559347203799800000, 8552.9, 0.0319027, None),
        ),
        (
            "kraken-ohlcvt",
            "XBTUSD_60.csv",
            "1559347200,8552.9,8560.0,8550.1,8555.2,12.5,320\n",
            BAR,
            ("XBTUSD", "1h", 1559347200000000000, 8552.9, 8560.0, 8550.1, 8555.2, 12.5),
        ),
        (
            "lean-crypto",
            "20180404_btceur_minute_trade.csv",
            "92000,132.01,132.05,131.95,132.03,49320\n",
            BAR,
            ("btceur", "1m", 1522800092000000000, 132.01, 132.05, 131.95, 132.03, 49320.0),
        ),
    ],
)
def test_a_row_of_the_projects_page(
    tmp_path: Path, preset: str, name: str, text: str, columns: tuple[str, ...], row: tuple[Any, ...]
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert read(path, preset).select(columns).rows() == [row]


def test_who_took_is_the_other_side_of_the_maker(tmp_path: Path) -> None:
    from connectors.files.reader import Reading
    from connectors.files.reader import read as read_files

    path = tmp_path / "BTCUSDT-trades-2025-01-01.csv"
    path.write_text("1,2,3,6,1735689600010866,True,True\n2,2,3,6,1735689600010866,False,True\n")
    reading = Reading.of_map(load_map("binance-trades"), None, None, lambda _: None)
    assert pl.concat(read_files([path], reading))["side"].to_list() == ["sell", "buy"]


def test_bars_of_lean_lie_in_archives_in_folders(tmp_path: Path) -> None:
    folder = tmp_path / "equity" / "usa" / "minute" / "aapl"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "20140605_trade.zip", "w") as archive:
        archive.writestr("20140605_aapl_minute_trade.csv", "34200000,6448000,6448000,6448000,6448000,90\n")
    row = ("aapl", "1m", 1401975000000000000, 644.8, 644.8, 644.8, 644.8, 90.0)
    assert read(folder / "20140605_trade.zip", "lean-equity").select(BAR).rows() == [row]


def test_freqtrade_keeps_candles_and_trades_as_feather(tmp_path: Path) -> None:
    time = pl.Series([1735689600000]).cast(pl.Datetime("ms", "UTC"))
    prices = dict(zip(("open", "high", "low", "close", "volume"), ([1.0], [4.0], [0.5], [2.0], [10.0]), strict=True))
    pl.DataFrame({"date": time, **prices}).write_ipc(tmp_path / "BTC_USDT-5m.feather")
    row = ("BTC_USDT", "5m", 1735689600000000000, 1.0, 4.0, 0.5, 2.0, 10.0)
    assert read(tmp_path / "BTC_USDT-5m.feather", "freqtrade-ohlcv").select(BAR).rows() == [row]
    trade = {
        "timestamp": 1735689600123,
        "id": "77",
        "type": None,
        "side": "sell",
        "price": 2.0,
        "amount": 3.0,
        "cost": 6.0,
    }
    pl.DataFrame([trade]).write_ipc(tmp_path / "BTC_USDT-trades.feather")
    found = read(tmp_path / "BTC_USDT-trades.feather", "freqtrade-trades").select(TICK).rows()
    assert found == [("BTC_USDT", 1735689600123000000, 2.0, 3.0, None)]
