"""Errors, refused events, outages, and firing alerts."""

from __future__ import annotations

from typing import Final

from dashboards.panels import IN_JOB, IN_TOPIC, Panel, Series, graph, states

PANELS: Final[list[Panel]] = [
    states(
        "Alerts",
        "docs/operations.md explains each, and says what to do.",
        Series(f'max by (alertname) (ALERTS{{alertstate="firing", {IN_JOB}}})', "{{alertname}}"),
        on="firing",
        off="quiet",
    ),
    graph(
        "Errors",
        "cps",
        "Errors that did not stop the flow.",
        Series(
            f"sum by (component, reason) (rate(errors_total{{{IN_JOB}}}[$__rate_interval]))",
            "{{component}}: {{reason}}",
        ),
        stacked=True,
    ),
    graph(
        "Records to the DLQ",
        "recps",
        "By reason; mdp dlq inspect shows them.",
        Series(f"sum by (reason) (rate(dlq_records_total{{{IN_JOB}}}[$__rate_interval]))", "{{reason}}"),
        stacked=True,
    ),
    graph(
        "Refused and late",
        "percentunit",
        "Shares of all events.",
        Series(f"job:dlq_records:ratio_rate5m{{{IN_JOB}}}", "refused"),
        Series(f"job:stream_partition_events_late:ratio_rate5m{{{IN_JOB}}}", "late"),
        objective="vector(0.01)",
    ),
    graph(
        "Waiting for a service",
        "short",
        "Parts of workers that cannot reach it, and retry.",
        Series(f"sum by (service) (stream_waiting{{{IN_JOB}}})", "{{service}}"),
        stacked=True,
    ),
    graph(
        "Not read",
        "short",
        "Offsets deleted by the topic's retention before they were read, and those that could not be unpacked.",
        Series(
            f"sum by (topic, partition) (increase(stream_gap_offsets_total{{{IN_TOPIC}}}[$__rate_interval]))",
            "{{topic}} {{partition}} deleted",
        ),
        Series(
            f"sum by (topic, partition) (increase(stream_unreadable_offsets_total{{{IN_TOPIC}}}[$__rate_interval]))",
            "{{topic}} {{partition}} unreadable",
        ),
    ),
    states(
        "Workers away",
        "Prometheus could not scrape them.",
        Series(f"1 - up{{{IN_JOB}}}", "{{instance}}"),
        on="away",
        off="there",
    ),
    graph(
        "Worker starts",
        "short",
        "Within 15 minutes.",
        Series(f"sum by (instance) (changes(process_start_time_seconds{{{IN_JOB}}}[15m]))", "{{instance}}"),
        objective="vector(3)",
    ),
]
