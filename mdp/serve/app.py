"""The web application: the page and its files, history on request, and a stream of updates."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from flows.settings import Settings
from mdp.serve.access import Guard, Keeper, token_in
from mdp.serve.client import Client
from mdp.serve.connections import STREAM
from mdp.serve.hub import Hub, TooManyClients
from mdp.serve.poller import CHART_BARS
from mdp.serve.view import BadRequest, span_of, view_of
from sinks.connection import StoreUnavailable
from sinks.queries.charts import Chart, ChartReader
from sinks.queries.live import LiveReader, Series

_STATIC: Final = Path(__file__).parent / "static"
_CHART_LIBRARY: Final = "lightweight_charts/js/lightweight-charts.js"
_PING_SECONDS: Final = 10.0
_LONGEST_FORM: Final = 4_096
_DENIAL_SECONDS: Final = 0.5


def application(settings: Settings, hub: Hub, keeper: Keeper, *, loopback: bool) -> Starlette:
    """Returns the application; a poller must feed the hub."""
    pages = _Pages(settings, hub, keeper)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/login", pages.login, methods=["POST"]),
            Route("/health", _health),
            Route("/static/lightweight-charts.js", _chart_library),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Route("/api/history", pages.history),
            Route(STREAM, pages.stream),
        ],
        middleware=[Middleware(Guard, keeper=keeper, login=_STATIC / "login.html", loopback=loopback)],
        exception_handlers={
            BadRequest: lambda _, error: PlainTextResponse(f"{error}\n", 400),
            TooManyClients: lambda _, error: PlainTextResponse(f"{error}\n", 503),
            StoreUnavailable: lambda _, __: PlainTextResponse("the database cannot be used now\n", 503),
        },
    )


class _Pages:
    def __init__(self, settings: Settings, hub: Hub, keeper: Keeper) -> None:
        self._conninfo = settings.results_url
        self._hub, self._keeper = hub, keeper

    def index(self, request: Request) -> Response:
        """The page; sets the cookie for a visitor with the token, as the page removes it from the address."""
        response = FileResponse(_STATIC / "index.html")
        if "token" in request.query_params and not self._keeper.admits(request):
            self._keeper.set_cookie_on(response, secure=request.url.scheme == "https")
        return response

    async def login(self, request: Request) -> Response:
        """Handles the login form."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_FORM:
                raise BadRequest("a token is shorter")
        if not self._keeper.knows(token_in(body)):
            await asyncio.sleep(_DENIAL_SECONDS)
            return FileResponse(_STATIC / "login.html", 401)
        response = RedirectResponse("/", 303)
        self._keeper.set_cookie_on(response, secure=request.url.scheme == "https")
        return response

    def history(self, request: Request) -> Response:
        """Bars of a chart before a time, oldest first, with their signals and features."""
        view, span = view_of(request), span_of(request, CHART_BARS)
        if not (view.provider and view.symbol and view.interval):
            raise BadRequest("provider, symbol and interval are required")
        with contextlib.closing(LiveReader(self._conninfo)) as reader:
            known = reader.feature_names() if view.features else ()
            features = tuple(name for name in view.features if name in known)
            chart = Chart(Series(view.provider, view.symbol, view.interval), view.rollup, features)
            return _json(ChartReader(reader).read(chart, *span)._asdict())

    async def stream(self, request: Request) -> Response:
        """Server-sent events: the chart, the watch list, and their updates."""
        client = Client(view_of(request))
        self._hub.check_room()
        # A buffering proxy would delay updates.
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self._events(client), headers=headers, media_type="text/event-stream")

    async def _events(self, client: Client) -> AsyncIterator[bytes]:
        with self._hub.joined_by(client):
            yield b"retry: 1000\n\n"
            while not client.mailbox.closed:
                news = await client.mailbox.take(_PING_SECONDS)
                yield b"".join(_event(kind, value) for kind, value in news) or b": still here\n\n"


def _event(kind: str, value: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(value))


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _health(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _chart_library(_: Request) -> Response:
    """The chart library from the wheel that contains it; the wheel's Python code is never imported."""
    file = Path(str(importlib.metadata.distribution("lightweight-charts").locate_file(_CHART_LIBRARY)))
    return FileResponse(file, headers={"Cache-Control": "public, max-age=86400"})
