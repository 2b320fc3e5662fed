"""Processes that tests start, forked from one that has imported what workers and commands import.

The imports take 1.6 s of CPU time, and the tests start several hundred processes. What is forked is a process as any
other: a session, an environment, and open files of its own, and it ends and is killed like any other.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

REPORT = struct.Struct("=i")  # a process id first, then the exit code
_PROJECT = Path(__file__).resolve().parent.parent


class Process(Protocol):
    """What tests do with a process, whichever way it was started."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Order(NamedTuple):
    """What a new process runs.

    Attributes:
        function: as `module:function`, called without arguments; it may return an exit code.
        arguments: of the command line, from `sys.argv[1]` on.
        environment: all of it.
    """

    function: str
    arguments: tuple[str, ...]
    environment: dict[str, str]


class Forked:
    """A forked process. `poll` and `wait` give its exit code, or the negative number of the signal that killed it."""

    def __init__(self, reports: int) -> None:
        self._reports = reports
        self._code: int | None = None
        self.pid = self._read()

    def poll(self) -> int | None:
        if self._code is None and self._is_reported(0):
            self._code = self._read()
            os.close(self._reports)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        began = time.monotonic()
        while self.poll() is None:
            left = None if timeout is None else began + timeout - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self._is_reported(left)
        return self.poll() or 0

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _is_reported(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self._reports, select.POLLIN)
        return bool(poll.poll(None if seconds is None else seconds * 1_000))

    def _read(self) -> int:
        report = os.read(self._reports, REPORT.size)
        assert report, "what forks the processes of the tests has ended"
        code: int = REPORT.unpack(report)[0]
        return code


def fork(function: str, arguments: Sequence[str], environment: Mapping[str, str], said: int) -> Forked:
    """A process in a session of its own that runs a function; what it says goes to the open file `said`."""
    reports, written = os.pipe()
    order = Order(function, tuple(arguments), dict(environment))
    try:
        socket.send_fds(_server(), [pickle.dumps(order)], [said, written])
    finally:
        os.close(written)
    return Forked(reports)


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with closing(theirs):
        process = subprocess.Popen([sys.executable, "-m", "tests.fork_server"], stdin=theirs.fileno(), cwd=_PROJECT)

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
