"""The result as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from chaos.faults import KINDS
from chaos.run import CATCH_UP_SECONDS, Result


def show(console: Console, result: Result) -> None:
    """Prints the faults, the outcomes of the events, and missing, wrong and duplicate rows."""
    findings = result.findings
    _table(
        console,
        ("fault", "times"),
        [(kind, result.faults[kind]) for kind in KINDS if result.faults[kind]],
        result.faults.total(),
    )
    console.print(_outcomes(result))
    rows = [
        (name, count, findings.missing[name], findings.wrong[name], findings.duplicates[name])
        for name, count in findings.rows.items()
    ]
    totals = findings.rows.total(), findings.missing.total(), findings.wrong.total(), findings.duplicates.total()
    _table(console, ("output", "rows", "missing", "wrong", "duplicates"), rows, *totals)
    measured = [seconds for seconds in result.catch_ups if seconds is not None]
    console.print(f"longest stall {result.longest_stall:.1f} s")
    console.print(
        f"caught up after the kill of a worker within {result.slowest:.1f} s at most"
        f" ({len(measured)} of {len(result.catch_ups)} measured; allowed {CATCH_UP_SECONDS:.0f} s)"
    )
    console.print(f"restarted by the runner {result.restarts} times; stops not in time: {result.late_stops}")
    for example in findings.examples:
        console.print(example, markup=False, highlight=False)


def _outcomes(result: Result) -> Table:
    table = Table("events", "expected", "counted by the pipeline")
    for name, (expected, found) in result.findings.outcomes.items():
        table.add_row(name, f"{expected:,}", f"{found:,}")
    return table


def _table(console: Console, names: tuple[str, ...], rows: Sequence[tuple[object, ...]], *totals: int) -> None:
    table = Table(*names)
    for row in [*rows, ("total", *totals)]:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    console.print(table)
