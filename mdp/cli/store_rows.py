"""`mdp store symbols`, `bars`, `features` and `signals`: the contents of the database."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from mdp.cli.options import Config, From, OfRun, Set, To, Zone, examples, settings_of, span_of
from mdp.cli.output import Format, print_frame, progress, remark

if TYPE_CHECKING:
    from polars import DataFrame

    from sinks.queries.selection import MessageSelection, Selection

_LIMITS: Final[dict[str, int]] = {"table": 50, "csv": 100_000, "json": 100_000}

Symbol = Annotated[
    str | None,
    typer.Option("--symbol", "-s", show_default="all", help="Only this one; `mdp store symbols` lists them."),
]
Provider = Annotated[str | None, typer.Option("--provider", show_default="all", help="Only this one.")]
Interval = Annotated[
    str | None, typer.Option("--interval", show_default="all", help="Only bars of this length, such as 2s.")
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, show_default="50 for a table, else 100,000", help="Print only the last N rows."
    ),
]
Form = Annotated[Format, typer.Option("--format", "-f", help="Format; csv and json print nothing else on stdout.")]
Parquet = Annotated[
    Path | None,
    typer.Option("--parquet", metavar="FILE", help="Write all rows into this file, and print none."),
]
Rollup = Annotated[
    Literal["1m", "5m", "1h"] | None, typer.Option("--rollup", help="The rollup of bars to this length.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command(epilog=examples("mdp store symbols", "mdp store symbols --provider synthetic --format csv"))(symbols)
    app.command(
        epilog=examples(
            "mdp store bars --symbol SPY",
            "mdp store bars -s SPY --from today --zone America/New_York -f csv > spy.csv",
            "mdp store bars --rollup 1m --from 2025-10-01 --parquet bars-1m.parquet",
        )
    )(bars)
    app.command(
        epilog=examples("mdp store features --symbol SPY --limit 10", "mdp store features --parquet features.parquet")
    )(features)
    app.command(
        epilog=examples(
            "mdp store signals --symbol SPY --format json",
            "mdp store signals --from now-1h",
            "mdp store signals --run calmer --format csv",
        )
    )(signals)


def symbols(
    *,
    provider: Provider = None,
    interval: Interval = None,
    form: Form = "table",
    run: OfRun = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """List the symbols, with their providers, intervals and kinds of rows."""
    from sinks.queries import stored

    found = stored.symbols(url_of(config, overrides, run), provider, interval)
    print_frame(found, form)
    if found.is_empty():
        remark("no symbols")


def bars(
    *,
    symbol: Symbol = None,
    provider: Provider = None,
    interval: Interval = None,
    rollup: Rollup = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    parquet: Parquet = None,
    run: OfRun = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the last bars, oldest first, or write all of them into a Parquet file."""
    table = "bars_ohlcv" if rollup is None else f"bars_{rollup}"
    series, span = (symbol, provider, interval), span_of(start, end, zone)
    _show(_selection(table, series, span), url_of(config, overrides, run), limit, form, parquet)


def features(
    *,
    symbol: Symbol = None,
    provider: Provider = None,
    interval: Interval = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    parquet: Parquet = None,
    run: OfRun = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the last features, oldest first, or write all of them into a Parquet file."""
    series, span = (symbol, provider, interval), span_of(start, end, zone)
    _show(_selection("features", series, span), url_of(config, overrides, run), limit, form, parquet)


def signals(
    *,
    symbol: Symbol = None,
    provider: Provider = None,
    interval: Interval = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    limit: Limit = None,
    form: Form = "table",
    parquet: Parquet = None,
    run: OfRun = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Print the last signals, oldest first, or write all of them into a Parquet file."""
    series, span = (symbol, provider, interval), span_of(start, end, zone)
    _show(_selection("signals", series, span), url_of(config, overrides, run), limit, form, parquet)


def url_of(config: Path | None, overrides: list[str] | None, run: str | None) -> str:
    """Of the database that holds the rows."""
    return settings_of(config, overrides, run=run).results_url


def _selection(
    table: str, series: tuple[str | None, str | None, str | None], span: tuple[int | None, int | None]
) -> Selection:
    from sinks.queries.selection import Selection

    return Selection(table, *series, *map(moment, span))


def moment(nanoseconds: int | None) -> datetime | None:
    """A time to the microsecond, rounded up, as stored times have no finer resolution."""
    if nanoseconds is None:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=-(-nanoseconds // 1_000))


def _show(selection: Selection, conninfo: str, limit: int | None, form: Format, parquet: Path | None) -> None:
    from sinks.queries import stored

    show(selection, partial(stored.last, conninfo, selection), conninfo, limit=limit, form=form, parquet=parquet)


def show(
    selection: Selection | MessageSelection,
    last: Callable[[int], DataFrame],
    conninfo: str,
    *,
    limit: int | None,
    form: Format,
    parquet: Path | None,
) -> None:
    """Prints the rows that `last` reads, or writes all of them to a file."""
    if parquet is None:
        _print(selection, last, conninfo, limit, form)
    elif limit is not None:
        raise typer.BadParameter(
            "it is for printed rows: a file gets all rows of --from and --to", param_hint="--limit"
        )
    else:
        _write(selection, conninfo, parquet)


def _print(
    selection: Selection | MessageSelection,
    last: Callable[[int], DataFrame],
    conninfo: str,
    limit: int | None,
    form: Format,
) -> None:
    most = limit or _LIMITS[form]
    found = last(most + 1)  # one row more than is printed shows whether there are more
    print_frame(found.tail(most), form)
    if found.is_empty():
        remark(_nothing(selection, conninfo))
    elif found.height > most and limit is None:
        remark(
            f"these are the last {most:,} rows: print more with --limit, others with --from and --to, "
            "or write all of them to a file with --parquet"
        )


def _write(selection: Selection | MessageSelection, conninfo: str, path: Path) -> None:
    from sinks.queries import export
    from sinks.queries.parquet import write_parquet

    with progress(selection.what) as show:
        rows = write_parquet(path, *export.stream(conninfo, selection), show)
    remark(f"{rows:,} {selection.what} in {path}" if rows else f"{_nothing(selection, conninfo)}: {path} has no rows")


def _nothing(selection: Selection | MessageSelection, conninfo: str) -> str:
    """The message that there are no such rows, with a suggestion for the symbol of a series."""
    from contracts.suggestions import did_you_mean
    from sinks.queries import stored
    from sinks.queries.selection import Selection

    if selection.symbol is None:
        return f"no {selection.what}"
    if not isinstance(selection, Selection):
        return f"no {selection.what} of {selection.symbol}"
    known = stored.symbols(conninfo)["symbol"].unique().to_list()
    meant = "" if selection.symbol in known else did_you_mean(selection.symbol, known)
    return f"no {selection.what} of {selection.symbol}{meant}"
