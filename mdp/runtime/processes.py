"""Starts, watches and stops the processes of a Bytewax cluster on this machine as a whole."""

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
AWAY: Final = 75  # the exit code when a required service or a neighbour is unavailable

_OF_ANOTHERS_END: Final = (AWAY, -signal.SIGABRT)
_PORTS: Final = range(15_000, 20_000)
_STOP_SECONDS: Final = 3.6  # a process gives up by itself after 3.5 s
_END_SECONDS: Final = 1.0  # for the exit codes of processes that end as well
LOOK_SECONDS: Final = 0.05


class Processes:
    """The processes, one per worker. A Bytewax cluster works only as a whole: when one ends, so do the others.

    They are forked by a server, which stays for the next start. They get the config from the environment, connect to
    each other on newly chosen ports, and record their work in flight in a file whose descriptor they inherit.
    """

    def __init__(self, flow: str, workers: int, whereabouts: int) -> None:
        self._command = [sys.executable, "-m", SERVER, flow, str(whereabouts)]
        self._codes: list[int | None] = [None] * workers
        self._server: _Server | None = None

    def run(self) -> dict[int, int]:
        """Starts them, and ends all when one has failed or a stop was requested.

        Returns:
            The exit codes by process, except processes that were killed because another one had ended.
        """
        self._start()
        while not stop.STOP.is_set() and None in self._codes and not any(self._codes):
            self._listen(LOOK_SECONDS)
        if stop.STOP.is_set():
            self._send(signal.SIGTERM)
            self._listen_until(lambda: None not in self._codes, _STOP_SECONDS)
            self._kill()
            return self._ended
        # a process whose neighbour has ended notices at once, and the one that caused it may end a little later
        self._listen_until(self._is_cause_known, _END_SECONDS)
        codes = self._ended
        self._kill()
        return codes

    def close(self) -> None:
        """Ends the fork server, after the processes have ended."""
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
        self._server.send(Start(tuple(addresses)))

    def _send(self, number: int) -> None:
        if self._server is not None:
            self._server.send(Send(number))

    def _kill(self) -> None:
        self._send(signal.SIGKILL)
        while None in self._codes:
            self._listen(LOOK_SECONDS)

    def _is_cause_known(self) -> bool:
        """Whether one has ended by itself, rather than because another one ended."""
        return None not in self._codes or any(code not in (0, *_OF_ANOTHERS_END) for code in self._ended.values())

    def _listen_until(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self._listen(LOOK_SECONDS)

    def _listen(self, seconds: float) -> None:
        """Waits up to `seconds` for one to end."""
        if self._server is None or not self._server.connection.poll(seconds):
            return
        try:
            ended: Ended = self._server.connection.recv()
        except (EOFError, OSError):  # the other end is closed: by the server and all processes that it has forked
            last, self._server = self._server.end(), None
            self._codes = [last if code is None else code for code in self._codes]
        else:
            self._codes[ended.process] = ended.code


class _Server:
    """A running fork server.

    It is in its own session, like its children, so that a signal from the terminal arrives once, through this process.
    They inherit the lock on the saved state, so the lock is released only when no process can write there any more.
    """

    def __init__(self, command: list[str]) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=theirs.fileno(), start_new_session=True, close_fds=False
            )

    def send(self, order: Start | Send) -> None:
        with contextlib.suppress(OSError):  # it has ended, which the listener will notice
            self.connection.send(order)

    def end(self) -> int:
        """Ends it; returns the exit code."""
        self.connection.close()
        self._process.kill()
        return self._process.wait()
