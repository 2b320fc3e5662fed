"""The time and signals of evaluators, and open breakers."""

from __future__ import annotations

from typing import Final

from dashboards.panels import IN_JOB, WINDOW_MS, Panel, Series, bars, graph, quantiles, states

_COUNT = f"inference_eval_duration_seconds_count{{{IN_JOB}}}"
_SUM = f"inference_eval_duration_seconds_sum{{{IN_JOB}}}"
_SIGNALS = f"signals_emitted_total{{{IN_JOB}}}"

PANELS: Final[list[Panel]] = [
    bars(
        "Signals by name",
        "short",
        "In the time shown.",
        Series(f"topk(12, sum by (name, adapter) (increase({_SIGNALS}[$__range])))", "{{name}} ({{adapter}})"),
    ),
    bars(
        "Time spent evaluating",
        "percentunit",
        "Share of the workers' time, in the time shown.",
        Series(f"sum by (adapter) (rate({_SUM}[$__range]))", "{{adapter}}"),
    ),
    graph(
        "Evaluation duration",
        "s",
        "Time for one micro-batch, all symbols together.",
        *quantiles("inference_eval_duration_seconds", IN_JOB, "adapter"),
    ),
    graph(
        "Evaluations",
        "ops",
        "Micro-batches evaluated by each adapter.",
        Series(f"sum by (adapter) (rate({_COUNT}[$__rate_interval]))", "{{adapter}}"),
    ),
    graph(
        "Signals",
        "cps",
        "Emitted by the evaluators, by name.",
        Series(f"sum by (name) (rate({_SIGNALS}[$__rate_interval]))", "{{name}}"),
        stacked=True,
    ),
    states(
        "Circuit breaker",
        "While it is open, a failing adapter is skipped, and emits no signals.",
        Series(f"sum by (adapter, instance) (inference_breaker_open{{{IN_JOB}}}) > bool 0", "{{adapter}} {{instance}}"),
        on="open",
        off="closed",
    ),
    graph(
        "Failures",
        "cps",
        "Windows that an adapter failed to evaluate, and other errors of this step.",
        Series(
            f'sum by (reason) (rate(errors_total{{{IN_JOB}, component="inference"}}[$__rate_interval]))',
            "{{reason}}",
        ),
    ),
    graph(
        "From the closing event to the signal, p95",
        "s",
        "Until it is committed on the signals topic.",
        Series(f'job_until:stream_end_to_end_latency_seconds:p95_5m{{{IN_JOB}, until="kafka"}}', "{{until}}"),
        objective=f"1.5 * {WINDOW_MS} / 1000",
    ),
]
