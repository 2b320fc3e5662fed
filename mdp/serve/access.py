"""Access to the page: open on this machine, by token from elsewhere.

A foreign page must not reach a server on the loopback address under its own host name (DNS rebinding), so there the
Host header must be a loopback name. Where a token is required, a cookie derived from it serves that purpose.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPEN_PATHS: Final = ("/static/", "/login", "/health")
_TOKEN: Final = "token"  # noqa: S105 - the name of a parameter
_YEAR_SECONDS: Final = 31_536_000
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Keeper:
    """Checks the token, if one is required.

    Args:
        token: the secret of the visitors; None if users of this machine need none.
        port: of the server, as cookies are per host, not per port.
    """

    def __init__(self, token: str | None, port: int) -> None:
        self._token = token
        self._cookie = f"mdp_page_{port}"
        # Not the token itself: what a browser stores is valid for this page only.
        self._proof = hmac.new((token or "").encode(), b"mdp live page", hashlib.sha256).hexdigest()

    def admits(self, request: HTTPConnection) -> bool:
        """Whether the browser has logged in before, or need not."""
        return self._token is None or _same(request.cookies.get(self._cookie, ""), self._proof)

    def knows(self, token: str) -> bool:
        """Whether this is the token."""
        return self._token is not None and _same(token, self._token)

    def set_cookie_on(self, response: Response, *, secure: bool) -> None:
        """Set the cookie, so that the browser can return without the token."""
        response.set_cookie(
            self._cookie, self._proof, max_age=_YEAR_SECONDS, httponly=True, samesite="strict", secure=secure
        )


class Guard:
    """Rejects unauthorized requests, and makes browsers restrict what the page may do."""

    def __init__(self, app: ASGIApp, keeper: Keeper, login: Path, *, loopback: bool) -> None:
        self._app, self._keeper, self._login, self._loopback = app, keeper, login, loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store" if scope["path"].startswith("/api/") else "no-cache")
            await send(message)

        app = self._refusal(HTTPConnection(scope)) or self._app
        await app(scope, receive, send_with_headers)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        if self._loopback and not is_loopback(_host_name(request.headers)):
            return PlainTextResponse("This page is served to http://localhost and http://127.0.0.1 only.\n", 421)
        path = str(request.scope["path"])  # as used by the router; the URL's path depends on the Host header
        if path.startswith(_OPEN_PATHS) or self._keeper.admits(request):
            return None
        token = request.query_params.get(_TOKEN) if path == "/" else None
        if token is not None and self._keeper.knows(token):
            return None
        return FileResponse(self._login, 401) if path == "/" else PlainTextResponse("log in first\n", 401)


def token_in(body: bytes) -> str:
    """The token sent by the login form; empty if there is none."""
    return parse_qs(body.decode(errors="replace")).get(_TOKEN, [""])[0]


def _host_name(headers: Headers) -> str:
    host = headers.get("host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _same(given: str, right: str) -> bool:
    """Whether both are equal, compared in constant time."""
    return hmac.compare_digest(given.encode(errors="replace"), right.encode())
