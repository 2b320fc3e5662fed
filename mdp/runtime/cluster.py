"""Supervises a cluster: when one of its processes dies, all are restarted from the last snapshot."""

from __future__ import annotations

import logging
import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from mmap import mmap
from tempfile import TemporaryFile
from typing import IO, Final

from contracts.partition_keys import stay_together
from flows import stop
from mdp.runtime.crash_loop import CrashLoop
from mdp.runtime.processes import AWAY, LOOK_SECONDS, Processes
from telemetry import status
from telemetry.whereabouts import SIZE, Whereabouts

USER_ERROR: Final = 2

_MOST_RESTARTS: Final = 5
_PERIOD: Final = 60.0
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_MOST_DOUBLINGS: Final = 10  # far beyond the longest pause
_STOP_SECONDS: Final = 4.75

log = logging.getLogger("mdp.cluster")


class Restarts:
    """The pause before the next start: longer each time; gives up after too many crashes in a minute."""

    def __init__(self) -> None:
        self._crashes: deque[float] = deque()
        self._away = 0

    def pause(self, now: float, *, crashed: bool) -> float | None:
        """Seconds to wait; None to give up. `now` is in seconds of a monotonic clock."""
        while self._crashes and now - self._crashes[0] > _PERIOD:
            self._crashes.popleft()
        if len(self._crashes) == _MOST_RESTARTS and crashed:
            return None
        if crashed:
            self._crashes.append(now)
        self._away = 0 if crashed else self._away + 1
        doublings = min(len(self._crashes) + self._away - 1, _MOST_DOUBLINGS)
        longest = min(_FIRST_PAUSE * 2**doublings, _LONGEST_PAUSE)
        return random.uniform(longest / 2, longest)  # noqa: S311 - jitter


def run(flow: str, workers: int, topics: Sequence[str], prepare: Callable[[], None]) -> int:
    """Runs `flow`, which reads `topics`, in `workers` processes until its end, a stop, or a permanent failure.

    `prepare` is called before each start.

    Returns:
        The exit code: 2 after an error that the user can fix, 75 after a stop that took too long.
    """
    _stop_on_signals()
    with _shared_file() as file:
        file.truncate(SIZE + status.SIZE)
        status.share(file.fileno(), SIZE, 0)
        os.set_inheritable(file.fileno(), True)
        whereabouts = Whereabouts(mmap(file.fileno(), SIZE))
        with closing(Processes(flow, workers, file.fileno())) as processes:
            return _supervised(processes, workers, topics, whereabouts, prepare)


def _shared_file() -> IO[bytes]:
    """A file in memory, if the system supports it, as a full disk must not kill its writers."""
    return os.fdopen(os.memfd_create("whereabouts"), "r+b") if sys.platform == "linux" else TemporaryFile()


def _supervised(
    processes: Processes, workers: int, topics: Sequence[str], whereabouts: Whereabouts, prepare: Callable[[], None]
) -> int:
    restarts, loop = Restarts(), CrashLoop()
    while True:
        prepare()
        whereabouts.restart(loop.suspects)
        ended = processes.run()
        code = verdict(list(ended.values()))
        if stop.STOP.is_set() or code in (0, USER_ERROR):
            return code
        if code != AWAY:
            loop.note(code, whereabouts.in_progress(_dead(ended, workers)))
        if loop.is_certain:
            log.error("a worker process dies (%d) whenever it has read %s: giving up", code, loop.where(topics))
            return code
        # an unavailable service returns, so these restarts are not limited
        pause = restarts.pause(time.monotonic(), crashed=code != AWAY)
        if pause is None:
            log.error("the cluster has crashed %d times within a minute: giving up", _MOST_RESTARTS + 1)
            return code
        why = "cannot continue now" if code == AWAY else f"died ({code})"
        log.warning("a worker process %s: the cluster restarts from its last snapshot in %.1f s", why, pause)
        if _stopped_within(pause):
            return stop.STUCK


def _dead(ended: Mapping[int, int], workers: int) -> Collection[int]:
    """The processes that may have had the record in flight that caused the death."""
    return (
        [process for process, code in ended.items() if code not in (0, AWAY)]
        if stay_together(workers)
        else range(workers)
    )


def verdict(codes: Sequence[int]) -> int:
    """The exit code of a cluster from those of its processes; the one that explains the others has priority."""
    unstarted = -signal.SIGTERM if stop.STOP.is_set() else 0  # ended before they could handle it: nothing to save
    failed = [code for code in codes if code not in (0, unstarted)]
    if USER_ERROR in failed:
        return USER_ERROR
    died = next((code for code in failed if code != AWAY), AWAY if failed else 0)
    if died < 0:  # by a signal; during a stop it was ours
        return stop.STUCK if stop.STOP.is_set() else 128 - died
    return died


def _stopped_within(seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not stop.STOP.is_set() and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return stop.STOP.is_set()


def _stop_on_signals() -> None:
    """Like `flows.stop`, but a little later, so that the processes end first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ask)


def _ask(*_: object) -> None:
    if stop.STOP.is_set():
        os._exit(stop.STUCK)
    stop.STOP.set()
    deadline = threading.Timer(_STOP_SECONDS, stop.give_up)
    deadline.daemon = True
    deadline.start()
