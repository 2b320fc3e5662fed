"""The connector of exchanges by ccxt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from connectors.ccxt.exchange import CACHED_TRADES, check_venue, exchange, gateways, readable
from connectors.ccxt.history import History
from connectors.ccxt.messages import Messages
from connectors.ccxt.outbox import Outbox
from connectors.ccxt.venues import venue
from connectors.connector import Connector, ConnectorError, Disconnected, Emit, Raw, Request, Span
from contracts.suggestions import did_you_mean
from normalize.mapping import MappingConfig

_NS_PER_MS: Final = 1_000_000
_TRADES: Final = "trades.tick"


class CcxtConnector(Connector):
    """Trades, quotes and order books of an exchange."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._name: Final = str(request.options["venue"])
        check_venue(self._name)
        self._venue: Final = venue(self._name)
        self._gateways: Final = gateways(request.options["urls"])
        self._markets: Any = None

    @property
    def source_id(self) -> str:
        return self._name

    def mappings(self) -> Sequence[MappingConfig]:
        """Those of the types that are asked for."""
        return [one for one in self.request.manifest.mapping if one.where["type"] in self.request.options["types"]]

    def is_contiguous(self, stream: str) -> bool:
        return stream == _TRADES and self._venue.numbered

    def has_history(self, stream: str) -> bool:
        return stream == _TRADES

    async def live(self, emit: Emit) -> None:
        outbox = Outbox()
        try:
            async with self._open() as venue:
                watched = [
                    self._watch(venue, kind, symbol, outbox)
                    for kind in self.request.options["types"]
                    for symbol in self._symbols(venue)
                ]
                await _until_one_ends(outbox.drain(emit), *watched)
        except Disconnected:
            await outbox.empty(emit)
            raise

    async def backfill(self, symbol: str, span: Span) -> AsyncIterator[Sequence[Raw]]:
        begin_ms, end_ms = span.begin_ns // _NS_PER_MS, -(-span.end_ns // _NS_PER_MS)
        async with self._open() as venue:
            (known,) = self._symbols(venue, symbol)
            messages = self._messages(venue)
            async for page in History(venue, self._venue, self.request.limiter).pages(known, begin_ms, end_ms):
                yield messages.trades(page)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Any]:
        """The exchange with its markets, which are asked for once: that takes some venues seconds."""
        async with exchange(self._name, self._venue, self._gateways) as venue:
            if self._markets is not None:
                venue.set_markets(self._markets)
            self._markets = await venue.load_markets()
            yield venue

    def _symbols(self, venue: Any, *asked: str) -> list[str]:
        """The symbols that are asked for, as ccxt writes them; it takes the venue's own spelling, too."""
        found = []
        for symbol in asked or self.request.symbols:
            if symbol not in venue.markets and symbol not in venue.markets_by_id:
                known = did_you_mean(symbol, venue.markets)
                raise ConnectorError(f"{self._name} has no symbol {symbol[:100]!r}{known}")
            found.append(str(venue.market(symbol)["symbol"]))
        return list(dict.fromkeys(found))

    def _messages(self, venue: Any) -> Messages:
        return Messages(self._name, {symbol: market.get("quote") for symbol, market in venue.markets.items()})

    def _watch(self, venue: Any, kind: str, symbol: str, outbox: Outbox) -> Coroutine[Any, Any, None]:
        watch = {"trades": _trades, "quotes": _quotes, "orderbook": self._books}[kind]
        return watch(venue, symbol, self._messages(venue), outbox)

    async def _books(self, venue: Any, symbol: str, messages: Messages, outbox: Outbox) -> None:
        depth = self.request.options["depth"]
        while True:
            book = await readable(venue.watch_order_book(symbol))
            now_ns = time.time_ns()
            outbox.put([messages.book({**book, "symbol": symbol}, depth, now_ns)], now_ns)


async def _trades(venue: Any, symbol: str, messages: Messages, outbox: Outbox) -> None:
    while True:
        trades = await readable(venue.watch_trades(symbol))
        venue.trades.pop(symbol, None)  # else ccxt guesses by their order which of those it remembers are new
        if len(trades) >= CACHED_TRADES:
            raise Disconnected(f"more than {CACHED_TRADES} trades of {symbol} came at once: ccxt has forgotten some")
        outbox.put(messages.trades(trades), time.time_ns())


async def _quotes(venue: Any, symbol: str, messages: Messages, outbox: Outbox) -> None:
    while True:
        if venue.has.get("watchBidsAsks"):
            tickers = list((await readable(venue.watch_bids_asks([symbol]))).values())
        else:
            tickers = [await readable(venue.watch_ticker(symbol))]
        now_ns = time.time_ns()
        outbox.put([messages.quote({**ticker, "symbol": symbol}, now_ns) for ticker in tickers], now_ns)


async def _until_one_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Runs all until the first one fails, and raises what that raised."""
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if task.cancelled():  # by ccxt, which ends so what waits for a connection that it closes
                raise Disconnected("the connection was closed")
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
