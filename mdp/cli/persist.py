"""`mdp stream persist`: messages to the tables of their types."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.spec import PERSIST
from mdp.cli.options import Config, Set, examples
from mdp.cli.run import Addresses, Name, Process, Quiet, ResetState, Workers, run_changes, start_flow

UntilEnd = Annotated[bool, typer.Option("--until-end", help="Stop at the present end of the topics.")]


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=examples("mdp stream persist", "mdp stream persist --until-end --workers 2"))(persist)


def persist(
    *,
    config: Config = None,
    overrides: Set = None,
    until_end: UntilEnd = False,
    workers: Workers = 1,
    process: Process = None,
    addresses: Addresses = None,
    name: Name = None,
    reset_state: ResetState = False,
    quiet: Quiet = False,
) -> None:
    """Write messages in envelopes to the tables of their types: trades, quotes, order books, news.

    It reads the topics of all types that have a table, or those that
    messages.topics names. A message is stored once, however often it comes;
    what is not a valid one goes to the DLQ.
    """
    changes = run_changes((None, None), until_end=until_end, name=name)
    processes = workers, process, addresses
    start_flow(PERSIST, config, [*(overrides or []), *changes], processes, None, reset_state=reset_state, quiet=quiet)
