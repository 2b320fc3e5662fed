"""Bars from an exchange's trades are the candles that the exchange itself has published."""

import json
from pathlib import Path
from typing import Any

import pytest

from mdp.ops.file_events import EventFiles
from tests.harness import Deployments
from transports.kafka.producer import produce

DATA = Path(__file__).resolve().parent.parent / "data"
CUT_OFF = 1762795380  # the minute in which the file of trades begins

Bar = dict[str, Any]


@pytest.fixture(scope="module")
def bars(deploy: Deployments) -> dict[int, Bar]:
    kraken = deploy(micro_batch={"window_ms": 60_000})
    sent = produce(
        EventFiles([DATA / "kraken_xbtusdt_trades.json"]).rows(), {"bootstrap.servers": kraken.kafka}, kraken.events
    )
    assert sent.total == 1_000
    kraken.run()
    columns = ("open", "high", "low", "close", "volume", "trades", "vwap")
    rows = kraken.query(
        f"SELECT extract(epoch FROM window_start)::bigint, {', '.join(columns)} FROM bars_ohlcv"
        " WHERE (provider, symbol, \"interval\") = ('kraken', 'XBTUSDT', '1m')"
    )
    return {start: dict(zip(columns, values, strict=True)) for start, *values in rows}


@pytest.fixture(scope="module")
def candles() -> dict[int, Bar]:
    """The minutes with a trade; prices and volumes as the doubles nearest to their decimals."""
    published = json.loads((DATA / "kraken_xbtusdt_ohlc_1m.json").read_text())["result"]["XBTUSDT"]
    names = ("open", "high", "low", "close", "vwap", "volume")
    return {
        start: {**{name: float(text) for name, text in zip(names, texts, strict=True)}, "trades": count}
        for start, *texts, count in published
        if count
    }


def test_every_minute_with_a_trade_has_a_bar(bars: dict[int, Bar], candles: dict[int, Bar]) -> None:
    traded = {start for start in candles if start >= CUT_OFF and start <= max(bars)}
    assert bars.keys() == traded
    assert len(bars) == 274


def test_bars_equal_the_candles_in_every_digit(bars: dict[int, Bar], candles: dict[int, Bar]) -> None:
    exact = ("open", "high", "low", "close", "volume", "trades")
    different = {start for start, bar in bars.items() if any(bar[name] != candles[start][name] for name in exact)}
    assert different == {CUT_OFF}


def test_vwap_is_the_candles_before_kraken_cut_off_its_decimals(bars: dict[int, Bar], candles: dict[int, Bar]) -> None:
    excess = [bar["vwap"] - candles[start]["vwap"] for start, bar in bars.items() if start != CUT_OFF]
    assert min(excess) > -1e-9
    assert max(excess) < 0.1
