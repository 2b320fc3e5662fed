"""Event rates, lag and latency, and whether they meet the objectives."""

from __future__ import annotations

from typing import Final

from dashboards.panels import BAD, IN_JOB, IN_TOPIC, WARN, WINDOW_MS, Panel, Series, bars, graph, number

_LAG = f"job_topic_group:stream_consumer_lag_ms:avg1m{{{IN_TOPIC}}}"
_WINDOW = f"job:microbatch_window_latency_ms:p95_5m{{{IN_JOB}}}"
_END_TO_END = f"job_until:stream_end_to_end_latency_seconds:p95_5m{{{IN_JOB}}}"
_EVENTS = "job_topic_outcome:stream_partition_events:rate5m"

PANELS: Final[list[Panel]] = [
    number(
        "Workers away",
        "none",
        "Targets that Prometheus cannot scrape.",
        Series(f"count(up{{{IN_JOB}}} == 0) or vector(0)", "away"),
        (1, BAD),
        width=4,
    ),
    number(
        "Alerts",
        "none",
        "Alerts that fire; docs/operations.md says what to do.",
        Series(f'count(ALERTS{{alertstate="firing", {IN_JOB}}}) or vector(0)', "firing"),
        (1, WARN),
        width=4,
    ),
    number(
        "Events a minute",
        "short",
        "Read from the events topic, over the last minute.",
        Series(f"60 * sum(job_topic_provider:stream_events_ingested:rate1m{{{IN_TOPIC}}})", "events"),
        width=4,
    ),
    bars(
        "Share of what the objectives allow",
        "percentunit",
        "Lag: two windows. From a window's end to its bars, and from the event that closed it to the results: 1.5.",
        Series(f"max({_LAG} / on (job) group_left () (2 * {WINDOW_MS}))", "lag"),
        Series(f"max({_WINDOW} / on (job) (1.5 * {WINDOW_MS}))", "window"),
        Series(
            f"1000 * max by (until) ({_END_TO_END} / on (job) group_left () (1.5 * {WINDOW_MS}))", "until {{until}}"
        ),
        limits=True,
    ),
    graph(
        "Events by outcome",
        "eps",
        "Duplicates are dropped, late ones are in the late topic, rejected ones in the DLQ, all others in bars.",
        Series(f'sum by (outcome) ({_EVENTS}{{{IN_TOPIC}, outcome!="heartbeat"}})', "{{outcome}}"),
        stacked=True,
    ),
    graph(
        "Events by provider",
        "eps",
        "Read from the events topic; refused events have the provider unknown.",
        Series(f"sum by (provider) (job_topic_provider:stream_events_ingested:rate1m{{{IN_TOPIC}}})", "{{provider}}"),
        stacked=True,
    ),
    graph(
        "Consumer lag",
        "ms",
        "How far reading lags behind the newest record, averaged over a minute.",
        Series(_LAG, "{{topic}} {{group}}"),
        objective=f"2 * {WINDOW_MS}",
    ),
    graph(
        "End to end, p95",
        "s",
        "From the event that closed a window to the commit of its results there.",
        Series(_END_TO_END, "{{until}}"),
        objective=f"1.5 * {WINDOW_MS} / 1000",
    ),
]
