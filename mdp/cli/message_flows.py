"""`mdp stream normalize` and `persist`: the dataflows of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from flows.spec import NORMALIZE, PERSIST, FlowSpec
from mdp.cli.options import Config, Set, examples
from mdp.cli.run import Addresses, Name, Process, Quiet, ResetState, Workers, run_changes, start_flow

UntilEnd = Annotated[bool, typer.Option("--until-end", help="Stop at the present end of the topics.")]

_NORMALIZE: Final = """Map raw messages of venues to canonical envelopes, on the topics of their types.

    It reads the topics of normalize.sources, each with its mapping. A message
    is written once; what becomes none goes to the DLQ.
    """
_PERSIST: Final = """Write messages in envelopes to the tables of their types: trades, quotes, order books, news.

    It reads the topics of all types that have a table, or those that
    messages.topics names. A message is stored once, however often it comes;
    what is not a valid one goes to the DLQ.
    """


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for flow, text in ((NORMALIZE, _NORMALIZE), (PERSIST, _PERSIST)):
        shown = examples(f"mdp stream {flow.name}", f"mdp stream {flow.name} --until-end --workers 2")
        app.command(flow.name, help=text, epilog=shown)(_command(flow))


def _command(flow: FlowSpec) -> Callable[..., Any]:
    def command(
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
        changes = [*(overrides or []), *run_changes((None, None), until_end=until_end, name=name)]
        processes = workers, process, addresses
        start_flow(flow, config, changes, processes, None, reset_state=reset_state, quiet=quiet)

    return command
