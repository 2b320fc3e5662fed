"""A stop that was asked for: the sources end, Bytewax takes a last snapshot, and no window is closed by it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, NoReturn

STOP: Final = threading.Event()

STUCK: Final = 75  # the exit code of a run that could not stop in time; it resumes from its last snapshot
_STOP_SECONDS: Final = 3.5  # so that it is over within five, on a burdened machine and with a cluster to end too


def before_the_start() -> None:
    """Makes SIGINT and SIGTERM end a process that has not consumed anything yet: there is nothing to save."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)


def on_signals() -> None:
    """Makes SIGINT and SIGTERM ask for a stop; a second one, or one that takes too long, ends the process at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)


def with_parent() -> None:
    """Makes the end of standard input, a pipe from the parent, ask for a stop: no worker outlives who started it."""

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def give_up() -> NoReturn:
    """Ends the process at once: something that has to be waited for does not answer."""
    sys.stderr.write("could not stop in time; the next run goes on from the last snapshot\n")
    leave_stuck()


def leave_stuck() -> NoReturn:
    """Ends the process without taking the interpreter apart, for which there is no time left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STUCK)


def _leave(*_: object) -> NoReturn:
    """An exception that is raised while a library calls back may be lost in it: then the process ends all the same."""

    def end() -> None:
        os._exit(0 if signal.getsignal(signal.SIGTERM) is _leave else STUCK)

    _in_time(end)
    sys.exit(0)


def _ask(*_: object) -> None:
    if STOP.is_set():
        os._exit(STUCK)
    STOP.set()
    _in_time(give_up)


def _in_time(end: Callable[[], None]) -> None:
    deadline = threading.Timer(_STOP_SECONDS, end)
    deadline.daemon = True
    deadline.start()
