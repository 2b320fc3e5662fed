"""The latency of windows, their bars, and the cost of the steps."""

from __future__ import annotations

from typing import Final

from dashboards.panels import IN_JOB, IN_PARTITION, WINDOW_MS, Panel, Series, distribution, graph, quantiles

# Of the store, as microbatch_flush_total counts each symbol where symbols have series of their own.
_FLUSHES = f'sum(rate(store_write_duration_seconds_count{{{IN_JOB}, table="bars_ohlcv"}}[$__rate_interval]))'
_ROWS = f"sum by (window_ms) (rate(microbatch_flush_rows{{{IN_JOB}}}[$__rate_interval]))"
_BUCKETS = f"sum by (le) (increase(microbatch_window_latency_ms_bucket{{{IN_JOB}}}[$__rate_interval]))"
_STAGES = f"sum by (until, le) (rate(stream_latency_seconds_bucket{{{IN_JOB}}}[$__rate_interval]))"

PANELS: Final[list[Panel]] = [
    graph(
        "Window latency",
        "ms",
        "From the end of a window to its rows in the database. Replays and backlogs are as late as their events.",
        *quantiles("microbatch_window_latency_ms", IN_JOB),
        objective=f"1.5 * {WINDOW_MS}",
    ),
    distribution("Window latency, distribution", "ms", "The same, window by window.", _BUCKETS),
    graph(
        "Flushes",
        "ops",
        "Database transactions with bars.",
        Series(_FLUSHES, "flushes"),
    ),
    graph("Bars", "rowsps", "Bars emitted by windows, including amendments.", Series(_ROWS, "{{window_ms}} ms")),
    graph(
        "Bars in a flush",
        "short",
        "The more symbols close together, the cheaper is each.",
        Series(f"sum({_ROWS}) / ({_FLUSHES} > 0)", "bars"),
    ),
    graph(
        "Watermark delay",
        "s",
        "Wall clock minus event time. It is at least allow_late_ms, and grows while a market is idle.",
        Series(
            f"max by (topic, partition) (stream_watermark_delay_seconds{{{IN_PARTITION}}})",
            "{{topic}} {{partition}}",
        ),
    ),
    graph(
        "From the fetch of a batch, p95",
        "s",
        "To the end of the steps, and for closed windows to the commit of their rows.",
        Series(f"histogram_quantile(0.95, {_STAGES})", "{{until}}"),
    ),
    graph(
        "Backlog",
        "short",
        "Unread records of each partition.",
        Series(f"sum by (topic, partition) (stream_consumer_lag_offsets{{{IN_PARTITION}}})", "{{topic}} {{partition}}"),
        stacked=True,
    ),
]
