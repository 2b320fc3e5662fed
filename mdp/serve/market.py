"""Quotes of all symbols over the last hour, or day.

The span ends with the newest bar of a provider, not with the clock, so that it works for a delayed feed and a replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from contracts.duration import format_duration
from mdp.serve.volumes import SLOTS, Volumes
from sinks.queries.charts import milliseconds
from sinks.queries.live import Series
from sinks.queries.market import MarketReader

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_SHORT: Final = 60_000


class Quote(NamedTuple):
    """The prices at both ends of the span, None if the series has no bars in it.

    Attributes:
        volume: in the span; None if not known yet.
    """

    first: float | None = None
    last: float | None = None
    volume: float | None = None

    @property
    def change(self) -> float | None:
        """The change relative to the absolute first price; None without a first price, or if it is 0."""
        if self.first is None or self.last is None or self.first == 0:
            return None
        return (self.last - self.first) / abs(self.first)


class Market:
    """Quotes of all series.

    Attributes:
        span: its length: an hour, or a day if no bars are shorter than a minute.
        quotes: of each series with bars.
    """

    def __init__(self, reader: MarketReader) -> None:
        self._reader = reader
        self._slot = _HOUR // SLOTS
        self._volumes: dict[str, Volumes] = {}
        self.quotes: Mapping[Series, Quote] = {}

    @property
    def span(self) -> str:
        return format_duration(self._slot * SLOTS * 1_000_000)

    def read(self, series: Sequence[Series]) -> None:
        """Update the quotes from the database.

        Raises:
            StoreUnavailable: the database is unavailable.
        """
        is_short = any(milliseconds(length) < _SHORT for length in {one.interval for one in series})
        self._set_slot((_HOUR if is_short else _DAY) // SLOTS)
        newest = self._reader.newest(series)
        last: dict[str, int] = {}  # slot by provider
        for one, bar in newest.items():
            last[one.provider] = max(last.get(one.provider, bar.time // self._slot), bar.time // self._slot)
        self.quotes = {
            one: quote._replace(last=newest[one].close)
            for provider, slot in last.items()
            for one, quote in self._quotes(provider, slot)
            if one in newest
        }

    def _quotes(self, provider: str, last: int) -> Iterator[tuple[Series, Quote]]:
        """Yield quotes of the span that ends with the slot `last`, without the last price."""
        firsts = self._reader.first(provider, (last - SLOTS + 1) * self._slot, (last + 1) * self._slot)
        volumes = self._volumes.setdefault(provider, Volumes(self._reader, provider, self._slot))
        volumes.read(last)
        total = volumes.total()
        for one, price in firsts.items():
            yield one, Quote(price, volume=None if total is None else total.get(one, 0.0))

    def _set_slot(self, length: int) -> None:
        if length != self._slot:
            self._slot = length
            self._volumes = {}
