"""Status of a flow: the counts of its processes, in memory shared with their supervisor."""

from __future__ import annotations

import mmap
import threading
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.batch import MicroBatch
from telemetry.outage import waiting
from telemetry.partition_lag import readings

_MOST_PROCESSES: Final = 256
_ROW: Final = np.dtype([(name, np.int64) for name in ("events", "late", "bars", "signals", "lag_ms", "waiting")])
_SERVICES: Final = ("Kafka", "the database")  # a bit of `waiting` for each
_FRESH_SECONDS: Final = 1.0

SIZE: Final = _MOST_PROCESSES * _ROW.itemsize


@dataclass(frozen=True, slots=True)
class Status:
    """The status of all processes together.

    Attributes:
        events: since the start of these processes, as are late events, bars and signals.
        lag_ms: of the partition with the largest lag.
        waiting: the services that some process waits for.
    """

    events: int
    late: int
    bars: int
    signals: int
    lag_ms: int
    waiting: tuple[str, ...]


class _Rows:
    """A row for each process; a process writes only its own."""

    def __init__(self, memory: mmap.mmap, offset: int, process: int) -> None:
        self.all = np.frombuffer(memory, _ROW, _MOST_PROCESSES, offset)
        self.own = self.all[process]


_rows = _Rows(mmap.mmap(-1, SIZE), 0, 0)


def share(file: int, offset: int, process: int) -> None:
    """Sets the shared memory: SIZE bytes at `offset` of a file; this process writes the row `process`."""
    global _rows  # noqa: PLW0603 - of the process
    _rows = _Rows(mmap.mmap(file, offset + SIZE), offset, process)


def count(batch: MicroBatch) -> None:
    """Counts a batch that has passed the steps."""
    row = _rows.own
    row["events"] += sum(batch.ingested.values()) + batch.rejects.height
    row["late"] += batch.late.height
    row["bars"] += batch.bars.height
    row["signals"] += batch.signals.height


def keep_fresh() -> None:
    """Starts a thread that records this process's lag and what it waits for."""
    threading.Thread(target=_refresh, name="status", daemon=True).start()


def _refresh() -> None:
    pause = threading.Event()
    while not pause.wait(_FRESH_SECONDS):
        row, away = _rows.own, waiting()
        row["lag_ms"] = max((reading.lag_ms() for reading in readings()), default=0)
        row["waiting"] = sum(1 << bit for bit, service in enumerate(_SERVICES) if service in away)


def status() -> Status:
    """The status recorded by all processes."""
    rows = _rows.all
    away = int(np.bitwise_or.reduce(rows["waiting"]))
    services = tuple(service for bit, service in enumerate(_SERVICES) if away >> bit & 1)
    sums = {name: int(rows[name].sum()) for name in ("events", "late", "bars", "signals")}
    return Status(**sums, lag_ms=int(rows["lag_ms"].max()), waiting=services)
