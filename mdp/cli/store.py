"""`mdp store`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import typer

from mdp.cli import store_messages, store_rows
from mdp.cli.options import Config, Set, examples, settings_of

app = typer.Typer(
    cls=store_messages.WithInstalled, help="The database: its schema and its contents.", no_args_is_help=True
)


@app.command(epilog=examples("mdp store migrate", "mdp store migrate --set store.url=postgresql://localhost/market"))
def migrate(config: Config = None, overrides: Set = None) -> None:
    """Create or upgrade the schema: tables of results and of messages. Safe to run again.

    Each configured feature has a column, and each type of message a table.

    A missing database is created, too, if the role may do that.
    """
    from flows.endpoints import create_tables
    from flows.spec import FLOWS
    from sinks.database import create_missing

    settings = settings_of(config, overrides)
    done = [*create_missing(settings.store.url.get_secret_value()), *create_tables(settings, *FLOWS.values())]
    for line in done or ["nothing to do: the schema is up to date"]:
        typer.echo(line)


store_rows.register(app)
store_messages.register(app)
