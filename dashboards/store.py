"""Writes, their duration, and their queues."""

from __future__ import annotations

from typing import Final

from dashboards.panels import BAD, IN_JOB, WARN, WINDOW_MS, Panel, Series, graph, number, quantiles

_SUM = f"sum by (table) (rate(store_write_duration_seconds_sum{{{IN_JOB}}}[$__rate_interval]))"
_SINCE = f"max(time() - (store_last_flush_timestamp_seconds{{{IN_JOB}}} > 0))"

PANELS: Final[list[Panel]] = [
    number(
        "Since the last commit",
        "s",
        "Of the worker with the oldest commit; without events nothing is written.",
        Series(_SINCE, "oldest"),
        (15, WARN),
        (60, BAD),
    ),
    number(
        "Waiting for a service",
        "none",
        "Parts of workers that cannot reach Kafka or the database, and retry.",
        Series(f"sum(stream_waiting{{{IN_JOB}}}) or vector(0)", "waiting"),
        (1, BAD),
    ),
    number(
        "Rows refused by the database",
        "none",
        "In the time range; each is in the DLQ with the reason store.",
        Series(f'sum(increase(dlq_records_total{{{IN_JOB}, reason="store"}}[$__range])) or vector(0)', "rows"),
        (1, WARN),
    ),
    number(
        "Writes a second",
        "wps",
        "To all tables together.",
        Series(f"sum(rate(store_write_duration_seconds_count{{{IN_JOB}}}[$__rate_interval]))", "writes"),
    ),
    graph(
        "Write duration, p95",
        "s",
        "Of one flush to a table; that of progress includes the commit.",
        Series(f"job_table:store_write_duration_seconds:p95_5m{{{IN_JOB}}}", "{{table}}"),
    ),
    graph(
        "Time spent writing",
        "percentunit",
        "Share of a worker's time: at 100 % a writer does nothing else.",
        Series(_SUM, "{{table}}"),
        stacked=True,
    ),
    graph(
        "Micro-batches waiting to be written",
        "short",
        "From 16 per writer on, backpressure slows the flow.",
        Series(f"sum by (instance, sink) (sink_queue_depth{{{IN_JOB}}})", "{{sink}} {{instance}}"),
    ),
    graph(
        "From the closing event to the results",
        "s",
        "Until they are committed in PostgreSQL, and in Kafka.",
        *quantiles("stream_end_to_end_latency_seconds", IN_JOB, "until"),
        objective=f"1.5 * {WINDOW_MS} / 1000",
    ),
]
