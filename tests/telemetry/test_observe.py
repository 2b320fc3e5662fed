from __future__ import annotations

import polars as pl
from prometheus_client import REGISTRY

from contracts import frames
from contracts.batch import MicroBatch, Outcomes
from telemetry.config import TelemetryConfig
from telemetry.labels import Names
from telemetry.observe import Observation, timed_features

WINDOW_MS = 7_000
observe = Observation(TelemetryConfig(), WINDOW_MS)


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
        results={
            "bars": rows(frames.BARS, [{"interval": "7s"}] * 3),
            "signals": rows(
                frames.SIGNALS, [{"name": f"{topic} {name}", "adapter": adapter} for name, adapter in made]
            ),
        },
    )
    assert observe(observe(batch)) is batch
    assert counted("microbatch_flush_rows", window_ms="7000") == 6
    assert counted("microbatch_flush_total", window_ms="7000", symbol="*") == 2
    assert counted("signals_emitted_total", name="observed up", adapter="rules") == 4
    assert counted("signals_emitted_total", name="observed down", adapter="rules") == 2
    assert counted("signals_emitted_total", name="observed up", adapter="sklearn") == 2
    for outcome, count in (("accepted", 5), ("late", 2), ("duplicate", 0)):
        assert counted("stream_partition_events", topic=topic, partition="3", outcome=outcome) == count


def test_a_batch_that_brought_nothing_is_observed_too() -> None:
    assert observe(MicroBatch(topic="observed", partition=4, next_offset=1)).bars.is_empty()
    assert counted("stream_partition_events", topic="observed", partition="4", outcome="accepted") == 0


def test_events_are_counted_by_provider_and_what_is_refused_without() -> None:
    refused = rows(frames.REFUSED, [{}] * 3)
    batch = MicroBatch(
        topic="read", partition=0, next_offset=1, ingested={"kraken": 5, "bad \x1b[2J": 2, "a" * 99: 1}, rejects=refused
    )
    observe(batch)
    found = {
        name: counted("stream_events_ingested_total", bus="kafka", topic="read", provider=name)
        for name in ("kraken", "other", "unknown")
    }
    assert found == {"kraken": 5, "other": 3, "unknown": 3}


def test_symbols_have_series_of_their_own_only_where_the_config_asks_for_it() -> None:
    bars = rows(frames.BARS, [{"symbol": symbol} for symbol in ("A", "B", "A")])
    batch = MicroBatch(topic="t", partition=0, next_offset=1, results={"bars": bars})
    config = TelemetryConfig(symbol_label=True)
    Observation(config, 9_000)(batch)
    assert counted("microbatch_flush_total", window_ms="9000", symbol="A") == 1
    assert counted("microbatch_flush_total", window_ms="9000", symbol="*") == 0
    for one, labels in ((config, "AB"), (TelemetryConfig(), "*")):
        assert timed_features(lambda batch: batch, one, "9s")(batch) is batch
        for symbol in labels:
            assert counted("features_update_duration_seconds_count", symbol=symbol, window="9s") == 1


def test_only_so_many_names_become_labels() -> None:
    names = Names(2, "[a-z]+")
    assert [names.label(name) for name in ("a", "X", "b", "c", "a", "b")] == ["a", "other", "b", "other", "a", "b"]


def test_providers_whose_watermark_leaps_are_counted() -> None:
    batch = MicroBatch(topic="leaping", partition=1, next_offset=7, leaps={"feed": 3_000 * 10**9, "other": 6 * 10**9})
    observe(observe(batch))
    assert counted("stream_watermark_leaps_total", topic="leaping", partition="1") == 4
