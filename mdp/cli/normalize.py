"""`mdp stream normalize`: raw messages of venues to canonical topics."""

from __future__ import annotations

import typer

from flows.spec import NORMALIZE
from mdp.cli.options import Config, Set, examples
from mdp.cli.persist import UntilEnd
from mdp.cli.run import Addresses, Name, Process, Quiet, ResetState, Workers, run_changes, start_flow


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=examples("mdp stream normalize", "mdp stream normalize --until-end --workers 2"))(normalize)


def normalize(
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
    """Map raw messages of venues to canonical envelopes, on the topics of their types.

    It reads the topics of normalize.sources, each with its mapping. A message
    is written once; what becomes none goes to the DLQ.
    """
    changes = run_changes((None, None), until_end=until_end, name=name)
    processes = workers, process, addresses
    start_flow(NORMALIZE, config, [*(overrides or []), *changes], processes, None, reset_state=reset_state, quiet=quiet)
