"""The server of the page: in the foreground for `mdp serve`, on a thread for the demo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from functools import partial
from typing import Final, cast

import uvicorn

from contracts.errors import MdpError
from flows.settings import Settings
from mdp.local import ports
from mdp.serve.access import Keeper, is_loopback
from mdp.serve.app import application
from mdp.serve.connections import BACKLOG, Connection, LoopErrors
from mdp.serve.hub import Hub
from mdp.serve.poller import Poller

_STOP_SECONDS: Final = 3


class ServeError(MdpError):
    """The page cannot be served; one line says what to do."""


class PageServer(uvicorn.Server):
    """The server, bound to its port at construction.

    Args:
        settings: the deployment whose database and metrics the page shows.
        host: name or address to bind to.
        port: 0 takes any free port.
        token: the secret of the visitors.

    Raises:
        ServeError: the port is in use, the address does not exist, or others could see the page without a token.
    """

    def __init__(self, settings: Settings, host: str, port: int, token: str | None) -> None:
        loopback = is_loopback(host)
        if not loopback and token is None:
            raise ServeError(
                f"{host} is reachable from other machines, so the page needs a token: "
                "name a file with a token by --token-file, or set MDP_SERVE_TOKEN"
            )
        self._listener = _bound(host, port)
        self._hub = Hub()
        self._poller = Poller(settings, self._hub)
        self._thread = threading.Thread(target=self._run_bound, name="page", daemon=True)
        app = application(settings, self._hub, Keeper(token, self.port), loopback=loopback)
        super().__init__(
            uvicorn.Config(
                app,
                http=cast(type[asyncio.Protocol], partial(Connection, {})),
                backlog=BACKLOG,
                access_log=False,
                log_config=None,
                log_level="error",
                server_header=False,
                timeout_graceful_shutdown=_STOP_SECONDS,
            )
        )

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """The page's address for a browser on this machine."""
        host = ports.reachable(self._listener.getsockname()[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def serve_until_signal(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self._ask())
        self._run_bound()

    def start(self) -> None:
        """Serve on a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread of `start`."""
        self._ask()
        self._thread.join()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the base server, then the poller."""
        asyncio.get_running_loop().set_exception_handler(LoopErrors())
        await super().startup(sockets)
        self._looking = asyncio.create_task(self._poller.run())

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop: a server is useless without its poller."""
        return self._looking.done() or await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, for which the base would wait, then shut down; raise what ended the poller."""
        self._hub.close()
        self._looking.cancel()
        await super().shutdown(sockets)
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the caller: the base would end the process with an error."""
        yield

    def _run_bound(self) -> None:
        try:
            self.run(sockets=[self._listener])
        finally:
            self._poller.close()

    def _ask(self) -> None:
        self.should_exit = True


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror:
        raise ServeError(f"address {host} does not exist: name another one with --host") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ServeError(f"{host} port {port}: {reason}; choose another with --host and --port") from None
