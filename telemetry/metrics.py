"""The Prometheus metrics of a worker; docs/metrics.md describes each of them.

The number of time series is bounded, whatever a feed sends. Label values come from the config and the code, the
partitions of a topic, and three kinds of names: providers, signals and, if configured, symbols, of which only a limited
number get time series of their own (`telemetry.observe`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.samples import Sample

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of time series


class _BareCounter(Counter):
    """A counter with exactly the given name; the client library would append `_total`."""

    def _child_samples(self) -> Iterable[Sample]:
        return [Sample("", {}, self._value.get(), None, None)]


def _ladder(lowest: float, highest: float, factor: float) -> list[float]:
    steps = [lowest]
    while steps[-1] < highest:
        steps.append(steps[-1] * factor)
    return [float(f"{step:.3g}") for step in steps]


# Input.
INGESTED: Final = Counter(
    "stream_events_ingested_total", "Events read; their provider is unknown if refused", ["bus", "topic", "provider"]
)
LAST_EVENT: Final = Gauge(
    "stream_provider_last_event_timestamp_seconds",
    "Wall clock when an event of the provider was last read; for a configured one initially the start of the worker",
    ["provider"],
)
MAX_SILENCE: Final = Gauge(
    "stream_provider_max_silence_seconds",
    "How long a provider may be silent: telemetry.max_silence_s",
    ["provider"],
)
PARTITION_EVENTS: Final = Gauge(
    "stream_partition_events",
    "Events by outcome since the start of the partition's state",
    ["topic", "partition", "outcome"],
)
WATERMARK_DELAY: Final = Gauge(
    "stream_watermark_delay_seconds", "Wall clock minus the newest watermark of the partition", ["topic", "partition"]
)
WATERMARK_LEAPS: Final = Counter(
    "stream_watermark_leaps_total",
    "Batches in which one event advanced a provider's watermark by more than max_future_ms",
    ["topic", "partition"],
)
LAG_MS: Final = Gauge(
    "stream_consumer_lag_ms",
    "Age of the last record read while there are more, else 0; each partition has a consumer",
    ["topic", "group", "consumer"],
)
LAG_OFFSETS: Final = Gauge(
    "stream_consumer_lag_offsets", "Offsets of the partition that have not been read yet", ["topic", "partition"]
)
OPEN_TRANSACTION: Final = Gauge(
    "stream_open_transaction_seconds",
    "How long a transaction has been seen open that keeps the records after it from being read",
    ["topic", "partition"],
)
GAP_OFFSETS: Final = Counter(
    "stream_gap_offsets_total",
    "Offsets that were deleted before they were read (on_gap: continue)",
    ["topic", "partition"],
)
UNREADABLE_OFFSETS: Final = Counter(
    "stream_unreadable_offsets_total",
    "Offsets that were skipped because they cannot be unpacked (on_unreadable: skip)",
    ["topic", "partition"],
)
SKIPPED_MESSAGES: Final = Counter(
    "normalize_skipped_total", "Raw messages that no mapping is for (unmapped: skip)", ["topic"]
)

# Steps.
WINDOW_LENGTH: Final = Gauge("microbatch_window_ms", "Length of a window: micro_batch.window_ms")
FLUSHES: Final = Counter("microbatch_flush_total", "Micro-batches that closed or amended bars", ["window_ms", "symbol"])
FLUSH_ROWS: Final = _BareCounter("microbatch_flush_rows", "Bars emitted by windows, amendments included", ["window_ms"])
FEATURES_DURATION: Final = Histogram(
    "features_update_duration_seconds",
    "Time to update all features with the bars of a micro-batch",
    ["symbol", "window"],
    buckets=_ladder(0.0001, 2, 2),
)
INFERENCE_DURATION: Final = Histogram(
    "inference_eval_duration_seconds",
    "Time of an evaluator for the features of a micro-batch",
    ["adapter"],
    buckets=_ladder(0.0001, 10, 2),
)
BREAKER_OPEN: Final = Gauge("inference_breaker_open", "Partitions in which a failing evaluator is skipped", ["adapter"])
SIGNALS: Final = Counter("signals_emitted_total", "Signals emitted by the evaluators", ["name", "adapter"])
STEP_CPU: Final = Counter("stream_step_cpu_seconds_total", "CPU time used by a step of the flow", ["step"])
STATE_BYTES: Final = Gauge("stream_state_bytes", "Size of the last saved state of a partition", ["step", "partition"])
SNAPSHOT_DURATION: Final = Histogram(
    "stream_snapshot_duration_seconds",
    "Time to take a snapshot; for a sink, until everything submitted to it is written",
    ["step"],
    buckets=_ladder(0.0001, 30, 2),
)

# Output.
STORE_DURATION: Final = Histogram(
    "store_write_duration_seconds",
    "Time to write the rows of a flush to a table; progress comes last, and includes the commit",
    ["table"],
    buckets=_ladder(0.0005, 60, 2),
)
LAST_FLUSH: Final = Gauge("store_last_flush_timestamp_seconds", "Wall clock of the last committed flush")
QUEUE_DEPTH: Final = Gauge("sink_queue_depth", "Micro-batches submitted to a sink and not written yet", ["sink"])
DLQ_RECORDS: Final = Counter("dlq_records_total", "Records committed to the DLQ topic", ["reason"])

# What a bus counts, by the names of its contract.
CONSUMED: Final = Counter("bus_consumed_total", "Records that were read", ["topic", "consumer"])
PRODUCED: Final = Counter("bus_produced_total", "Records that output topics have taken", ["topic", "producer"])
BATCH_BYTES: Final = Histogram(
    "bus_batch_size_bytes",
    "Values of the records that were read at once",
    ["topic"],
    buckets=_ladder(1_000, 16_000_000, 4),
)
DELIVERY_LATENCY: Final = Histogram(
    "bus_delivery_latency_ms",
    "Milliseconds from the Kafka timestamp of the newest record of those that were read at once to its being read",
    ["topic"],
    buckets=_ladder(1, 60_000, 2),
)

# Services beside the flows.
REPLAY_REQUESTS: Final = Counter("replay_requests_total", "Replay requests by what became of them", ["state"])
RETRIES: Final = Counter(
    "bus_retry_total", "Events that `mdp dlq auto` has sent back, by why they were refused", ["topic", "reason"]
)
DLQ_WAITING: Final = Gauge("dlq_waiting_records", "Refused records that wait for their retry")
DLQ_PARKED: Final = Gauge(
    "dlq_parked_records", "Refused records that stay in the DLQ although there is a rule for them", ["reason"]
)
REPLAY_OPEN: Final = Gauge("replay_requests_open", "Replay requests that are being served or wait for their turn")

# Connectors.
CONNECTOR_MESSAGES: Final = Counter(
    "connector_messages_total", "Messages that a connector has handed to Kafka", ["connector", "event_type"]
)
CONNECTOR_REJECTED: Final = Counter(
    "connector_rejected_total", "Raw messages of a connector that became none, by why", ["connector", "reason"]
)
CONNECTOR_SKIPPED: Final = Counter(
    "connector_skipped_total", "Raw messages that no mapping is for (unmapped: skip)", ["connector"]
)
CONNECTOR_REPEATS: Final = Counter(
    "connector_repeats_total", "Messages that came again shortly after, and were not sent twice", ["connector"]
)
CONNECTOR_DROPPED: Final = Counter(
    "connector_dropped_total",
    "Messages that could not wait and were dropped, as the manifest allows",
    ["connector", "event_type"],
)
CONNECTOR_CONNECTED: Final = Gauge("connector_connected", "Whether the connection to the source is up", ["connector"])
CONNECTOR_DISCONNECTS: Final = Counter(
    "connector_disconnects_total",
    "Ends of connections, and attempts that failed: lost or stale",
    ["connector", "reason"],
)
CONNECTOR_PAUSED: Final = Gauge(
    "connector_paused", "Whether the source is held back, as consumers are behind", ["connector"]
)
CONNECTOR_WAITING: Final = Gauge(
    "connector_waiting_messages", "Messages taken in that Kafka has not acknowledged yet", ["connector"]
)
CONNECTOR_LAST_OK: Final = Gauge(
    "connector_last_ok_timestamp_seconds",
    "Wall clock when Kafka last acknowledged what the source had sent; initially the start of the process",
    ["connector"],
)
CONNECTOR_LATENCY: Final = Gauge(
    "connector_latency_seconds", "From the event time of the newest message to its arrival", ["connector"]
)
CONNECTOR_GAPS: Final = Counter(
    "connector_gaps_total",
    "Gaps in what a source has sent: reconnect, restart, or sequence",
    ["connector", "stream", "reason"],
)
CONNECTOR_GAPS_FILLED: Final = Counter(
    "connector_gaps_filled_total", "Gaps that the past of the source has filled", ["connector", "stream"]
)
CONNECTOR_GAPS_OPEN: Final = Gauge("connector_gaps_open", "Gaps that are being filled", ["connector"])
CONNECTOR_LIMITED: Final = Counter(
    "connector_rate_limited_seconds_total", "How long calls have waited for the rate limit", ["connector"]
)

# Latency.
WINDOW_LATENCY: Final = Histogram(
    "microbatch_window_latency_ms",
    "Milliseconds from the end of a window to the commit of its rows in the database",
    buckets=_ladder(10, 600_000, 1.5),
)
END_TO_END: Final = Histogram(
    "stream_end_to_end_latency_seconds",
    "From the Kafka timestamp of the record that closed a window to the commit of its rows or records",
    ["until"],
    buckets=_ladder(0.001, 60, 1.5),
)
LATENCY: Final = Histogram(
    "stream_latency_seconds",
    "From the fetch of a batch's newest record to the end of the steps, or to the commit of the results of its closes",
    ["until"],
    buckets=[round(0.001 * 1.25**power, 6) for power in range(42)],  # 1 ms to 9.4 s
)

# Errors.
WAITING: Final = Gauge("stream_waiting", "Parts of the worker that wait for an unavailable service", ["service"])
ERRORS: Final = Counter("errors_total", "Errors that did not stop the flow", ["component", "reason"])

BARE: Final = ("microbatch_flush_rows",)  # counters whose names do not end with _total
