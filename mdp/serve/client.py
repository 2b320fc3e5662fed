"""A browser: what it looks at, and what it has been told of that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from contracts.duration import parse_duration
from mdp.serve.directory import Directory, Feed
from mdp.serve.mailbox import Mailbox
from sinks.queries.live import Bar, Series, Signal

LISTED: Final = 40  # series in the watch list of one browser; a search finds the others
_NS_PER_MS: Final = 1_000_000

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@dataclass(eq=False)
class Client:
    """One open stream; what it has not chosen is chosen for it as soon as there is something.

    Attributes:
        text: what its watch list is searched for.
        listed: the series in its watch list.
    """

    feed: Feed | None
    symbol: str | None
    text: str
    mailbox: Mailbox = field(default_factory=Mailbox)
    listed: tuple[Series, ...] = ()
    _order: Any = None
    _is_begun: bool = False
    _bars: dict[int, Bar] = field(default_factory=dict)
    _signals: dict[Any, Signal] = field(default_factory=dict)
    _lines: dict[Series, Sequence[float]] = field(default_factory=dict)

    @property
    def series(self) -> Series | None:
        """What its chart is of."""
        return None if self.feed is None or self.symbol is None else _series(self.feed, self.symbol)

    def resolve(self, directory: Directory) -> None:
        """Bring the choices up to what there is now."""
        self.feed = self.feed or directory.first_feed
        if self.feed is None:
            return
        found = directory.search(self.feed, self.text)
        if self.symbol is None and found:
            self.symbol = found[0]
        self.listed = tuple(_series(self.feed, symbol) for symbol in found[:LISTED])
        order = {"symbols": [series.symbol for series in self.listed], "found": len(found)}
        if order != self._order:
            self._order = order
            self.mailbox.put("order", order)

    def tell_chart(self, bars: Mapping[Series, Sequence[Bar]], signals: Mapping[Series, Sequence[Signal]]) -> None:
        """Pass on what is new about the chart."""
        series = self.series
        if series is None or series not in bars:
            return
        now = {bar.time: bar for bar in bars[series]}
        has_gap = bool(self._bars) and self._bars.keys().isdisjoint(now)  # more was written than is read at a time
        if not self._is_begun or has_gap:
            self._is_begun = True
            self.mailbox.withdraw("bars")
            self.mailbox.put("chart", {**series._asdict(), "window": _milliseconds(series.interval)})
        self.mailbox.put_rows("bars", _news(self._bars, now))
        made = {(signal.time, signal.name, signal.adapter): signal for signal in signals[series]}
        self.mailbox.put_rows("signals", _news(self._signals, made))
        self._bars, self._signals = now, made

    def tell_lines(self, lines: Mapping[Series, Sequence[float]]) -> None:
        """Pass on what is new in the watch list: lines of closes, oldest first."""
        now = {series: lines[series] for series in self.listed if series in lines}
        changed = _news(self._lines, now)
        self.mailbox.put_rows("lines", {series: [series.symbol, line] for series, line in changed.items()})
        self._lines = now


def _series(feed: Feed, symbol: str) -> Series:
    return Series(feed.provider, symbol, feed.interval)


def _milliseconds(interval: str) -> int:
    return parse_duration(interval) // _NS_PER_MS


def _news(before: Mapping[_Key, _Row], now: Mapping[_Key, _Row]) -> dict[_Key, _Row]:
    return {key: row for key, row in now.items() if before.get(key) != row}
