"""The processes of a Bytewax cluster on this machine: started, watched and stopped as a whole."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Pipe
from typing import Final

from flows import stop
from mdp.local import ports
from mdp.runtime.fork_orders import Ended, Send, Start

SERVER = "mdp.runtime.fork_server"
AWAY: Final = 75  # the exit code when something that the flow needs is away, such as its neighbours

_OF_ANOTHERS_END: Final = (AWAY, -signal.SIGABRT)
_PORTS: Final = range(15_000, 20_000)
_STOP_SECONDS: Final = 3.6  # a process gives up after 3.5 s by itself
_END_SECONDS: Final = 1.0  # for what a process that ends too has to say
LOOK_SECONDS: Final = 0.05


class Processes:
    """As many as there are workers. Bytewax's clusters work as a whole or not at all: when one ends, so do the others.

    They come out of a fork server, which stays for the next start. They learn the config from the environment, find
    each other on ports chosen anew, and keep their whereabouts in a file whose descriptor they inherit.
    """

    def __init__(self, flow: str, workers: int, whereabouts: int) -> None:
        self._command = [sys.executable, "-m", SERVER, flow, str(whereabouts)]
        self._codes: list[int | None] = [None] * workers
        self._server: _Server | None = None

    def run(self) -> dict[int, int]:
        """Starts them, and ends all when one has failed or a stop was asked for.

        Returns:
            The exit codes by process, without those of processes that had to be ended because another one has.
        """
        self._start()
        while not stop.STOP.is_set() and None in self._codes and not any(self._codes):
            self._listen(LOOK_SECONDS)
        if stop.STOP.is_set():
            self._send(signal.SIGTERM)
            self._listen_until(lambda: None not in self._codes, _STOP_SECONDS)
            self._kill()
            return self._ended
        # a process whose neighbour has ended notices at once, and one that was the cause may end a little later
        self._listen_until(self._are_explained, _END_SECONDS)
        codes = self._ended
        self._kill()
        return codes

    def close(self) -> None:
        """Ends the fork server; the processes have ended."""
        if self._server is not None:
            self._server.end()
            self._server = None

    @property
    def _ended(self) -> dict[int, int]:
        return {process: code for process, code in enumerate(self._codes) if code is not None}

    def _start(self) -> None:
        self._codes = [None] * len(self._codes)
        self._server = self._server or _Server(self._command)
        addresses = [f"{ports.HOST}:{port}" for port in ports.choose(_PORTS, len(self._codes))]
        self._server.tell(Start(tuple(addresses)))

    def _send(self, number: int) -> None:
        if self._server is not None:
            self._server.tell(Send(number))

    def _kill(self) -> None:
        self._send(signal.SIGKILL)
        while None in self._codes:
            self._listen(LOOK_SECONDS)

    def _are_explained(self) -> bool:
        """Whether one has ended by itself, and not of what another's end does to it."""
        return None not in self._codes or any(code not in (0, *_OF_ANOTHERS_END) for code in self._ended.values())

    def _listen_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self._listen(LOOK_SECONDS)

    def _listen(self, seconds: float) -> None:
        """Waits for one to end, so long at most."""
        if self._server is None or not self._server.connection.poll(seconds):
            return
        try:
            ended: Ended = self._server.connection.recv()
        except (EOFError, OSError):  # nobody has the other end any more: neither the server nor one that it has forked
            last, self._server = self._server.end(), None
            self._codes = [last if code is None else code for code in self._codes]
        else:
            self._codes[ended.process] = ended.code


class _Server:
    """A fork server that runs.

    It is in a session of its own, as are its children, so that a signal from the terminal comes once, and through here.
    They inherit the lock on the saved state, which so is free only when nobody can write there any more.
    """

    def __init__(self, command: list[str]) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=theirs.fileno(), start_new_session=True, close_fds=False
            )

    def tell(self, order: Start | Send) -> None:
        with contextlib.suppress(OSError):  # it has ended, as whoever listens will hear
            self.connection.send(order)

    def end(self) -> int:
        """The exit code."""
        self.connection.close()
        self._process.kill()
        return self._process.wait()
