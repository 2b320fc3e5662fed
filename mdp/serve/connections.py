"""Limits on the duration of requests and the number of connections, which hold without a token, too."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from typing import Any, Final

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

BACKLOG: Final = 128  # accepted at once: none of them is closed before all are accepted
STREAM: Final = "/api/stream"

_MOST: Final = 400  # twice the streams: a process may have 1,024 open files by default
_REQUEST_SECONDS: Final = 5.0
_WHOLE: Final = (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
_OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SAID_EVERY_SECONDS: Final = 60.0

log = logging.getLogger("mdp.serve")

Open = dict["Connection", None]  # oldest first


class Connection(H11Protocol):
    """Is closed if a request is not complete in time, or as the oldest if there are too many others.

    Streams of pages are not closed for others: the hub limits them, and their visitors are logged in.
    """

    def __init__(self, connections: Open, config: Config, server_state: ServerState, **more: Any) -> None:
        super().__init__(config, server_state, **more)
        self._open = connections
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._open[self] = None
        self._start_waiting()
        if len(self._open) > _MOST:
            oldest = next((each for each in self._open if not each.is_stream), self)
            oldest.drop()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state in _WHOLE:
            self._stop_waiting()
        else:
            self._start_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.pop(self, None)
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def is_stream(self) -> bool:
        return self.scope is not None and self.scope["path"] == STREAM

    def drop(self) -> None:
        """Closes it at once, discarding unsent data."""
        self._open.pop(self, None)
        self.transport.abort()

    def _start_waiting(self) -> None:
        """Starts the time limit of a request, which further bytes do not extend."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(_REQUEST_SECONDS, self.drop)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class LoopErrors:
    """Logs at most once a minute that accepting fails; asyncio would write a traceback for each waiting connection."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _OUT_OF_RESOURCES:
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said_at > _SAID_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("cannot accept connections now: %s; see `ulimit -n`", error.strerror)
