"""`mdp up`, `down` and `status`: the local stack."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import shlex
import sys
from typing import TYPE_CHECKING

import typer

from mdp.cli.options import AsJson, examples
from mdp.cli.output import print_json, print_table, remark, stdout

if TYPE_CHECKING:
    from mdp.local import Endpoints


def register(app: typer.Typer) -> None:
    """Add the commands to the application, at the top level, as they are needed first."""
    app.command(epilog=examples("mdp up", "mdp topics apply && mdp store migrate"))(up)
    app.command()(down)
    app.command(epilog=examples("mdp status", "mdp status --json"))(status)


def up() -> None:
    """Start Kafka and PostgreSQL on this machine, and print their addresses.

    Their data are kept in .mdp, or in the folder $MDP_HOME. Running services
    are left alone.
    """
    from rich.console import Console

    from flows.project import home
    from mdp.local import LocalStack

    stack = LocalStack(home())
    if sys.stderr.isatty():
        console = Console(stderr=True)
        with console.status("Starting the local stack"):
            endpoints = stack.up(lambda line: console.log(line, highlight=False))
    else:
        endpoints = stack.up(remark)
    print_table(("service", "endpoint"), [("Kafka", endpoints.kafka), ("PostgreSQL", endpoints.postgres)])
    typer.echo(_psql_line(endpoints))
    stdout().print("Next: [bold]mdp topics apply[/bold] and [bold]mdp store migrate[/bold]", highlight=False)


def down() -> None:
    """Stop Kafka and PostgreSQL of the local stack; their data are kept."""
    from flows.project import home
    from mdp.local import LocalStack

    LocalStack(home()).down()
    remark("the local stack is down; its data are kept")


def status(as_json: AsJson = False) -> None:
    """Show whether the local stack runs; the exit code is 1 unless all of it does."""
    from flows.project import home
    from mdp.local import LocalStack

    stack = LocalStack(home())
    services = stack.status()
    states = ["running" if one.answers else "not answering" if one.pid else "stopped" for one in services]
    if as_json:
        fields = ("service", "state", "address", "pid", "log")
        rows = [
            (one.name, state, one.address, one.pid, str(one.log)) for one, state in zip(services, states, strict=True)
        ]
        print_json([dict(zip(fields, row, strict=True)) for row in rows])
    else:
        rows_shown = [(one.name, state, one.address, one.pid) for one, state in zip(services, states, strict=True)]
        print_table(("service", "state", "address", "pid"), rows_shown)
        if stack.endpoints is not None:
            typer.echo(_psql_line(stack.endpoints))
    raise typer.Exit(0 if all(one.answers for one in services) else 1)


def _psql_line(endpoints: Endpoints) -> str:
    passfile = shlex.quote(endpoints.passfile)
    return f"SQL: `mdp psql`, or PGPASSFILE={passfile} psql {endpoints.postgres}"
