"""The cost of rolling features, and their state."""

from __future__ import annotations

from typing import Final

from dashboards.panels import IN_JOB, Panel, Series, bars, graph, quantiles

_UPDATES = f"rate(features_update_duration_seconds_count{{{IN_JOB}}}[$__rate_interval])"
_TIME = f"rate(features_update_duration_seconds_sum{{{IN_JOB}}}[$__rate_interval])"
_STATE = f'stream_state_bytes{{{IN_JOB}, partition=~"$partition"}}'

PANELS: Final[list[Panel]] = [
    graph(
        "Update duration",
        "s",
        "Time for all features of the windows closed by a micro-batch.",
        *quantiles("features_update_duration_seconds", IN_JOB, "window"),
    ),
    graph(
        "Updates",
        "ops",
        "Micro-batches with features; with telemetry.symbol_label, counted for each symbol.",
        Series(f"sum by (window) ({_UPDATES})", "{{window}}"),
    ),
    bars(
        "An update on average",
        "s",
        "All symbols of a micro-batch are updated at once.",
        Series(f"sum by (window) ({_TIME}) / sum by (window) ({_UPDATES})", "windows of {{window}}"),
    ),
    bars(
        "State by step",
        "bytes",
        "In the newest snapshots, all partitions together.",
        Series(f"sum by (step) ({_STATE})", "{{step}}"),
    ),
    graph(
        "State by partition",
        "bytes",
        "It holds the open windows, the ids of events, and the bars of the longest horizon; it stays bounded.",
        Series(f"sum by (partition) ({_STATE})", "{{partition}}"),
        stacked=True,
    ),
    graph(
        "Snapshot duration, p95",
        "s",
        "It blocks its worker. For a sink: until everything submitted to it is written.",
        Series(f"job_step:stream_snapshot_duration_seconds:p95_5m{{{IN_JOB}}}", "{{step}}"),
        objective="vector(1)",
    ),
    graph(
        "CPU by step",
        "none",
        "Cores in use by each step; a worker uses one core.",
        Series(f"sum by (step) (rate(stream_step_cpu_seconds_total{{{IN_JOB}}}[$__rate_interval]))", "{{step}}"),
        stacked=True,
    ),
    graph(
        "Bars for features",
        "rowsps",
        "Bars emitted by windows.",
        Series(f"sum by (window_ms) (rate(microbatch_flush_rows{{{IN_JOB}}}[$__rate_interval]))", "{{window_ms}} ms"),
    ),
]
