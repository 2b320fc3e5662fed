"""Runs with rows of the test's own, as a range leaves them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

from contracts.batch import MicroBatch
from sinks.merge import targets
from sinks.runs import registry
from sinks.runs.names import tables_of
from sinks.runs.registry import Run
from sinks.runs.span import Part, Span
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import T0

START = datetime.fromtimestamp(T0 // 1_000_000_000, UTC)
ALWAYS = Span()
ALL = ("bars_ohlcv", "features", "signals")


def window(k: int) -> datetime:
    """When the k-th window of two seconds begins."""
    return START + timedelta(seconds=2 * k)


def part(first: int | None, last: int | None, interval: str = "2s") -> Part:
    """From the first window to the last, which is not in it."""
    span = Span(None if first is None else window(first), None if last is None else window(last))
    return Part(span, interval)


def planned(name: str, span: Span = ALWAYS) -> Run:
    return Run(
        name=name,
        flow="market",
        topic="ticks",
        interval="2s",
        span=span,
        version="0.0",
        fingerprint="f00",
        config={"micro_batch": {"window_ms": 2_000}},
    )


def write(conninfo: str, *batches: MicroBatch, names: tuple[str, ...] = ("rsi",)) -> None:
    with closing(TimescaleWriter(conninfo, flow="f", targets=targets(names))) as writer:
        for one in batches:
            assert not writer.write([one]).refused


def made(database: str, name: str, *batches: MicroBatch, names: tuple[str, ...] = ("rsi",), span: Span = ALWAYS) -> str:
    """Begins and ends a run of these batches; what leads to its tables."""
    with registry.reserved(database, name):
        registry.begin(database, planned(name, span), replace=False)
        tables = tables_of(database, name)
        migrate(tables, names, plain=True)
        write(tables, *batches, names=names)
        registry.end(database, name, "finished", {"bars": 1})
    return tables
