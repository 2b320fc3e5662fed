"""What rolling features cost, and the state that they are made from."""

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
        "Of all features of the windows that a micro-batch closed.",
        *quantiles("features_update_duration_seconds", IN_JOB, "window"),
    ),
    graph(
        "Updates",
        "ops",
        "Micro-batches that brought features; with telemetry.symbol_label, once for each symbol.",
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
        "Meanwhile its worker does nothing else. Of a sink: until all that it was given is written.",
        Series(f"job_step:stream_snapshot_duration_seconds:p95_5m{{{IN_JOB}}}", "{{step}}"),
        objective="vector(1)",
    ),
    graph(
        "CPU by step",
        "none",
        "Cores in use, of all steps; a worker has one core's worth of work.",
        Series(f"sum by (step) (rate(stream_step_cpu_seconds_total{{{IN_JOB}}}[$__rate_interval]))", "{{step}}"),
        stacked=True,
    ),
    graph(
        "Bars that features are made from",
        "rowsps",
        "Bars that left their windows.",
        Series(f"sum by (window_ms) (rate(microbatch_flush_rows{{{IN_JOB}}}[$__rate_interval]))", "{{window_ms}} ms"),
    ),
]
