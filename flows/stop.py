"""A requested stop: the sources end and Bytewax takes a last snapshot; a stop closes no windows."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final, NoReturn

STOP: Final = threading.Event()

STUCK: Final = 75  # the exit code of a run that could not stop in time; it resumes from its last snapshot
_STOP_SECONDS: Final = 3.5  # so that it ends within five, even on a loaded machine and with a cluster


def before_the_start() -> None:
    """Lets SIGINT and SIGTERM end a process that has not consumed anything yet: there is nothing to save."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)


def on_signals() -> None:
    """Lets SIGINT and SIGTERM request a stop; after a second one, or a timeout, the process ends at once."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)


def with_parent() -> None:
    """Stops at the end of standard input, a pipe from the parent, so that no worker outlives its parent."""

    def wait() -> None:
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def give_up() -> NoReturn:
    """Ends the process at once, as something does not answer in time."""
    sys.stderr.write("could not stop in time; the next run resumes from the last snapshot\n")
    exit_stuck()


def exit_stuck() -> NoReturn:
    """Ends the process without a shutdown of the interpreter, for which there is no time."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STUCK)


def _leave(*_: object) -> NoReturn:
    """Exits by an exception, and ends the process anyway if a library's callback swallows it."""

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
