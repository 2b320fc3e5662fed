"""`mdp store`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

import typer

from mdp.cli.options import Config, From, Set, To, Zone, examples, settings_of, span_of
from mdp.cli.output import Format, print_frame, remark

app = typer.Typer(help="The database: its schema, and what is in it.", no_args_is_help=True)

_LIMITS: Final[dict[str, int]] = {"table": 50, "csv": 100_000, "json": 100_000}

Symbol = Annotated[str, typer.Option("--symbol", "-s", help="Whose rows to print.")]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, show_default="50 for a table, else 100,000", help="Print only so many of the last rows."
    ),
]
Form = Annotated[Format, typer.Option("--format", "-f", help="Alone on stdout, for other programs: csv or json.")]


@app.command(epilog=examples("mdp store migrate", "mdp store migrate --set store.url=postgresql://localhost/market"))
def migrate(config: Config = None, overrides: Set = None) -> None:
    """Create or upgrade the schema, with a column for each configured feature. Safe to run again.

    A database that is missing is created too, where the role may do that.
    """
    from flows.endpoints import create_tables
    from sinks.database import create_missing

    settings = settings_of(config, overrides)
    done = [*create_missing(settings.store.url.get_secret_value()), *create_tables(settings)]
    for line in done or ["nothing to do: the schema is up to date"]:
        typer.echo(line)


@app.command(epilog=examples("mdp store bars --symbol SPY", "mdp store bars -s SPY --from 2025-10-24 -f csv > spy.csv"))
def bars(
    *,
    symbol: Symbol,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the bars of a symbol, oldest first."""
    _print("bars", symbol, span_of(start, end, zone), limit, form, settings=(config, overrides))


@app.command(epilog=examples("mdp store features --symbol SPY --limit 10"))
def features(
    *,
    symbol: Symbol,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the features of a symbol, oldest first."""
    _print("features", symbol, span_of(start, end, zone), limit, form, settings=(config, overrides))


@app.command(epilog=examples("mdp store signals --symbol SPY --format json"))
def signals(
    *,
    symbol: Symbol,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the signals of a symbol, oldest first."""
    _print("signals", symbol, span_of(start, end, zone), limit, form, settings=(config, overrides))


def _print(
    table: Literal["bars", "features", "signals"],
    symbol: str,
    span: tuple[int | None, int | None],
    limit: int | None,
    form: Format,
    *,
    settings: tuple[Path | None, list[str] | None],
) -> None:
    from sinks.queries import stored

    conninfo = settings_of(*settings).store.url.get_secret_value()
    most = limit or _LIMITS[form]
    start, end = map(_moment, span)
    # One row more than is printed tells whether there are more.
    found = getattr(stored, table)(conninfo, symbol, start, end, most + 1)
    print_frame(found.tail(most), form)
    if found.is_empty():
        remark(f"no {table} of {symbol}")
    elif found.height > most and limit is None:
        remark(f"these are the last {most:,} rows: print more with --limit, or others with --from and --to")


def _moment(nanoseconds: int | None) -> datetime | None:
    """To the microsecond, rounded up: what lies in between is stored nowhere."""
    if nanoseconds is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=-(-nanoseconds // 1_000))
