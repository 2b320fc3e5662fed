"""What a worker counts, for Prometheus."""

from __future__ import annotations

import collections
import functools
import logging
import time
from dataclasses import fields

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from contracts.batch import MicroBatch, Outcomes
from telemetry.config import TelemetryConfig

PARTITION_EVENTS = Gauge(
    "stream_partition_events",
    "Events by outcome since the start of the partition's state",
    ["topic", "partition", "outcome"],
)
WATERMARK_DELAY = Gauge(
    "stream_watermark_delay_seconds", "Wall clock minus the newest watermark of the partition", ["topic", "partition"]
)
FLUSH_ROWS = Counter("microbatch_flush_rows_total", "Bars that left their window, amendments included", ["window"])
SIGNALS = Counter("signals_emitted_total", "Signals that left the evaluators", ["name", "adapter"])
STEP_CPU = Counter("stream_step_cpu_seconds_total", "CPU time that a step of the flow has used", ["step"])
LATENCY = Histogram(
    "stream_latency_seconds",
    "From the fetch of a batch to the end of the steps, and of one that closed windows to its rows being committed",
    ["until"],
    buckets=[round(0.001 * 1.25**power, 6) for power in range(42)],  # 1 ms to 9.4 s
)
ERRORS = Counter("errors_total", "What went wrong without stopping the flow", ["component", "reason"])

WAITING = Gauge("stream_waiting", "How many parts of the worker wait for a service that is away", ["service"])
GAP_OFFSETS = Counter(
    "stream_gap_offsets_total",
    "Offsets that were deleted before they were read (on_gap: continue)",
    ["topic", "partition"],
)

log = logging.getLogger("mdp.telemetry")


def serve(config: TelemetryConfig, worker: int) -> None:
    """Serves the metrics of this process; a port that is taken is no reason not to work."""
    if config.metrics_port == 0:
        return
    try:
        start_http_server(config.metrics_port + worker, addr=config.metrics_host)
    except OSError as error:
        log.warning(
            "no metrics on port %d: %s; set telemetry.metrics_port", config.metrics_port + worker, error.strerror
        )


def observe(batch: MicroBatch) -> MicroBatch:
    """Counts what a batch brought; the batch goes on unchanged."""
    place = batch.topic, str(batch.partition)
    for outcome, gauge in _outcome_gauges(*place).items():
        gauge.set(getattr(batch.outcomes, outcome))
    if batch.watermark is not None:
        WATERMARK_DELAY.labels(*place).set(time.time() - batch.watermark / 1e9)
    if batch.bars.height:
        FLUSH_ROWS.labels(batch.bars["interval"][0]).inc(batch.bars.height)  # a flow has windows of one length
    for labels, count in collections.Counter(zip(batch.signals["name"], batch.signals["adapter"], strict=True)).items():
        SIGNALS.labels(*labels).inc(count)
    observe_latency("steps", batch)
    return batch


@functools.cache
def _outcome_gauges(topic: str, partition: str) -> dict[str, Gauge]:
    return {outcome.name: PARTITION_EVENTS.labels(topic, partition, outcome.name) for outcome in fields(Outcomes)}


def observe_latency(until: str, batch: MicroBatch) -> None:
    """Notes that the batch has come so far; one that nobody has fetched is no case."""
    if batch.read_at:
        LATENCY.labels(until).observe((time.monotonic_ns() - batch.read_at) / 1e9)
