"""The faults and their times, determined by the seed alone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chaos.losses import cut_topic, set_database_back
from chaos.market import SIGNALS
from chaos.pipeline import Pipeline
from mdp.local import ports

KILL: Final = "worker killed"
SUSPEND: Final = "worker suspended"
BROKER: Final = "broker killed"
DATABASE: Final = "database stopped"
RESCALE: Final = "rescaled"
SET_BACK: Final = "database set back"
LOST_END: Final = "topic lost its end"
CLOCK: Final = "clock stepped"
KINDS: Final = (KILL, SUSPEND, BROKER, DATABASE, RESCALE, SET_BACK, LOST_END, CLOCK)
WITHOUT_LOST_ENDS: Final = tuple(kind for kind in KINDS if kind != LOST_END)  # of topics that are placed by key
LOSSES: Final = (SET_BACK, LOST_END)  # may require reading the log again

_WORKERS: Final = (1, 2, 4)
_HOUR: Final = 3_600.0
_START_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """One of KINDS, `at` seconds into the load; `chance` in [0, 1) decides its details."""

    at: float
    kind: str
    chance: float


def plan(seed: int, count: int, seconds: float, among: Sequence[str] = KINDS) -> list[Fault]:
    """Returns `count` faults, evenly by kind, at random moments, one in each of equal parts of the time."""
    draw = random.Random(seed)  # noqa: S311 - to be repeated
    kinds = [among[number % len(among)] for number in range(count)]
    draw.shuffle(kinds)
    kinds.sort(key=lambda kind: kind != LOST_END)  # while the log, which is read again, is short
    length = seconds / (count + 1)
    return [
        Fault((number + 0.5 + 0.8 * draw.random()) * length, kind, draw.random()) for number, kind in enumerate(kinds)
    ]


def inject(fault: Fault, pipeline: Pipeline) -> None:
    """Injects the fault, and reverts it where necessary: servers are restarted, and workers continue."""
    _DOERS[fault.kind](pipeline, fault.chance)


def _kill(pipeline: Pipeline, chance: float) -> None:
    os.kill(_some_worker(pipeline, chance), signal.SIGKILL)


def _suspend(pipeline: Pipeline, chance: float) -> None:
    pid = _some_worker(pipeline, chance)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5 + 5.5 * chance)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _kill_broker(pipeline: Pipeline, chance: float) -> None:
    pipeline.stack.kafka.kill()
    time.sleep(2.0 * chance)
    pipeline.stack.kafka.start()


def _stop_database(pipeline: Pipeline, chance: float) -> None:
    pipeline.stack.postgres.process.stop(signal.SIGQUIT, 30.0)  # immediate: like after a crash, it has to recover
    time.sleep(4.0 * chance)
    pipeline.stack.postgres.start()


def _rescale(pipeline: Pipeline, chance: float) -> None:
    others = [workers for workers in _WORKERS if workers != pipeline.workers]
    pipeline.rescale(others[int(chance * len(others))])


def _set_database_back(pipeline: Pipeline, chance: float) -> None:
    set_database_back(pipeline, 1.0 + 9.0 * chance)


def _lose_end(pipeline: Pipeline, chance: float) -> None:
    pipeline.stop()
    cut_topic(pipeline, SIGNALS, chance)
    pipeline.start()


def _step_clock(pipeline: Pipeline, chance: float) -> None:
    pipeline.clock.apart += _HOUR * (2 * chance - 1)


def _some_worker(pipeline: Pipeline, chance: float) -> int:
    """One of the running workers; right after another fault they may still be starting."""
    ports.wait_until(lambda: len(pipeline.worker_pids()) == pipeline.worker_count, _START_SECONDS)
    pids = pipeline.worker_pids()
    return pids[int(chance * len(pids))]


_DOERS: Final[dict[str, Callable[[Pipeline, float], None]]] = {
    KILL: _kill,
    SUSPEND: _suspend,
    BROKER: _kill_broker,
    DATABASE: _stop_database,
    RESCALE: _rescale,
    SET_BACK: _set_database_back,
    LOST_END: _lose_end,
    CLOCK: _step_clock,
}
