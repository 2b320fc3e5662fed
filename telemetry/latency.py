"""Latencies: from the fetch of a batch, from the record that closed a window, and from the window's end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from contracts.batch import MicroBatch
from telemetry import health
from telemetry.metrics import END_TO_END, LATENCY, WINDOW_LATENCY
from telemetry.step_cpu import counted

Write = Callable[[Sequence[MicroBatch]], None]

STORE: Final = "timescale"  # the sinks, as labels
KAFKA: Final = "kafka"


def written(sink: str, write: Write, leaves: Callable[[MicroBatch], bool] = lambda _: True) -> Write:
    """Returns `write` with its CPU time counted as step `sink`, and with latencies of closed windows observed.

    Args:
        sink: the value of the labels.
        write: returns when the batches are committed.
        leaves: whether a batch that closed windows has rows for this sink.
    """
    write = counted(sink, write)

    def timed(batches: Sequence[MicroBatch]) -> None:
        write(batches)
        health.note_write()
        for batch in batches:
            if batch.has_results:
                observe_latency(sink, batch)
                if leaves(batch):
                    _observe_closings(sink, batch)

    return timed


def observe_latency(until: str, batch: MicroBatch) -> None:
    """Observes the latency of a batch up to this point; ignores batches that were not fetched."""
    if batch.read_at:
        LATENCY.labels(until).observe((time.monotonic_ns() - batch.read_at) / 1e9)


def _observe_closings(sink: str, batch: MicroBatch) -> None:
    if batch.appended is None or batch.provisional:
        return
    now, (offsets, ends) = time.time(), _closings(batch)
    windows, window = np.unique(ends, return_inverse=True)
    last = np.zeros(len(windows), np.int64)  # of each window's records; where bars are read, a bar is a record
    np.maximum.at(last, window, offsets)
    times_ms = np.interp(last, batch.appended.offsets, batch.appended.times_ms)
    observe = END_TO_END.labels(sink).observe
    for time_ms in times_ms.tolist():
        observe(max(0.0, now - time_ms / 1e3))
    if sink == STORE:
        for end in windows.tolist():
            WINDOW_LATENCY.observe(max(0.0, now * 1e3 - end / 1e6))


def _closings(batch: MicroBatch) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row of a window that closed: the offset of the record that closed it, and the window's end."""
    if batch.features is not None:
        return batch.features["offset"].to_numpy(), batch.features["ts"].to_numpy()
    closed = batch.bars["revision"].to_numpy() == 0
    return batch.bars["offset"].to_numpy()[closed], batch.bars["window_end"].to_numpy()[closed]
