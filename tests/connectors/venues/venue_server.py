"""A venue on this machine: a websocket and a REST API in the form of a real one, which do what a test tells them.

It is reached through the connector's option `urls`, with the host that ccxt would go to as the first part of the path.
"""

from __future__ import annotations

import asyncio
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

from aiohttp import WSMsgType, web

from tests.harness import until

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Answer = Any  # what becomes JSON


@dataclass(frozen=True)
class VenueTrade:
    """A trade, with its texts as the venue writes them; the side is that of who took."""

    number: int
    time_us: int
    price: str
    size: str
    side: str

    @property
    def time_ms(self) -> int:
        return self.time_us // 1_000


class Dialect(ABC):
    """The form of a venue's messages."""

    name: str  # as ccxt has it
    symbol: str  # as ccxt has it
    number_in_ids = True
    has_snapshot = False  # of the last trades, after a subscription
    most_again = 10**9  # how many of the last trades the REST API has

    @abstractmethod
    def rest(self, host: str, path: str, query: Mapping[str, str], trades: Sequence[VenueTrade]) -> Answer:
        """The answer to a request; None for what there is not."""

    @abstractmethod
    def replies(self, message: Any) -> tuple[list[Answer], bool]:
        """The replies to what a client has sent, and whether it has subscribed to trades."""

    @abstractmethod
    def live(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        """Trades as the messages of a websocket."""

    @abstractmethod
    def error(self) -> Answer:
        """A message that says that something is wrong."""

    def snapshot(self, trades: Sequence[VenueTrade]) -> list[Answer]:
        """What comes first after a subscription."""
        return []

    def trade_id(self, trade: VenueTrade) -> str:
        return str(trade.number)


class VenueServer:
    """Runs a venue on a thread. All methods are for the thread of the test."""

    def __init__(self, dialect: Dialect, begin_us: int) -> None:
        self.dialect = dialect
        self.trades: list[VenueTrade] = []
        self.subscriptions = 0
        self.requests: list[str] = []
        self.is_mute = False
        self.is_down = False
        self._now_us = begin_us
        self._sockets: set[web.WebSocketResponse] = set()
        self._listening: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._runner, self.port = self._await(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._await(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def urls(self) -> str:
        """The connector's option."""
        return f"https://=http://127.0.0.1:{self.port}/,wss://=ws://127.0.0.1:{self.port}/"

    def trade(self, count: int = 1) -> None:
        """Trades, which are sent to whoever listens."""
        self._await(self._send(self.dialect.live(self._executed(count))))

    def trade_swapped(self) -> None:
        """Two trades of which the second is sent first."""
        first, second = self._executed(2)
        self._await(self._send([*self.dialect.live([second]), *self.dialect.live([first])]))

    def lose(self, count: int = 1) -> None:
        """Trades that no websocket sends."""
        self._executed(count)

    def repeat(self, count: int) -> None:
        """Sends the last trades again."""
        self._await(self._send(self.dialect.live(self.trades[-count:])))

    def fail(self) -> None:
        """Sends an error."""
        self._await(self._send([self.dialect.error()]))

    def garble(self) -> None:
        """Sends what is no message."""
        self._await(self._send_text('{"half of a mess'))

    def disconnect(self) -> None:
        """Ends all connections without a word."""
        self._await(self._disconnect())

    def await_listener(self, after: int = 0) -> None:
        """Waits until somebody listens who has subscribed after so many others."""
        until(lambda: self.subscriptions > after and bool(self._listening), f"a subscription after {after}")

    def time(self, place: int, after_ms: int = 0) -> str:
        """When a trade took place, ISO 8601 without its zone, UTC."""
        return f"{EPOCH + timedelta(milliseconds=self.trades[place].time_ms + after_ms):%Y-%m-%dT%H:%M:%S.%f}"

    def _executed(self, count: int) -> list[VenueTrade]:
        made = []
        for _ in range(count):
            number = len(self.trades) + 1
            # Some share a millisecond, some lie at the very begin of one, where rounding shows.
            step_us = (0, 137, 40_000, 61_863, 250_000)[number % 5]
            self._now_us += step_us if self.dialect.number_in_ids else max(step_us, 1_000)
            price = f"{60_000 + (number * 37) % 900 / 10:.1f}"
            side = ("buy", "sell")[number // 3 % 2]
            made.append(VenueTrade(number, self._now_us, price, f"{(number * 7) % 400 / 1_000 + 0.001:.8f}", side))
            self.trades.append(made[-1])
        return made

    def _await(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _start(self) -> tuple[web.AppRunner, int]:
        app = web.Application()
        for path in ("/{host}", "/{host}/{path:.*}"):
            app.router.add_route("*", path, self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    async def _end(self) -> None:
        await self._disconnect()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        host, path = request.match_info["host"], request.match_info.get("path", "")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._converse(request)
        self.requests.append(f"{path}?{request.query_string}")
        if self.is_down:
            return web.json_response({}, status=503)
        again = self.trades[-self.dialect.most_again :]
        found = self.dialect.rest(host, path, request.query, again)
        return web.json_response({} if found is None else found, status=404 if found is None else 200)

    async def _converse(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=True)
        await socket.prepare(request)
        self._sockets.add(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._hear(socket, message.data)
        self._sockets.discard(socket)
        self._listening.discard(socket)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = text
        replies, subscribed = self.dialect.replies(message)
        if self.is_mute and not subscribed and not replies:
            return
        for reply in replies:
            await socket.send_str(reply if isinstance(reply, str) else json.dumps(reply))
        if subscribed:
            for first in self.dialect.snapshot(self.trades):
                await socket.send_str(json.dumps(first))
            self._listening.add(socket)
            self.subscriptions += 1

    async def _send(self, messages: Sequence[Answer]) -> None:
        for message in messages:
            await self._send_text(json.dumps(message))

    async def _send_text(self, text: str) -> None:
        if self.is_mute:
            return
        for socket in list(self._listening):
            if not socket.closed:
                await socket.send_str(text)

    async def _disconnect(self) -> None:
        for socket in list(self._sockets):
            transport = socket._req.transport if socket._req is not None else None
            if transport is not None:
                transport.abort()
        self._sockets.clear()
        self._listening.clear()
