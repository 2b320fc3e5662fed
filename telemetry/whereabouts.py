"""Which records each process of a cluster is working on, in memory that outlives it, to explain its death by.

There is a row for each partition. The process that reads it says up to where it has handed records on, and each sink up
to where it has written what came of them: what lies in between is in hand. A row also names suspects: records that
processes have died with more than once. They are handed on in pieces, each when the last is written, so that fewer are
in hand the next time.
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
_PARTITIONS: Final = 100_000  # that a topic can have

Write = Callable[[Sequence[MicroBatch]], None]

SIZE: Final = _PARTITIONS * _ROW.itemsize


class Whereabouts:
    """Those of a cluster, as seen by the process that has this number in it, or by who looks after all."""

    def __init__(self, memory: mmap.mmap, process: int = 0) -> None:
        """`memory`: of SIZE bytes."""
        self._rows = np.frombuffer(memory, _ROW)
        self._process = process
        self._given = self._rows["given"]
        self._written = {sink: self._rows[sink] for sink in _SINKS}

    def begin(self, partition: int, offset: int) -> None:
        """The partition is read by this process, from this offset on."""
        self._rows["process"][partition] = self._process
        self._start(partition, offset)
        self._given[partition] = offset

    def give(self, partition: int, first: int, next_offset: int) -> None:
        """Records from offset `first` on are handed on; `next_offset` is that after the last."""
        if self._is_idle(partition):
            self._start(partition, first)  # there may be none right after those that are written
        self._given[partition] = next_offset

    def _start(self, partition: int, offset: int) -> None:
        for written in self._written.values():
            written[partition] = offset

    def note_written(self, sink: str, batches: Sequence[MicroBatch]) -> None:
        """What came of these batches has been written by this sink."""
        for batch in batches:
            self._written[sink][batch.partition] = batch.next_offset

    def _is_idle(self, partition: int) -> bool:
        """Whether everything that was handed on has been written."""
        return all(written[partition] >= self._given[partition] for written in self._written.values())

    def suspects(self, partition: int) -> range:
        """The offsets of records that may be what processes have died of."""
        return range(int(self._rows["suspect"][partition]), int(self._rows["suspect_to"][partition]))

    @cached_property
    def _suspected(self) -> list[int]:
        partitions: list[int] = np.flatnonzero(self._rows["suspect_to"]).tolist()
        return partitions

    def are_suspects_written(self) -> bool:
        """Whether nothing is in hand of the partitions that have suspects."""
        return all(map(self._is_idle, self._suspected))

    def in_hand(self, processes: Collection[int]) -> dict[int, range]:
        """By partition, the offsets of the records that these processes have in hand."""
        first = np.minimum.reduce(list(self._written.values()))
        busy = np.flatnonzero((first < self._given) & np.isin(self._rows["process"], list(processes)))
        return {partition: range(int(first[partition]), int(self._given[partition])) for partition in busy.tolist()}

    def restart(self, suspects: Mapping[int, range]) -> None:
        """Forgets everything but these suspects, before new processes are started."""
        self._rows[:] = 0
        for partition, records in suspects.items():
            self._rows["suspect"][partition], self._rows["suspect_to"][partition] = records.start, records.stop


_own = Whereabouts(mmap.mmap(-1, SIZE))


def own() -> Whereabouts:
    """Those of this process."""
    return _own


def share(file: int, process: int) -> None:
    """From now on the whereabouts of this process are kept in a file of SIZE bytes."""
    global _own  # noqa: PLW0603 - of the process
    _own = Whereabouts(mmap.mmap(file, SIZE), process)


def noted(sink: str, write: Write) -> Write:
    """`write` of a sink; what comes of batches is written when it returns."""
    here = own()

    def note(batches: Sequence[MicroBatch]) -> None:
        write(batches)
        here.note_written(sink, batches)

    return note
