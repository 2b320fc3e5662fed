"""The view and the picture of it, at every size, from nothing to look at to more than there is room for."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from contracts.batch import Outcomes
from features.rolling.feature_config import FeatureConfig
from mdp.demo.observer import Snapshot
from mdp.demo.picture import save_svg
from mdp.demo.symbols import sparkline
from mdp.demo.view import View
from transports.outgoing import GOOD, Sent

START = datetime(2025, 10, 24, 14, 0, tzinfo=UTC)
FEATURES = [
    FeatureConfig(name="ret_10s", kind="return", horizon="10s"),
    FeatureConfig(name="rsi", kind="rsi", horizon="8s"),
    FeatureConfig(name="skew_9s", kind="skewness", horizon="9s"),
]


def snapshot(symbols: int, bars: int = 30) -> Snapshot:
    names = [f"SYM{number}" for number in range(10, 10 + symbols)]
    rows = [
        {
            "provider": "test", "symbol": name, "interval": "1s", "window_start": START + timedelta(seconds=age),
            "open": 99_999.0, "high": 99_999.5, "low": 99_998.0, "close": 99_998.25 + age / 100, "volume": 1_234_567.0,
            "vwap": None if name == "SYM10" else 99_998.5, "trades": 12_345, "revision": age % 2,
        }
        for name in names
        for age in range(bars, 0, -1)
    ]  # fmt: skip
    features = [{"symbol": name, "ret_10s": -0.0123, "rsi": 71.2, "skew_9s": None, "close": 1.0} for name in names]
    signals = [
        {
            "symbol": name, "ts": START + timedelta(seconds=place), "name": "rsi_overbought", "value": -1.0,
            "score": 0.7, "adapter": "rules", "meta": '{"price": 99998.5}',
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    return Snapshot(
        sent=Sent({GOOD: 12_345_678}),
        rate=123_456.7,
        delay=12.34,
        outcomes=Outcomes(11_111_111, 222_222, 333_333, 44_444, 55_555, 6),
        rows={"bars_ohlcv": 777_777, "features": 777_776, "signals": 8_888},
        bars=pl.DataFrame(rows),
        features=pl.DataFrame(features),
        signals=pl.DataFrame(signals),
    )


def lines(shown: Snapshot, width: int, height: int) -> list[str]:
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, legacy_windows=False
    )
    console.print(View(shown, FEATURES, "live  0:07 of 0:20", "Ctrl-C ends it"))
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 24), (140, 50), (240, 67)])
def test_everything_fits_the_terminal(width: int, height: int) -> None:
    shown = lines(snapshot(12), width, height)
    text = "\n".join(shown)
    assert len(shown) <= height
    assert max(map(len, shown)) <= width
    for number in range(10, 22):
        assert f"SYM{number} " in text
    for figure in ("123,457", "12,345,678", "-12.3 s", "11,111,111", "222,222", "777,777", "8,888", "-1.23%"):
        assert figure in text
    assert "…" not in text
    assert "rsi_overbought" in text


def test_a_wide_terminal_shows_whole_bars_and_more_features() -> None:
    heads = {width: next(line for line in lines(snapshot(3), width, 24) if "trades" in line) for width in (80, 140)}
    assert "high" not in heads[80]
    assert "skew_9s" not in heads[80]
    assert re.search(r"open +high +low +close .* ret_10s +rsi +skew_9s", heads[140])


def test_what_is_not_known_yet_is_a_dash() -> None:
    (first,) = (line for line in lines(snapshot(1), 140, 24) if re.match(r" *SYM10 .*█", line))
    assert re.search(r"1.2M +- +12,345", first)  # vwap
    assert re.search(r" 71 +- ", first)  # skewness


def test_nothing_to_look_at_is_a_view_too() -> None:
    assert "none yet" in "\n".join(lines(Snapshot(), 80, 24))


def test_symbols_without_room_are_counted() -> None:
    shown = lines(snapshot(90), 80, 24)
    assert len(shown) <= 24
    visible = sum("SYM" in line and "rsi_overbought" not in line for line in shown)
    assert f"{90 - visible} more symbols" in "\n".join(shown)


@pytest.mark.parametrize(
    ("values", "blocks", "style"),
    [([1.0, 2.0, 8.0], "▁▂█", "green"), ([3.0, 1.0], "█▁", "red"), ([5.0, 5.0], "▁▁", ""), ([], "", "")],
)
def test_a_sparkline_spans_its_values(values: list[float], blocks: str, style: str) -> None:
    line = sparkline(values, 10)
    assert line.plain == blocks
    assert line.style == style


def test_a_sparkline_shows_the_last_values() -> None:
    assert sparkline([9.0, 1.0, 2.0], 2).plain == "▁█"


def test_the_picture_loads_nothing_and_keeps_every_text_in_its_place(tmp_path: Path) -> None:
    path = tmp_path / "images" / "terminal.svg"
    save_svg(View(snapshot(12), FEATURES, "live", "Ctrl-C ends it"), path)
    svg = path.read_text(encoding="utf-8")
    assert re.findall(r"\w+://[^\"]+", svg) == ["http://www.w3.org/2000/svg"]  # the name of the format
    assert "@" not in svg
    assert set(re.findall(r"url\((.)", svg)) == {"#"}
    places = re.findall(r'<text class="mdp-r\d+" x="([\d.]+)" y="[\d.]+" textLength="([\d.]+)"[^>]*>([^<]+)<', svg)
    assert {text for _, _, text in places if "SYM" in text} >= {f"SYM{number}" for number in range(10, 22)}
    assert not [text for _, _, text in places if text.startswith("&#160;") or text.endswith("&#160;")]
    (ends,) = (float(x) + float(width) for x, width, text in places if text == "Ctrl-C&#160;ends&#160;it")
    assert ends == pytest.approx(129 * 12.2)
