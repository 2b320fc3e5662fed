from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from prometheus_client import REGISTRY

from contracts import frames
from contracts.batch import Appended, MicroBatch
from telemetry.latency import STORE, written
from telemetry.snapshots import note_size, timed_snapshot


def noted(name: str, what: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"{name}_{what}", labels) or 0.0


def bars(offsets: Sequence[int], ends_ms: Sequence[int], revisions: Sequence[int]) -> pl.DataFrame:
    times = {"window_end": [end * 1_000_000 for end in ends_ms]}
    given = pl.DataFrame({"offset": offsets, "revision": revisions, **times})
    return given.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in frames.BARS.items() if name not in given.columns
    ).select(frames.BARS.names())


def test_what_closed_windows_is_timed_when_it_is_committed() -> None:
    fetched = MicroBatch(topic="t", partition=0, next_offset=1, read_at=time.monotonic_ns())
    batches = [fetched, fetched.having("bars", bars([0], [0], [0]))]
    seen: list[Sequence[MicroBatch]] = []
    before = noted("stream_latency_seconds", "count", until="test-sink")
    written("test-sink", seen.append)(batches)
    assert seen == [batches]
    assert noted("stream_latency_seconds", "count", until="test-sink") - before == 1


def test_a_window_counts_once_from_its_last_record_and_from_its_end_and_an_amendment_does_not() -> None:
    now = round(time.time() * 1e3)
    rows = bars([9, 10, 20, 15], [now - 3_000, now - 3_000, now - 1_000, now - 90_000], [0, 0, 0, 2])
    batch = MicroBatch(
        topic="t",
        partition=0,
        next_offset=31,
        read_at=time.monotonic_ns(),
        results={"bars": rows},
        appended=Appended((0, 30), (now - 6_000, now)),
    )
    labels = {"until": STORE}
    before = {
        (name, what): noted(name, what, **some)
        for name, some in (("stream_end_to_end_latency_seconds", labels), ("microbatch_window_latency_ms", {}))
        for what in ("count", "sum")
    }
    written(STORE, lambda _: None)([batch])
    added = {
        key: noted(*key, **(labels if key[0].startswith("stream") else {})) - value for key, value in before.items()
    }
    assert added["stream_end_to_end_latency_seconds", "count"] == added["microbatch_window_latency_ms", "count"] == 2
    assert added["stream_end_to_end_latency_seconds", "sum"] == pytest.approx(4.0 + 2.0, abs=0.5)
    assert added["microbatch_window_latency_ms", "sum"] == pytest.approx(3_000 + 1_000, abs=500)


def test_results_that_do_not_go_to_a_sink_are_not_timed_there() -> None:
    fetched = MicroBatch(topic="t", partition=0, next_offset=1, appended=Appended((0, 0), (0, 0)))
    batch = fetched.having("bars", bars([0], [0], [0]))
    written("test-nowhere", lambda _: None, lambda _: False)([batch])
    assert noted("stream_end_to_end_latency_seconds", "count", until="test-nowhere") == 0


def test_the_size_of_a_state_is_that_of_what_would_be_saved_and_arrays_are_not_copied() -> None:
    state = timed_snapshot("test-step", lambda: {"array": np.zeros(1_000_000), "texts": ["x" * 1_000] * 3})
    tracemalloc.start()
    note_size("test-step", 5, state)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 1_000_000
    size = REGISTRY.get_sample_value("stream_state_bytes", {"step": "test-step", "partition": "5"}) or 0
    assert 8_001_000 < size < 8_005_000
    assert noted("stream_snapshot_duration_seconds", "count", step="test-step") == 1
