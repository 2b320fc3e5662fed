"""The expected outputs, computed event by event in plain Python while the log is written.

It shares no code with the pipeline except a JSON parser. It is small rather than complete: it covers the load only.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from chaos.market import (
    ALLOW_LATE_NS,
    AMEND_NS,
    CHEAP,
    MAX_FUTURE_NS,
    RETURN_NS,
    RISING,
    SPAN_NS,
    VWAP_NS,
    WINDOW_NS,
)

BarRow = tuple[float, float, float, float, float, float | None, int, int]
FeatureRow = tuple[float | None, float | None]
Place = tuple[int, int]  # partition, offset

_SECOND: Final = 10**9
_NEVER: Final = 2**63
_MOST_PRICE: Final = 1e15
_MOST_SIZE: Final = 1e18
_UNIT_BITS: Final = 150  # of a binary fraction that represents every price and size of the load exactly
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Expected:
    """The expected contents of the database and the topics at the end; times are nanoseconds.

    Attributes:
        bars: open, high, low, close, volume, vwap, trades, revision by (symbol, start of the window).
        features: return and vwap by (symbol, end of the window).
        signals: (symbol, end of the window, name).
    """

    bars: dict[tuple[str, int], BarRow] = field(default_factory=dict)
    features: dict[tuple[str, int], FeatureRow] = field(default_factory=dict)
    signals: set[tuple[str, int, str]] = field(default_factory=set)
    rejected: set[Place] = field(default_factory=set)
    late: set[Place] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)


class _Row(msgspec.Struct, gc=False):
    provider: str = ""
    symbol: str = ""
    kind: str = ""
    src_ts: str = ""
    c: float | None = None
    v: float | None = None
    seq: int = 0
    event_id: str = ""
    ver: int = 1


_decode: Final = msgspec.json.Decoder(_Row).decode


@dataclass(slots=True)
class _Bar:
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    open: float
    close: float
    high: float
    low: float
    volume: int = 0
    turnover: int = 0
    trades: int = 0
    revision: int = 0
    ids: set[str] = field(default_factory=set)

    def add(self, row: _Row, price: float, size: float, place: tuple[int, int, int]) -> None:
        if place < self.first:
            self.first, self.open = place, price
        if place > self.last:
            self.last, self.close = place, price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.volume += round(size * 1e9)
        self.turnover += _units(price) * _units(size)
        self.trades += 1
        self.ids.add(row.event_id)

    @property
    def values(self) -> BarRow:
        volume, turnover = self.volume / 10**9, self.turnover / 2 ** (2 * _UNIT_BITS)  # the nearest floats
        vwap = min(max(turnover / volume, self.low), self.high) if volume else None
        return self.open, self.high, self.low, self.close, volume, vwap, self.trades, self.revision


_Bars = dict[int, dict[str, _Bar]]  # by window, then by symbol


class _Feed:
    """One provider on one partition, with its own watermark."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._newest = -_NEVER
        self._next_end = _NEVER
        self._open: _Bars = {}
        self._closed: _Bars = {}
        self._past: dict[str, dict[int, BarRow]] = {}  # by symbol, then by end of the window
        self._rose: dict[str, tuple[int, bool]] = {}

    def take(self, row: _Row, price: float, size: float, ts: int, offset: int) -> str:
        window = ts - ts % WINDOW_NS
        end = window + WINDOW_NS
        watermark = max(ts, self._newest) - ALLOW_LATE_NS
        if end + AMEND_NS < watermark:
            return "late"
        is_open = end > watermark
        bars = (self._open if is_open else self._closed).setdefault(window, {})
        bar = bars.get(row.symbol)
        place = (ts, row.seq, offset)
        if bar is None:
            bar = bars[row.symbol] = _Bar(place, place, price, price, price, price)
        elif row.event_id in bar.ids:
            return "duplicate"
        bar.add(row, price, size, place)
        if is_open:
            self._next_end = min(self._next_end, end)
            self.advance(ts)
            return "accepted"
        bar.revision += 1
        self._past.setdefault(row.symbol, {})[end] = bar.values
        return "amending"

    def advance(self, ts: int) -> None:
        if ts > self._newest:
            self._newest = ts
            if ts - ALLOW_LATE_NS >= self._next_end:
                self._close(ts - ALLOW_LATE_NS)

    def _close(self, watermark: int) -> None:
        for window in sorted(window for window in self._open if window + WINDOW_NS <= watermark):
            bars = self._open.pop(window)
            for symbol, bar in bars.items():
                self._evaluate(symbol, window + WINDOW_NS, bar.values)
            self._closed[window] = bars | self._closed.get(window, {})
        for window in [window for window in self._closed if window + WINDOW_NS + AMEND_NS < watermark]:
            self._keep(window)
        self._next_end = min(self._open, default=_NEVER) + WINDOW_NS

    def _keep(self, window: int) -> None:
        for symbol, bar in self._closed.pop(window).items():
            self._expected.bars[symbol, window] = bar.values

    def _evaluate(self, symbol: str, at: int, bar: BarRow) -> None:
        past = self._past.setdefault(symbol, {})
        past[at] = bar
        for end in [end for end in past if end <= at - SPAN_NS - AMEND_NS]:
            del past[end]
        change, vwap = _return(past, at), _vwap(past, at)
        self._expected.features[symbol, at] = change, vwap
        if vwap is not None and bar[3] < vwap:
            self._expected.signals.add((symbol, at, CHEAP))
        rises = change is not None and change > 0
        before, rose = self._rose.get(symbol, (-_NEVER, False))
        if rises and not (rose and at - before < SPAN_NS):
            self._expected.signals.add((symbol, at, RISING))
        self._rose[symbol] = at, rises

    def finish(self) -> None:
        for window in list(self._closed):
            self._keep(window)


