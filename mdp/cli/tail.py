"""`mdp stream tail`: the contents of a topic, a line for each event, signal, bar or refused record."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import sys
from typing import Annotated

import typer

from mdp.cli.options import Config, Set, examples, settings_of
from mdp.cli.output import stdout

_EXAMPLES = examples(
    "mdp stream tail --limit 50",
    "mdp stream tail --topic mdp.signals --follow",
    "mdp stream tail --topic mdp.events.dlq --json | jq .headers.dlq_reason",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(tail)


def tail(
    *,
    topic: Annotated[str | None, typer.Option("--topic", show_default="bus.kafka.topic", help="Topic to read.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Number of last events or records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Continue with new ones until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the last records of any topic in timestamp order, decoded."""
    from mdp.cli.entries import json_line, line
    from mdp.ops.tail import tail as entries

    bus = settings_of(config, overrides).bus.kafka
    console = stdout()
    for entry in entries(bus, topic or bus.topic, limit, follow=follow):
        if as_json:
            sys.stdout.write(json_line(entry) + "\n")
        else:
            console.print(line(entry), soft_wrap=True)
        if follow:
            sys.stdout.flush()
