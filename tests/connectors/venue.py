"""A venue on this machine: a websocket feed of trades that can be made to misbehave, and an HTTP API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import WSMsgType, web

T0_MS = 1_761_314_400_000

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def trade(number: int, symbol: str = "BTC-USD", **changes: Any) -> dict[str, Any]:
    """A trade in the words of the venue."""
    side = "b" if number % 2 else "s"
    return {"s": symbol, "t": T0_MS + number, "n": number, "p": 100 + number % 50, "q": 1, "m": side} | changes


def trades(count: int, symbols: Sequence[str] = ("BTC-USD",), start: int = 0) -> list[bytes]:
    """As texts."""
    return [json.dumps(trade(n, symbols[n % len(symbols)])).encode() for n in range(start, start + count)]


MANIFEST = """\
connector_id: acme
version: 1.0.0
emits: [{ event_type: trades.tick, schema_ref: utp://schemas/trades/v2 }]
uses: websocket
options: { url: { required: true } }
websocket:
  url: "{url}"
  subscribe: { op: subscribe, symbols: ["{symbol}"] }
mapping:
  type: trades/v2
  event_time: { path: t, unit: ms }
  sequence: n
  fields: { symbol: s, price: p, size: q, side: { path: m, values: { b: buy, s: sell } } }
"""


class Server:
    """An HTTP server of its own thread and loop."""

    def __init__(self, routes: Sequence[web.RouteDef], port: int = 0) -> None:
        self._routes, self.port = routes, port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="venue", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = int(self._runner.addresses[0][1])


@dataclass
class Venue:
    """A feed that sends all its messages again to whoever connects, in order.

    Attributes:
        messages: what it sends.
        cut_after: on each connection, after how many messages it hangs up; None: never.
        silent_after: after how many it says nothing any more.
        pause_s: between messages, every hundredth of them.
        resumes: whether a connection goes on where the last one ended, `overlap` messages before it.
    """

    messages: list[bytes] = field(default_factory=list)
    cut_after: int | None = None
    silent_after: int | None = None
    pause_s: float = 0.0
    resumes: bool = False
    overlap: int = 0
    connections: int = 0
    heard: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    reached: int = 0

    def server(self, port: int = 0) -> Server:
        return Server([web.get("/feed", self._serve)], port)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self.headers.append(dict(request.headers))
        first = await socket.receive()
        if first.type is not WSMsgType.TEXT:
            return socket
        self.heard.append(json.loads(first.data))
        start = max(self.reached - self.overlap, 0) if self.resumes else 0
        with contextlib.suppress(ConnectionError):
            await self._send(socket, start)
        return socket

    async def _send(self, socket: web.WebSocketResponse, start: int) -> None:
        for count, message in enumerate(self.messages[start:]):
            if count == self.cut_after:
                await socket.close()
                return
            if count == self.silent_after:
                break
            await socket.send_str(message.decode())
            self.reached = max(self.reached, start + count + 1)
            if count % 100 == 0:
                await asyncio.sleep(self.pause_s)
        async for heard in socket:  # until the other side goes
            self.heard.append(json.loads(heard.data))
