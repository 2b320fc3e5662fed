"""A browser: what it shows, and what has been sent to it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from mdp.serve.directory import Directory, Instrument, Length
from mdp.serve.mailbox import Mailbox
from mdp.serve.view import View
from sinks.queries.charts import Chart, ChartRows
from sinks.queries.live import Series, Signal

LISTED: Final = 40  # series in the watch list of one browser; a search finds others
RECENT: Final = 30  # signals

_Key = TypeVar("_Key", bound=Hashable)
_Row = TypeVar("_Row")


@dataclass(eq=False)
class Client:
    """One open stream; what the visitor has not chosen gets a default as soon as there are series.

    Attributes:
        chart: the shown chart; None while there are no bars.
        listed: the series in its watch list.
    """

    view: View
    mailbox: Mailbox = field(default_factory=Mailbox)
    chart: Chart | None = None
    listed: tuple[Series, ...] = ()
    _is_begun: bool = False
    _sent: dict[str, Any] = field(default_factory=dict)  # the last values and rows by kind of update
    _rows: dict[str, Mapping[Any, Any]] = field(default_factory=dict)

    def resolve(self, directory: Directory) -> None:
        """Update the choices from the current directory."""
        if self.chart is None:
            self.chart = self._first_chart(directory)
        found = directory.search(self.view.listed, self.view.search, self.view.order)
        shown = found[:LISTED]
        self.listed = tuple(filter(None, map(directory.series, shown)))
        self._send("order", {"symbols": shown, "found": len(found)})
        charted = [] if self.chart is None else [Instrument(*self.chart.series[:2])]
        quotes = {one: directory.quote(one) for one in {*shown, *charted}}
        self._send_rows("quotes", {one: (*one, quote.first, quote.volume) for one, quote in quotes.items()})
        self._send("lengths", [length for one in charted for length in directory.lengths(one)])

    def send_chart(self, found: Mapping[Chart, ChartRows]) -> None:
        """Send updates of the chart."""
        chart = self.chart
        if chart is None or chart not in found:
            return
        bars = {bar.time: bar for bar in found[chart].bars}
        before = self._rows.get("bars", {})
        has_gap = bool(before) and before.keys().isdisjoint(bars)  # more was written than one query reads
        if not self._is_begun or has_gap:
            self._is_begun = True
            for kind in ("bars", "marks", "features"):
                self.mailbox.withdraw(kind)
            shown = {**chart.series._asdict(), "rollup": chart.rollup, "features": chart.features}
            self.mailbox.put("chart", {**shown, "window": chart.window})
        self._send_rows("bars", bars)
        self._send_rows("marks", {mark[:4]: mark for mark in found[chart].marks})
        self._send_rows("features", {row[0]: row for row in found[chart].features})

    def send_lines(self, lines: Mapping[Series, Sequence[float]]) -> None:
        """Send updates of the watch list: lines of closes, oldest first."""
        known = {series: lines[series] for series in self.listed if series in lines}
        self._send_rows("lines", {series: (*series[:2], line) for series, line in known.items()})

    def send_recent(self, signals: Sequence[Signal]) -> None:
        """Send the signals, newest first, that it lists."""
        provider, name = self.view.listed, self.view.signal
        listed = [one for one in signals if provider in ("", one.provider) and name in ("", one.name)]
        self._send("recent", listed[:RECENT])

    def _first_chart(self, directory: Directory) -> Chart | None:
        chosen = self._chosen(directory)
        if chosen is None:
            return None
        view, lengths = self.view, directory.lengths(chosen)
        wanted = Length(view.interval, view.rollup)
        if not lengths and not view.interval:
            return None
        length = wanted if wanted in lengths or not lengths else lengths[0]
        features = tuple(name for name in view.features if name in directory.features)
        return Chart(Series(*chosen, length.interval), length.rollup, features)

    def _chosen(self, directory: Directory) -> Instrument | None:
        view = self.view
        if view.provider and view.symbol:
            return Instrument(view.provider, view.symbol)
        found = directory.search(view.provider or view.listed, view.symbol, "name")
        return next((one for one in found if view.symbol in ("", one.symbol)), directory.first)

    def _send(self, kind: str, value: Any) -> None:
        if kind not in self._sent or self._sent[kind] != value:
            self._sent[kind] = value
            self.mailbox.put(kind, value)

    def _send_rows(self, kind: str, now: Mapping[_Key, _Row]) -> None:
        before = self._rows.get(kind, {})
        self.mailbox.put_rows(kind, {key: row for key, row in now.items() if before.get(key) != row})
        self._rows[kind] = now
