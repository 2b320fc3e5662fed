from __future__ import annotations

import polars as pl
from prometheus_client import REGISTRY

from contracts import frames
from contracts.batch import MicroBatch, Outcomes
from telemetry.metrics import observe


def counted(metric: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


def rows(schema: pl.Schema, rows: list[dict[str, str]]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def test_bars_signals_and_outcomes_of_a_batch_are_counted_by_their_labels() -> None:
    topic = "observed"
    made = [("up", "rules"), ("up", "rules"), ("down", "rules"), ("up", "sklearn")]
    batch = MicroBatch(
        topic=topic,
        partition=3,
        next_offset=1,
        outcomes=Outcomes(accepted=5, late=2),
        bars=rows(frames.BARS, [{"interval": "7s"}] * 3),
        signals=rows(frames.SIGNALS, [{"name": f"{topic} {name}", "adapter": adapter} for name, adapter in made]),
    )
    assert observe(observe(batch)) is batch
    assert counted("microbatch_flush_rows_total", window="7s") == 6
    assert counted("signals_emitted_total", name="observed up", adapter="rules") == 4
    assert counted("signals_emitted_total", name="observed down", adapter="rules") == 2
    assert counted("signals_emitted_total", name="observed up", adapter="sklearn") == 2
    for outcome, count in (("accepted", 5), ("late", 2), ("duplicate", 0)):
        assert counted("stream_partition_events", topic=topic, partition="3", outcome=outcome) == count


def test_a_batch_that_brought_nothing_is_observed_too() -> None:
    assert observe(MicroBatch(topic="observed", partition=4, next_offset=1)).bars.is_empty()
    assert counted("stream_partition_events", topic="observed", partition="4", outcome="accepted") == 0
