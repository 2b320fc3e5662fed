"""`mdp psql`: PostgreSQL's own client, connected to the configured database."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import os
import shlex
from typing import Annotated

import typer

from mdp.cli.options import Config, OfRun, Set, examples, settings_of

Arguments = Annotated[
    list[str] | None, typer.Argument(metavar="PSQL_OPTIONS", help="Options of psql, after two dashes.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=examples("mdp psql", "mdp psql -- -c 'SELECT count(*) FROM signals'"))(psql)


def psql(arguments: Arguments = None, run: OfRun = None, config: Config = None, overrides: Set = None) -> None:
    """Open the database with psql, without giving its address or password.

    It uses the psql of this machine, or the one of the local stack. Without
    either, it prints the connection variables for other clients.
    """
    from contracts.errors import MdpError
    from mdp.local import client_program
    from sinks.conninfo import environment_of

    variables = environment_of(settings_of(config, overrides, run=run).results_url)
    program = client_program("psql")
    if program is None:
        raise MdpError(
            "there is no psql on this machine", f"install it, or use another client with {_shown(variables)}"
        )
    os.execve(program, [str(program), *(arguments or [])], os.environ | variables)  # noqa: S606 - no shell is meant


def _shown(variables: dict[str, str]) -> str:
    """The variables in shell syntax, without the password itself."""
    shown = [f"{name}={shlex.quote(value)}" for name, value in variables.items() if name != "PGPASSWORD"]
    return " ".join(shown) + (" and the password in PGPASSWORD" if "PGPASSWORD" in variables else "")
