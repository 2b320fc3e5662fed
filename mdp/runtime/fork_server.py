"""`python -m mdp.runtime.fork_server FLOW FILE`: imports what a cluster's processes need, then forks them on order.

Importing everything and loading compiled code takes more than a second of CPU time. Four processes that each did so on
two cores would restart some seconds later.

A fork copies the memory, but only the forking thread: work of other threads would stay unfinished for ever. So only
what starts no threads is loaded here. If threads run anyway, or the system's own libraries start them (macOS), each
process starts from scratch instead.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import re
import signal
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Final, NoReturn

from flows.config_file import load
from flows.spec import FLOWS
from mdp.runtime import cluster_process
from mdp.runtime.fork_orders import Ended, Send, Start

_TASKS: Final = Path("/proc/self/task")  # Linux
# Threads started by the import of Polars. The allocator's threads support forks, and the other one removes files of
# queries larger than memory.
_HARMLESS: Final = re.compile(r"jemalloc_bg_thd|polars-ooc-clea")


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a process in its cluster."""

    process: int
    addresses: tuple[str, ...]


class _Server:
    """Executes orders of its parent from its standard input, a socket.

    Its children have the read end of a pipe as standard input, and so notice its end. They also keep the socket open:
    when it is closed, the parent knows that all have ended.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments  # of each process, in addition to its place
        self._parent = Connection(os.dup(0))
        os.set_inheritable(self._parent.fileno(), True)
        self._alive, self._life = os.pipe()
        self._children: dict[int, int] = {}  # by process id: which process of the cluster it is

    def serve(self) -> Place | None:
        """Returns the place in a forked process; None in the server itself, when its parent has ended."""
        child_ended = _woken_by(signal.SIGCHLD)
        while True:
            ready = wait([self._parent, child_ended])
            if child_ended in ready:
                os.read(child_ended, 1_024)
                self._reap()
            if self._parent in ready:
                try:
                    order = self._parent.recv()
                except EOFError:
                    return None
                place = self._execute(order)
                if place is not None:
                    return place

    def _execute(self, order: Start | Send) -> Place | None:
        if isinstance(order, Send):
            for child in self._children:
                os.kill(child, order.signal)
            return None
        for process in range(len(order.addresses)):
            place = Place(process, order.addresses)
            if self._is_forked(place):
                return place
        return None

    def _is_forked(self, place: Place) -> bool:
        """Forks; returns whether this is the new process."""
        child = self._spawn(place) if threads() else os.fork()
        if child:
            self._children[child] = place.process
            return False
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._life)
        os.dup2(self._alive, 0)
        return True

    def _spawn(self, place: Place) -> int:
        command = [
            sys.executable,
            "-m",
            cluster_process.__name__,
            str(place.process),
            ";".join(place.addresses),
            *self._arguments,
        ]
        standard_input = (os.POSIX_SPAWN_DUP2, self._alive, 0)
        return os.posix_spawn(sys.executable, command, os.environ, file_actions=[standard_input])

    def _reap(self) -> None:
        for child in list(self._children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                report = Ended(self._children.pop(child), os.waitstatus_to_exitcode(status))
                with contextlib.suppress(BrokenPipeError):  # the parent has ended, too
                    self._parent.send(report)


def threads() -> list[str]:
    """The names of the threads that a fork would not copy; on systems other than Linux, the system's name."""
    if not _TASKS.exists():
        return [sys.platform]
    names = [task.read_text().strip() for task in _TASKS.glob("*/comm") if task.parent.name != str(os.getpid())]
    return [name for name in names if not _HARMLESS.fullmatch(name)]


def _woken_by(number: int) -> int:
    """A file descriptor that becomes readable on the signal."""
    readable, written = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    signal.signal(number, lambda *_: None)
    return readable


def main() -> NoReturn:
    """Serves until its parent has ended, or runs the forked process."""
    cluster_process.end_after(_run)


def _run() -> int:
    flow, whereabouts = sys.argv[1:]
    _load(flow)
    place = _Server(flow, whereabouts).serve()
    return 0 if place is None else cluster_process.run(place.process, place.addresses, FLOWS[flow], int(whereabouts))


def _load(flow: str) -> None:
    settings = load()
    importlib.import_module(f"flows.{flow}")
    if settings.inference.adapters.sklearn.enabled:
        importlib.import_module("skops.io")  # and scikit-learn with it
    gc.collect()
    gc.freeze()  # these objects stay: a garbage collection would only copy their pages for each process


if __name__ == "__main__":
    main()
