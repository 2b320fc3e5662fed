"""`mdp store trades`, `quotes` and so on: stored messages, a command for each type that has a table."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from mdp.cli.options import Config, From, Set, To, Zone, examples, span_of
from mdp.cli.store_rows import Form, Limit, Parquet, Provider, moment, show, url_of

if TYPE_CHECKING:
    from contracts.message import MessageType

# The project's own types, by the names of their commands; those of installed packages are looked up when asked for.
OWN: Final = ("trades", "quotes", "orderbook", "gex", "news", "calendar", "greeks", "gaps")

Symbol = Annotated[str | None, typer.Option("--symbol", "-s", show_default="all", help="Only about this one.")]


class WithInstalled(TyperGroup):
    """A group that also has the commands of installed types of messages."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        return found or (_installed(cmd_name) if cmd_name in _types() else None)


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    for name in OWN:
        shown = examples(f"mdp store {name} --from today", f"mdp store {name} --parquet {name}.parquet")
        app.command(name, help=_help(name), epilog=shown)(_command(name))


def _help(name: str) -> str:
    return f"Print the last stored messages of the type {name}, oldest first, or write all into a Parquet file."


def _installed(name: str) -> Any:
    alone = typer.Typer(add_completion=False)
    alone.command(name, help=_help(name))(_command(name))
    return typer.main.get_command(alone)


def _types() -> dict[str, MessageType]:
    """The types that are stored, by the names of their commands."""
    from contracts.registry import stored_types
    from sinks.queries.selection import command_of

    return {command_of(str(kind.table)): kind for kind in stored_types().values()}


def _command(name: str) -> Callable[..., Any]:
    def command(
        *,
        symbol: Symbol = None,
        provider: Provider = None,
        start: From = None,
        end: To = None,
        zone: Zone = None,
        limit: Limit = None,
        form: Form = "table",
        parquet: Parquet = None,
        config: Config = None,
        overrides: Set = None,
    ) -> None:
        from sinks.queries import messages
        from sinks.queries.selection import MessageSelection

        span = map(moment, span_of(start, end, zone))
        selection, url = MessageSelection(_types()[name], symbol, provider, *span), url_of(config, overrides, None)
        show(selection, partial(messages.last, url, selection), url, limit=limit, form=form, parquet=parquet)

    return command
