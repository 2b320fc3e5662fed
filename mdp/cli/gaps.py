"""`mdp gaps`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from typing import Annotated

import typer

from mdp.cli.options import Config, From, Set, To, Zone, examples, span_of
from mdp.cli.output import print_frame, remark
from mdp.cli.store_rows import Form, Provider, moment, url_of

_SHOWN = 1_000


def register(app: typer.Typer) -> None:
    """Add the command to `mdp`."""
    app.command(epilog=examples("mdp gaps --open", "mdp gaps --symbol BTC/USD --from today"))(gaps)


def gaps(
    *,
    symbol: Annotated[str | None, typer.Option("--symbol", "-s", show_default="all", help="Only of this one.")] = None,
    provider: Provider = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not filled.")] = False,
    form: Form = "table",
    config: Config = None,
    overrides: Set = None,
) -> None:
    """List gaps in what connectors have taken in, oldest first, and whether they are filled.

    A gap lies between the last message before it and the first one after
    it: messages may be missing from what the source sent there.
    """
    from sinks.queries import gaps as queries

    begin, until = map(moment, span_of(start, end, zone))
    url = url_of(config, overrides, None)
    found = queries.gaps(
        url, symbol=symbol, source=provider, start=begin, end=until, only_open=only_open, limit=_SHOWN + 1
    )
    if found.height > _SHOWN:
        remark(f"more than {_SHOWN:,} gaps: these are the last ones; --from and --to choose others")
    print_frame(found.tail(_SHOWN), form)
