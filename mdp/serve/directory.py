"""The directory of series, searchable and in several orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from mdp.serve.market import Quote
from sinks.queries.charts import ROLLUP_LENGTHS, milliseconds
from sinks.queries.live import Series

ORDERS: Final = ("name", "volume", "gain", "loss")


class Instrument(NamedTuple):
    """A provider's symbol, a row of the watch list, with bars of any length."""

    provider: str
    symbol: str


class Length(NamedTuple):
    """A length of bars: the interval of a series, or a rollup of it."""

    interval: str
    rollup: str = ""


class Directory:
    """All series that can be shown.

    Args:
        series: those with bars.
        quotes: their quotes.
        features: names of all features.
    """

    def __init__(
        self,
        series: Sequence[Series] = (),
        quotes: Mapping[Series, Quote] | None = None,
        features: Sequence[str] = (),
    ) -> None:
        self._quotes = quotes or {}
        self.features = tuple(features)
        self._intervals: dict[Instrument, list[str]] = {}
        for provider, symbol, interval in sorted(series):
            self._intervals.setdefault(Instrument(provider, symbol), []).append(interval)
        for intervals in self._intervals.values():
            intervals.sort(key=milliseconds)
        self.providers = sorted(Counter(one.provider for one in self._intervals).items())
        self._found: dict[tuple[str, str, str], list[Instrument]] = {}  # most browsers repeat the same request

    @property
    def first(self) -> Instrument | None:
        """The default instrument; None while there are no bars."""
        if not self.providers:
            return None
        provider = max(self.providers, key=lambda item: item[1])[0]
        return self.search(provider, "", "name")[0]

    def series(self, instrument: Instrument) -> Series | None:
        """The series of its shortest bars."""
        intervals = self._intervals.get(instrument)
        return Series(*instrument, intervals[0]) if intervals else None

    def quote(self, instrument: Instrument) -> Quote:
        """The quote of its shortest bars."""
        series = self.series(instrument)
        return self._quotes.get(series, Quote()) if series else Quote()

    def lengths(self, instrument: Instrument) -> list[Length]:
        """The available lengths, shortest first: its own bars, and rollups of other lengths."""
        intervals = self._intervals.get(instrument, [])
        found = {milliseconds(interval): Length(interval) for interval in reversed(intervals)}
        for rollup in ROLLUP_LENGTHS:
            window = milliseconds(rollup)
            shorter = [one for one in intervals if window % milliseconds(one) == 0]
            if shorter:
                found.setdefault(window, Length(shorter[0], rollup))
        return [found[window] for window in sorted(found)]

    def search(self, provider: str, text: str, order: str) -> list[Instrument]:
        """Instruments of a provider, or of all, whose symbol contains `text`, ignoring case, in one of ORDERS.

        By name, symbols that begin with the text come first; otherwise the largest first, unknown values last.
        """
        key = provider, text.casefold(), order
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, provider: str, text: str, order: str) -> list[Instrument]:
        found = [
            one
            for one in self._intervals
            if text in one.symbol.casefold() and (not provider or one.provider == provider)
        ]
        if order == "name":
            return sorted(found, key=lambda one: not one.symbol.casefold().startswith(text))
        sizes = {one: self._size(one, order) for one in found}
        return sorted(found, key=lambda one: -sizes[one])

    def _size(self, instrument: Instrument, order: str) -> float:
        quote = self.quote(instrument)
        size = quote.volume if order == "volume" else quote.change
        if size is None:
            return float("-inf")
        return -size if order == "loss" else size