def _return(past: dict[int, BarRow], at: int) -> float | None:
    base = max((end for end in past if at - 2 * RETURN_NS < end <= at - RETURN_NS), default=None)
    return past[at][3] / past[base][3] - 1 if base is not None and past[base][3] else None


def _vwap(past: dict[int, BarRow], at: int) -> float | None:
    turnover = volume = 0.0
    prices = []
    for end in sorted(end for end in past if at - VWAP_NS < end <= at):
        bar_volume, bar_vwap = past[end][4:6]
        if bar_vwap is not None:
            turnover += bar_vwap * bar_volume
            volume += bar_volume
            prices.append(bar_vwap)
    return min(max(turnover / volume, min(prices)), max(prices)) if volume else None


class Oracle:
    """All partitions; call `take` once per record, in log order for each partition."""

    def __init__(self) -> None:
        self.expected = Expected()
        self._feeds: dict[tuple[int, str], _Feed] = {}

    def take(self, partition: int, offset: int, written: int, value: bytes | None) -> None:
        """Processes a record; `written` is its timestamp, in nanoseconds."""
        outcome = self._take(partition, offset, written, value)
        self.expected.outcomes[outcome] += 1
        if outcome == "late":
            self.expected.late.add((partition, offset))
        elif outcome == "rejected":
            self.expected.rejected.add((partition, offset))

    def _take(self, partition: int, offset: int, written: int, value: bytes | None) -> str:
        try:
            row = _decode(value or b"")
            ts = _nanoseconds(row.src_ts)
        except (msgspec.MsgspecError, ValueError):
            return "rejected"
        if row.ver != 1 or not _is_name(row.provider) or ts > written + MAX_FUTURE_NS:
            return "rejected"
        feed = self._feeds.get((partition, row.provider))
        if feed is None:
            feed = self._feeds[partition, row.provider] = _Feed(self.expected)
        if row.kind == "heartbeat":
            feed.advance(ts)
            return "heartbeat"
        price, size = row.c, row.v
        if row.kind != "tick" or not _is_name(row.symbol) or price is None or size is None:
            return "rejected"
        if not (abs(price) <= _MOST_PRICE and 0 <= size <= _MOST_SIZE):
            return "rejected"
        return feed.take(row, price, size, ts, offset)

    def finish(self) -> Expected:
        """The results of closed windows, without those still open."""
        for feed in self._feeds.values():
            feed.finish()
        return self.expected


def _units(number: float) -> int:
    return int(number * 2.0**_UNIT_BITS)


def _is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= 256


def _nanoseconds(text: str) -> int:
    if text[-1:] != "Z":
        raise ValueError(text)
    fraction = text[20:-1]
    return _second(text[:19]) + (int(fraction.ljust(9, "0")) if fraction else 0)


@lru_cache(maxsize=1_000)
def _second(text: str) -> int:
    seconds = int((datetime.fromisoformat(text + "+00:00") - _EPOCH).total_seconds())
    if seconds > 2**63 // _SECOND:
        raise ValueError(text)
    return seconds * _SECOND
