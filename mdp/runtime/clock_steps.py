"""The machine's clock is set back while a dataflow runs.

Bytewax decides by the time of day when a partition is looked at again and when an epoch ends, and librdkafka how long
it waits: all of that would stand still until the clock had come to where it was. None of it can be reached from
outside, so the process begins again from its last snapshot, as after a crash. A clock that is set forward only brings
some of it forward.
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
_TOLERATED_NS: Final = 1_000_000_000  # is waited for
_CONTINUES: Final = "MDP_CONTINUES"  # set for a process that has begun again
_DESCRIPTORS: Final = "/dev/fd"

log = logging.getLogger("mdp.worker")


def heed(*, alone: bool) -> None:
    """From now on the process begins again when the clock is set back by more than a second.

    One of a cluster ends, as all have to begin again together, which is up to whoever has started it.
    """
    begin_again = _begin_again if alone else stop.leave_stuck
    threading.Thread(target=_watch, args=[begin_again], name="clock", daemon=True).start()


def continues() -> bool:
    """Whether this process has begun again, and so goes on with the state it had, whatever it was told at first."""
    return os.environ.pop(_CONTINUES, None) is not None


def _watch(begin_again: Callable[[], NoReturn]) -> None:
    least, _ = _apart()
    while not stop.STOP.wait(_LOOK_SECONDS):
        least_before = least
        least, most = _apart()
        if most < least_before - _TOLERATED_NS:
            log.warning(
                "the clock was set back by %.1f s: going on from the last snapshot", (least_before - most) / 1e9
            )
            begin_again()


def _apart() -> tuple[int, int]:
    """How far the clock is ahead of one that nobody sets, at least and at most: a thread may be held up anywhere."""
    begin = time.monotonic_ns()
    now = time.time_ns()
    return now - time.monotonic_ns(), now - begin


def _begin_again() -> NoReturn:
    """The same command in the same process; nothing is waited for, and nothing of what was open stays so."""
    for name in os.listdir(_DESCRIPTORS):
        if int(name) > 2:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                os.set_inheritable(int(name), False)
    os.environ[_CONTINUES] = "yes"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program
