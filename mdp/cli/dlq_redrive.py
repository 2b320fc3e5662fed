"""`mdp dlq redrive`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdp.cli.dlq_options import Contains, FailedFrom, FailedTo, Offset, Partition, Reason
from mdp.cli.options import AsJson, Config, Set, Zone, examples, settings_of, span_of
from mdp.cli.output import print_json, print_table, progress, remark

if TYPE_CHECKING:
    from mdp.ops.dlq.fixes import Fix
    from mdp.ops.dlq.plan import Account, Outgoing

_EXAMPLES = examples(
    "mdp dlq redrive --reason future",
    "mdp dlq redrive --contains ticker --fix '.symbol = .ticker' --dry-run",
    "mdp dlq redrive --fix-with my_fix --rate 500 --limit 10000",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(redrive)


def redrive(
    *,
    reason: Reason = None,
    contains: Contains = None,
    start: FailedFrom = None,
    end: FailedTo = None,
    zone: Zone = None,
    partition: Partition = None,
    offset: Offset = None,
    fix: Annotated[
        str | None,
        typer.Option("--fix", metavar="JQ", help="Fix each event by a jq expression; no result skips it."),
    ] = None,
    fix_with: Annotated[
        str | None, typer.Option("--fix-with", metavar="NAME", help="Fix each event by an installed function.")
    ] = None,
    max_retries: Annotated[
        int, typer.Option("--max-retries", min=1, help="Skip events that have been redriven this often.")
    ] = 3,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Send at most N events.")] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, show_default="at once", help="Events per second.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be sent.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Send refused records back to the events topic, unchanged or fixed.

    Each event is sent once: a second redrive skips what the first has sent.
    An event that is refused again becomes a new record of the DLQ, with one
    more retry. Ctrl-C ends it, and counts what was sent.
    """
    from mdp.ops.dlq.records import Chosen
    from mdp.ops.dlq.redrive import Order, rehearsed, sent
    from mdp.ops.produce import stopped_by_signals

    start_ns, end_ns = span_of(start, end, zone)
    chosen = Chosen(reason=reason, contains=contains, start=start_ns, end=end_ns, partition=partition, offset=offset)
    order = Order(chosen, _fix(fix, fix_with), max_retries, limit)
    bus = settings_of(config, overrides).bus.kafka
    if dry_run:
        _print(*rehearsed(bus, order), dry_run=True, as_json=as_json)
        return
    with stopped_by_signals() as stop, progress("events") as show:
        account = sent(bus, order, rate, stop.event, on_progress=show)
    _print(account, (), dry_run=False, as_json=as_json)
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)


def _fix(expression: str | None, name: str | None) -> Fix | None:
    from mdp.ops.dlq import fixes

    if expression is not None and name is not None:
        raise typer.BadParameter("use either --fix or --fix-with", param_hint="--fix-with")
    if expression is not None:
        return fixes.by_jq(expression)
    return None if name is None else fixes.by_entry_point(name)


def _print(account: Account, first: Sequence[Outgoing], *, dry_run: bool, as_json: bool) -> None:
    counts = asdict(account)
    failure = counts.pop("failure")
    if as_json:
        print_json({"dry_run": dry_run, **counts, "failure": failure or None, "first": list(map(_fields, first))})
        return
    if dry_run:
        _print_first(first)
    print_table(("would be" if dry_run else "became", "records"), counts.items())
    if failure:
        remark(f"the first failure: {failure}")


def _fields(one: Outgoing) -> dict[str, Any]:
    """As JSON, with non-ASCII characters of the value escaped."""
    from mdp.cli.entries import escaped

    return {
        "partition": one.record.partition,
        "offset": one.record.offset,
        "origin": one.origin._asdict(),
        "to_partition": one.partition,
        "retry_count": one.retry_count,
        "value": escaped(one.value),
    }


def _print_first(first: Sequence[Outgoing]) -> None:
    from mdp.cli.entries import shortened

    rows = [
        (
            f"[{one.record.partition}]@{one.record.offset}",
            str(one.origin),
            one.partition,
            one.retry_count,
            shortened(one.value),
        )
        for one in first
    ]
    print_table(("record", "origin", "to partition", "retry", "event"), rows, title="First events to send")
