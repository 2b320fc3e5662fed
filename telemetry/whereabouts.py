"""The records in flight in each process of a cluster, in memory that outlives it, to find the cause of its death.

There is a row for each partition; topics of a flow that reads several share them. The process that reads a partition
records the offset up to which it has emitted records, and each sink the offset up to which it has written their
results: the records in between are in flight. A row also names suspects: records in flight at more than one death. They
are emitted in pieces, each after the results of the previous one are written, so that fewer are in flight the next
time.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Final

import numpy as np

from contracts.batch import MicroBatch

_SINKS: Final = ("timescale", "kafka")  # their labels
_ROW: Final = np.dtype([(name, np.int64) for name in ("process", "given", *_SINKS, "suspect", "suspect_to")])
_PARTITIONS: Final = 100_000  # that a topic can have; where a flow reads several, all of them together

Write = Callable[[Sequence[MicroBatch]], None]

SIZE: Final = _PARTITIONS * _ROW.itemsize


def first_row(number: int, count: int) -> int:
    """The row of the first partition of a topic, one of so many that a flow reads, counted from 0."""
    return number * (_PARTITIONS // count)


def place_of(row: int, count: int) -> tuple[int, int]:
    """Which of so many topics a row is of, and its partition."""
    return divmod(row, _PARTITIONS // count)


class Whereabouts:
    """The records in flight in a cluster, as seen by the process with this number, or by the supervisor."""

    def __init__(self, memory: mmap.mmap, process: int = 0) -> None:
        """`memory`: of SIZE bytes."""
        self._rows = np.frombuffer(memory, _ROW)
        self._process = process
        self._given = self._rows["given"]
        self._written = {sink: self._rows[sink] for sink in _SINKS}

    def begin(self, partition: int, offset: int) -> None:
        """Notes that this process reads the partition, from this offset on."""
        self._rows["process"][partition] = self._process
        self._start(partition, offset)
        self._given[partition] = offset

    def give(self, partition: int, first: int, next_offset: int) -> None:
        """Notes that records from `first` up to, not including, `next_offset` are emitted."""
        if self._is_idle(partition):
            self._start(partition, first)  # offsets between written and first records may be gaps
        self._given[partition] = next_offset

    def _start(self, partition: int, offset: int) -> None:
        for written in self._written.values():
            written[partition] = offset

    def note_written(self, sink: str, batches: Sequence[MicroBatch], first_row: int = 0) -> None:
        """Notes that this sink has written the results of these batches of a topic."""
        for batch in batches:
            self._written[sink][first_row + batch.partition] = batch.next_offset

    def _is_idle(self, partition: int) -> bool:
        """Whether the results of all emitted records are written."""
        return all(written[partition] >= self._given[partition] for written in self._written.values())

    def suspects(self, partition: int) -> range:
        """The offsets of records that may have caused the deaths of processes."""
        return range(int(self._rows["suspect"][partition]), int(self._rows["suspect_to"][partition]))

    @cached_property
    def _suspected(self) -> list[int]:
        partitions: list[int] = np.flatnonzero(self._rows["suspect_to"]).tolist()
        return partitions

    def are_suspects_written(self) -> bool:
        """Whether nothing is in flight in the partitions that have suspects."""
        return all(map(self._is_idle, self._suspected))

    def in_progress(self, processes: Collection[int]) -> dict[int, range]:
        """By partition, the offsets of the records in flight in these processes."""
        first = np.minimum.reduce(list(self._written.values()))
        busy = np.flatnonzero((first < self._given) & np.isin(self._rows["process"], list(processes)))
        return {partition: range(int(first[partition]), int(self._given[partition])) for partition in busy.tolist()}

    def restart(self, suspects: Mapping[int, range]) -> None:
        """Resets everything but these suspects, before new processes start."""
        self._rows[:] = 0
        for partition, records in suspects.items():
            self._rows["suspect"][partition], self._rows["suspect_to"][partition] = records.start, records.stop


_own = Whereabouts(mmap.mmap(-1, SIZE))


def own() -> Whereabouts:
    """The records in flight in this process."""
    return _own


def share(file: int, process: int) -> None:
    """Keeps the records in flight of this process in a file of SIZE bytes from now on."""
    global _own  # noqa: PLW0603 - of the process
    _own = Whereabouts(mmap.mmap(file, SIZE), process)


def noted(sink: str, write: Write, first_row: int = 0) -> Write:
    """Returns `write` of a sink, after which the results of the batches are noted as written.

    `first_row` is that of the topic which the batches are of.
    """
    here = own()

    def note(batches: Sequence[MicroBatch]) -> None:
        write(batches)
        here.note_written(sink, batches, first_row)

    return note
