"""`mdp connect backfill`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from mdp.cli.connect_options import ConnectorName, Given, Symbols, symbols_of
from mdp.cli.options import AsJson, Config, From, To, Zone, examples, settings_of, span_of
from mdp.cli.output import print_json, remark

if TYPE_CHECKING:
    from connectors.connector import Span
    from connectors.runtime.backfill import Progress

_EXAMPLES = examples(
    "mdp connect backfill --connector ccxt --set venue=kraken --symbols BTC/USD --from yesterday --to today",
    "mdp connect backfill --connector ccxt --set venue=binance --symbols BTC/USDT,ETH/USDT --from now-2h --to now",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(backfill)


def backfill(
    *,
    connector: ConnectorName,
    symbols: Symbols = None,
    start: From,
    end: To,
    zone: Zone = None,
    given: Given = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Take in what a source sent between two times: of connectors that have the past.

    Several symbols go out in one order of event time. What is there already
    comes again under the same ids. Interrupted, and asked for again with the
    same times, it goes on where it was.
    """
    from connectors.connector import Span
    from mdp.ops.connect import backfilling
    from mdp.ops.connect.preparing import Order, prepared, split_options

    if start is None or end is None:
        raise typer.BadParameter("say from when to when", param_hint="--from, --to")
    span = Span(*span_of(start, end, zone))
    options, overrides = split_options(connector, given or [])
    settings = settings_of(config, overrides)
    ready = prepared(settings, Order(connector=connector, symbols=symbols_of(symbols), options=options))
    job = backfilling.job(settings, ready, span)
    if job.resumes_ns is not None and not as_json:
        remark(f"going on from {_time(job.resumes_ns)}, where it was interrupted")
    begun = time.monotonic()
    with _progress(span) as show:
        done = backfilling.run(job, show)
    _print(done, ready.health.refused, time.monotonic() - begun, as_json=as_json)


def _print(done: Progress, refused: int, seconds: float, *, as_json: bool) -> None:
    if as_json:
        print_json({"messages": done.messages, "refused": refused, "seconds": round(seconds, 3)})
        return
    rate = done.messages / max(seconds, 0.001)
    suffix = f"; {refused:,} refused, see `mdp dlq`" if refused else ""
    typer.echo(f"{done.messages:,} messages in {seconds:,.1f} s, {rate:,.0f} a second{suffix}")


@contextmanager
def _progress(span: Span) -> Iterator[Callable[[Progress], Any]]:
    """Shows how much of the span is done, how fast, and for how long it will take; on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    begun = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=span.end_ns - span.begin_ns)

        def show(now: Any) -> None:
            rate = now.messages / max(time.monotonic() - begun, 0.001)
            said = f"{now.messages:,} messages, {rate:,.0f} a second, up to {_time(now.reached_ns)}"
            bar.update(task, completed=now.reached_ns - span.begin_ns, description=said)

        yield show


def _time(nanoseconds: int) -> str:
    from contracts.timestamps import format_timestamp

    return format_timestamp(nanoseconds)
