"""Which rows of two runs, or of a run and the live tables, are compared with each other."""

from __future__ import annotations

from flows.spec import FLOWS
from sinks.runs import registry
from sinks.runs.diff import Side
from sinks.runs.names import LIVE, RunError
from sinks.runs.registry import Run
from sinks.runs.span import Part


def compared(url: str, a: str, b: str) -> tuple[tuple[Side, Side], list[str]]:
    """Both sides, in the range that they have in common, and the tables that the flows of both write.

    Raises:
        RunError: there is no such run, or nothing to compare it with.
        StoreUnavailable: the database cannot be reached.
    """
    if a == b:
        raise RunError(f"{a} is the same as itself: name two")
    runs = [registry.find(url, name) for name in (a, b) if name != LIVE]
    span = runs[0].span.common(runs[-1].span)
    if span.is_empty:
        raise RunError(f"{a} and {b} have no time in common: {runs[0].span}, and {runs[-1].span}")
    intervals = {run.name: run.interval for run in runs}
    side_a, side_b = (Side(name, Part(span, intervals.get(name, runs[0].interval))) for name in (a, b))
    return (side_a, side_b), [table for table in _written(runs[0]) if table in _written(runs[-1])]


def _written(run: Run) -> tuple[str, ...]:
    return FLOWS[run.flow].tables if run.flow in FLOWS else ()
