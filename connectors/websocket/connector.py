"""Any websocket feed that sends JSON, as a manifest describes it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Final, Literal

import aiohttp
import msgspec

from connectors.connector import Connector, ConnectorError, Disconnected, Emit, Request
from connectors.template import Template, names_symbols
from connectors.websocket.section import WebsocketSection

_CONNECT_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 2.0
_SCHEMES: Final = ("ws://", "wss://")
_REFUSED: Final = (401, 403)
_DATA: Final = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)

_Socket = aiohttp.ClientWebSocketResponse[Literal[False]]  # texts are not decoded


class WebsocketConnector(Connector):
    """One connection, with the subscriptions of all symbols.

    Raises:
        ConnectorError: a text of the manifest names no option or secret, or symbols that are not given.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        section = request.manifest.websocket
        if section is None:
            raise ConnectorError(f"connector {request.manifest.connector_id}: the manifest has no section websocket")
        template = Template(request)
        self._section: Final[WebsocketSection] = section
        self._url = template.text(section.url)
        self._headers = template.texts(section.headers)
        self._messages = [_text(one) for message in section.subscribe for one in template.messages(message)]
        self._beat = None if section.heartbeat.send is None else _text(template.tree(section.heartbeat.send))
        if not self._url.startswith(_SCHEMES):
            raise ConnectorError(f"connector {request.manifest.connector_id}: url is no ws:// or wss:// address")
        if request.symbols and not names_symbols([section.url, *section.subscribe]):
            raise ConnectorError(f"connector {request.manifest.connector_id} takes no symbols", "leave out --symbols")

    async def live(self, emit: Emit) -> None:
        """Connect, subscribe, and emit every message until the connection ends."""
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers) as session,
                await self._connected(session) as socket,
            ):
                await self._subscribe(socket)
                await emit((), time.time_ns())
                beating = asyncio.create_task(self._keep_alive(socket))
                try:
                    await self._receive(socket, emit)
                finally:
                    beating.cancel()
        except aiohttp.WSServerHandshakeError as error:
            raise self._refusal(error) from None
        except aiohttp.ClientError as error:
            raise Disconnected(str(error)) from None

    async def _connected(self, session: aiohttp.ClientSession) -> _Socket:
        section = self._section
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await session.ws_connect(
                self._url,
                heartbeat=section.heartbeat.seconds if section.heartbeat.send is None else None,
                max_msg_size=section.max_message_bytes,
                decode_text=False,  # the normalizer reads bytes
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            )

    async def _subscribe(self, socket: _Socket) -> None:
        for number, message in enumerate(self._messages):
            if number:  # the runtime has acquired the first call
                await self.request.limiter.acquire()
            await socket.send_str(message)

    async def _keep_alive(self, socket: _Socket) -> None:
        with contextlib.suppress(aiohttp.ClientError, OSError):  # whoever receives learns that it has ended
            while self._beat is not None:
                await asyncio.sleep(self._section.heartbeat.seconds)
                await socket.send_str(self._beat)

    async def _receive(self, socket: _Socket, emit: Emit) -> None:
        while True:
            message = await socket.receive()
            if message.type in _DATA:
                await emit((message.data,), time.time_ns())
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise Disconnected(str(message.data))
            else:
                raise Disconnected(f"the source has closed the connection ({socket.close_code})")

    def _refusal(self, error: aiohttp.WSServerHandshakeError) -> Exception:
        """Of a server that answers, but not with a websocket: wrong credentials do not become right by themselves."""
        reason = f"{self.request.manifest.connector_id}: the source answers {error.status} {error.message}"
        if error.status in _REFUSED:
            return ConnectorError(reason, "correct its secrets")
        return Disconnected(reason)


def _text(message: Any) -> str:
    """A message as it is sent: texts as they are, everything else as JSON."""
    return message if isinstance(message, str) else msgspec.json.encode(message).decode()
