"""Restarts a dataflow when the machine's clock is set back.

Bytewax uses the wall clock to schedule polls of partitions and ends of epochs, and librdkafka to time its waits: all of
that would stand still until the clock has caught up. None of it can be changed from outside, so the process restarts
from its last snapshot, as after a crash. A clock that is set forward only makes some of it happen earlier.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final, NoReturn

from flows import stop

_LOOK_SECONDS: Final = 0.25
_TOLERATED_NS: Final = 1_000_000_000  # waited out
_CONTINUES: Final = "MDP_CONTINUES"  # set for a restarted process
_DESCRIPTORS: Final = "/dev/fd"

log = logging.getLogger("mdp.worker")


def watch(*, alone: bool) -> None:
    """Restarts the process from now on when the clock is set back by more than a second.

    A process of a cluster ends instead, as all must restart together, by their supervisor.
    """
    restart = _restart if alone else stop.exit_stuck
    threading.Thread(target=_watch, args=[restart], name="clock", daemon=True).start()


def continues() -> bool:
    """Whether this process was restarted, and so resumes from its saved state, whatever its options say."""
    return os.environ.pop(_CONTINUES, None) is not None


def _watch(restart: Callable[[], NoReturn]) -> None:
    least, _ = _difference()
    while not stop.STOP.wait(_LOOK_SECONDS):
        least_before = least
        least, most = _difference()
        if most < least_before - _TOLERATED_NS:
            log.warning(
                "the clock was set back by %.1f s: restarting from the last snapshot", (least_before - most) / 1e9
            )
            restart()


def _difference() -> tuple[int, int]:
    """Bounds of the wall clock minus the monotonic clock, as the thread may be preempted between the readings."""
    begin = time.monotonic_ns()
    now = time.time_ns()
    return now - time.monotonic_ns(), now - begin


def _restart() -> NoReturn:
    """Executes the same command in the same process at once, with all open files closed."""
    for name in os.listdir(_DESCRIPTORS):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # closed meanwhile
                os.set_inheritable(int(name), False)
    os.environ[_CONTINUES] = "yes"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program
