"""An HTTP server that takes messages by POST, and answers when Kafka has them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Iterator
from typing import Final

import uvicorn

from connectors.connector import Connector, ConnectorError, Emit, Request
from connectors.ingest.app import Limits, application
from contracts.errors import MdpError

_SECRET: Final = "INGEST_TOKEN"  # noqa: S105 - the name of a variable
_SHORTEST: Final = 16
_STOP_SECONDS: Final = 5

log = logging.getLogger("mdp.connect")


class IngestError(MdpError):
    """The server cannot listen; one line says what to do."""


class IngestConnector(Connector):
    """Listens on `host` and `port` of its options.

    Raises:
        ConnectorError: the token is too short to be a secret.
    """

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self._token = request.secrets[_SECRET]
        if len(self._token) < _SHORTEST:
            raise ConnectorError(
                f"{_SECRET} is shorter than {_SHORTEST} characters", "choose one by `openssl rand -hex 32`"
            )

    @property
    def source_id(self) -> str:
        return self.request.options.get("source_id") or super().source_id

    @property
    def may_miss(self) -> bool:
        """Who sends waits for the answer, and sends again without one."""
        return False

    async def live(self, emit: Emit) -> None:
        """Serve until cancelled.

        Raises:
            IngestError: the port is in use, or the address does not exist.
        """
        options = self.request.options
        listener = _bound(options["host"], options["port"])
        server = _Server(
            uvicorn.Config(
                application(emit, self._token, Limits(options["max_body_bytes"])),
                access_log=False,
                log_config=None,
                log_level="error",
                server_header=False,
                lifespan="off",
                limit_concurrency=Limits.connections,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )
        host, port = listener.getsockname()[:2]
        log.info("taking POSTs at http://%s:%d/", host, port)
        if not ipaddress.ip_address(host).is_loopback:
            log.warning("the token goes over the network in the clear: put a proxy with TLS in front")
        await emit((), 0)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True  # requests that are being answered are answered
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the runtime."""
        yield


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror:
        raise IngestError(f"address {host} does not exist", "name another one by --set host=…") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise IngestError(f"{host} port {port}: {reason}", "choose another by --set host=… and --set port=…") from None
