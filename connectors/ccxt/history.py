"""The past trades of a symbol, a page at a time, oldest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from connectors.ccxt.exchange import readable
from connectors.ccxt.venues import Backwards, Venue
from connectors.connector import ConnectorError, Limiter

Trade = dict[str, Any]

_NS_PER_MS: Final = 1_000_000


class History:
    """Pages of a venue's REST API, each of them one call."""

    def __init__(self, exchange: Any, venue: Venue, limiter: Limiter) -> None:
        self._exchange: Final = exchange
        self._venue: Final = venue
        self._limiter: Final = limiter

    def pages(self, symbol: str, begin_ms: int, end_ms: int) -> AsyncIterator[list[Trade]]:
        """The trades with begin ≤ time < end, each once, as far as the venue has them."""
        backwards = self._venue.backwards
        if backwards is None:
            return self._forwards(symbol, begin_ms, end_ms)
        return self._backwards(symbol, begin_ms, end_ms, backwards)

    async def _forwards(self, symbol: str, begin_ms: int, end_ms: int) -> AsyncIterator[list[Trade]]:
        # A millisecond early, as some venues answer with what is later than the time, and pages meet within one.
        since, known, window = begin_ms - 1, set[Any](), self._venue.window_ms
        while since < end_ms:
            page = await self._fetch(symbol, since, self._since(since))
            fresh = [trade for trade in page if _key(trade) not in known]
            known = set(map(_key, page))
            inside = [trade for trade in fresh if begin_ms <= trade["timestamp"] < end_ms]
            if inside:
                yield inside
            if fresh:
                since = max(since, max(trade["timestamp"] for trade in page) - 1)
                continue
            self._check_progress(symbol, page, since)
            if window is None:
                return
            since += window

    async def _backwards(self, symbol: str, begin_ms: int, end_ms: int, by: Backwards) -> AsyncIterator[list[Trade]]:
        """Span by span, the oldest first, as each has to be in memory until its first trade is known."""
        window = self._venue.window_ms or end_ms - begin_ms
        for begin in range(begin_ms, end_ms, window):
            found: dict[Any, Trade] = {}
            end = min(begin + window, end_ms)
            until = end
            while until > begin:
                rounded = -(-until // by.rounding_ms) * by.rounding_ms
                page = await self._fetch(symbol, None, {by.until: rounded, **by.others})
                fresh = [trade for trade in page if _key(trade) not in found]
                found.update((_key(trade), trade) for trade in fresh)
                if not fresh:
                    self._check_progress(symbol, page, rounded)
                    break
                until = min(trade["timestamp"] for trade in page) + 1  # of that millisecond there may be more
            inside = [trade for trade in found.values() if begin <= trade["timestamp"] < end]
            if inside:
                yield inside

    async def _fetch(self, symbol: str, since: int | None, params: dict[str, Any]) -> list[Trade]:
        await self._limiter.acquire()
        page: list[Trade] = await readable(self._exchange.fetch_trades(symbol, since, self._venue.page, params))
        return [trade for trade in page if trade["timestamp"] is not None]

    def _since(self, since: int) -> dict[str, str]:
        return {} if self._venue.since is None else {self._venue.since: str(since * _NS_PER_MS)}

    def _check_progress(self, symbol: str, page: list[Trade], at_ms: int) -> None:
        """Whether a page without anything new says that there is no more.

        Raises:
            ConnectorError: it is full of one moment, so that no call gets beyond it.
        """
        if page and len(page) == self._venue.page:
            raise ConnectorError(f"{symbol}: more trades at {at_ms / 1e3:.3f} s than the venue sends at once")


def _key(trade: Trade) -> Any:
    own = trade.get("id")
    return own if own is not None else (trade["timestamp"], trade["price"], trade["amount"], trade["side"])
