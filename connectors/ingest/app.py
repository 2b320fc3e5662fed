"""The application behind the POSTs: who may send, what a body holds, and the answer once Kafka has it."""

from __future__ import annotations

import asyncio
import hmac
import time
from dataclasses import dataclass
from typing import ClassVar, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.connector import Emit, Raw, Receipt
from contracts.errors import MdpError

_LINES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl")
_BEARER: Final = "Bearer "
_DENIAL_SECONDS: Final = 0.5

_split: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what senders can occupy.

    Attributes:
        body_bytes: the longest body.
        messages: the most of a body.
        body_seconds: how long a body may take to arrive.
        kafka_seconds: how long an answer waits for Kafka.
    """

    connections: ClassVar[int] = 200

    body_bytes: int
    messages: int = 10_000
    body_seconds: float = 10.0
    kafka_seconds: float = 30.0


class _Refused(Exception):  # noqa: N818 - says what happened
    """A request that is answered with an error."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


def application(emit: Emit, token: str, limits: Limits) -> Starlette:
    """POST / takes a message, a list of them, or lines of them; GET /health answers.

    The answers: 200, all are in Kafka; 422, some are refused, and in the DLQ, while the others are in Kafka; 400, no
    JSON; 401, no token; 408, too slow; 413, too large; 503, Kafka does not answer: to send it again is safe.
    """
    ingest = _Ingest(emit, token, limits)
    return Starlette(
        routes=[Route("/", ingest.post, methods=["POST"]), Route("/health", _health)],
        exception_handlers={_Refused: _answer_refused},
    )


class _Ingest:
    def __init__(self, emit: Emit, token: str, limits: Limits) -> None:
        self._emit, self._token, self._limits = emit, token, limits

    async def post(self, request: Request) -> Response:
        """Takes messages in."""
        await self._check_token(request)
        raw = self._messages(request, await self._body(request))
        try:
            async with asyncio.timeout(self._limits.kafka_seconds):
                receipt = await self._emit.confirmed(raw, time.time_ns())
        except (TimeoutError, MdpError):
            raise _Refused(503, "Kafka has not acknowledged all of it: send it again, which is safe") from None
        return _json(422 if receipt.refused else 200, _told(receipt))

    async def _check_token(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        given = given.removeprefix(_BEARER) if given.startswith(_BEARER) else request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._token.encode()):
            await asyncio.sleep(_DENIAL_SECONDS)
            raise _Refused(401, "send the token as `Authorization: Bearer …`")

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.body_bytes:
                        raise _Refused(413, f"a body has at most {self._limits.body_bytes:,} bytes")
        except TimeoutError:
            raise _Refused(408, "the body did not arrive in time") from None
        return bytes(body)

    def _messages(self, request: Request, body: bytes) -> list[Raw]:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type in _LINES:
            raw = [line for line in body.splitlines() if line.strip()]
        elif body.lstrip()[:1] == b"[":
            try:
                raw = [bytes(one) for one in _split(body)]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise _Refused(400, f"no JSON: {error}") from None
        else:
            raw = [body]
        if not raw or len(raw) > self._limits.messages:
            raise _Refused(400 if not raw else 413, f"a body has 1 to {self._limits.messages:,} messages")
        return raw


def _told(receipt: Receipt) -> dict[str, object]:
    refused = [{"message": one.record, "reason": one.reason, "error": one.error} for one in receipt.refused]
    return {"accepted": receipt.accepted, "skipped": receipt.skipped, "refused": refused}


def _answer_refused(_: Request, error: Exception) -> Response:
    return _json(error.status if isinstance(error, _Refused) else 500, {"error": str(error)})


def _health(_: Request) -> Response:
    return _json(200, {"ok": True})


def _json(status: int, value: object) -> Response:
    return Response(_encode(value), status, media_type="application/json")
