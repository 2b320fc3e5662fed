"""Any HTTP API that answers in JSON, as a manifest describes it: asked again and again, page by page."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Literal, NamedTuple

import aiohttp

from connectors.connector import Connector, ConnectorError, Disconnected, Emit, Request
from connectors.http.paging import Pages
from connectors.http.section import HttpSection
from connectors.template import Template, names_symbol, names_symbols

_SCHEMES: Final = ("http://", "https://")
_CHUNK: Final = 65_536
_LATER: Final = (408, 425, 429)  # of the answers from 400 on, those that another attempt may change
_LONGEST_WAIT: Final = 300.0


class Query(NamedTuple):
    """A request, without what asks for a page."""

    method: Literal["GET", "POST"]
    url: str
    params: dict[str, str]
    body: Any
    pages: Pages | None


class HttpConnector(Connector):
    """A query, or one for each symbol, repeated every so often. Each response is a raw message.

    Raises:
        ConnectorError: a text of the manifest names no option or secret, or symbols that are not given.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        section = request.manifest.http
        if section is None:
            raise ConnectorError(f"connector {request.manifest.connector_id}: the manifest has no section http")
        self._section: Final[HttpSection] = section
        template = Template(request)
        self._headers = template.texts(section.headers)
        self._queries = [_query(section, template, symbol) for symbol in self._symbols(section)]
        self._has_answered = False
        if not all(query.url.startswith(_SCHEMES) for query in self._queries):
            raise ConnectorError(f"connector {request.manifest.connector_id}: url is no http:// or https:// address")

    async def live(self, emit: Emit) -> None:
        """Ask, emit the answers, and wait for the next time."""
        timeout = aiohttp.ClientTimeout(total=self._section.timeout_s)
        try:
            async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session:
                is_first = True
                while True:
                    begin = time.monotonic()
                    for query in self._queries:
                        await self._ask(session, query, emit, is_acquired=is_first)
                        is_first = False
                    await asyncio.sleep(max(begin + self._section.every_s - time.monotonic(), 0))
        except aiohttp.ClientError as error:
            raise Disconnected(str(error)) from None

    async def _ask(self, session: aiohttp.ClientSession, query: Query, emit: Emit, *, is_acquired: bool) -> None:
        """Emit all pages of a query; of its first call the runtime has acquired the token where `is_acquired`."""
        if query.pages is not None:
            query.pages.begin()
        while True:
            if not is_acquired:
                await self.request.limiter.acquire()
            is_acquired = False
            body = await self._response(session, query)
            more = query.pages is not None and query.pages.advance(body)
            await emit((body,), time.time_ns())
            if not more:
                return

    async def _response(self, session: aiohttp.ClientSession, query: Query) -> bytes:
        params = query.params | (query.pages.params if query.pages is not None else {})
        async with session.request(query.method, query.url, params=params, json=query.body) as response:
            if response.status >= 400:
                await self._refuse(response)
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK):
                body += chunk
                if len(body) > self._section.max_response_bytes:
                    raise Disconnected(f"the response is above {self._section.max_response_bytes:,} bytes")
        self._has_answered = True
        return bytes(body)

    async def _refuse(self, response: aiohttp.ClientResponse) -> None:
        """Raises for an answer without content: at first a wrong address or secret, later rather a passing fault."""
        reason = f"the source answers {response.status} {response.reason}"
        if response.status < 500 and response.status not in _LATER and not self._has_answered:
            name = self.request.manifest.connector_id
            raise ConnectorError(f"{name}: {reason}", "correct its address, parameters and secrets")
        await asyncio.sleep(_wait_of(response))
        raise Disconnected(reason)

    def _symbols(self, section: HttpSection) -> tuple[str | None, ...]:
        """The symbols to ask for one by one; None for a query that is about all."""
        symbols, name = self.request.symbols, self.request.manifest.connector_id
        texts = [section.url, section.params, section.body]
        if symbols and not names_symbols(texts):
            raise ConnectorError(f"connector {name} takes no symbols", "leave out --symbols")
        if not names_symbol(texts):
            return (None,)
        if not symbols:
            raise ConnectorError(f"connector {name} needs symbols", "name them by --symbols")
        return symbols


def _query(section: HttpSection, template: Template, symbol: str | None) -> Query:
    return Query(
        section.method,
        template.text(section.url, symbol),
        template.texts(section.params, symbol),
        None if section.body is None else template.tree(section.body, symbol),
        None if section.paging is None else Pages(section.paging),
    )


def _wait_of(response: aiohttp.ClientResponse) -> float:
    """How long the source asks to wait, in seconds."""
    given = response.headers.get("Retry-After", "")
    return min(float(given), _LONGEST_WAIT) if given.isdecimal() else 0.0
