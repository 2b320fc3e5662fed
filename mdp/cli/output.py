"""Output of commands: results on stdout, progress and remarks on stderr."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from telemetry.printable import printable, printable_json

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.text import Text

Format = Literal["table", "csv", "json"]

_PLAIN: Final = (1e-6, 1e15)
_WIDTH_OF_FILES: Final = 240  # tables in a file or pipe are not limited to a terminal's width
_HIDDEN: Final = ("signal_id", "source_topic", "source_partition", "source_offset", "source_row", "partition")


def stdout() -> Console:
    """The console for results: a terminal, or a file with wide lines."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_FILES)


def remark(text: str) -> None:
    """Print a message that is not a result."""
    typer.echo("\n".join(map(printable, text.splitlines())), err=True)


def print_json(value: Any) -> None:
    """One JSON text on stdout."""
    typer.echo(json.dumps(value))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print a table with numbers right-aligned. Strings are printed literally, never as markup."""
    from rich.table import Table

    rows = [list(row) for row in rows]
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(name, justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    stdout().print(table)


def cell(value: object) -> Text:
    """A value as a table cell."""
    from rich.text import Text

    if value is None:
        return Text("-", style="dim")
    if isinstance(value, float):
        return Text(number_text(value))
    return Text(printable(str(value)))


def number_text(value: float) -> str:
    """A number with ten significant digits and all integer digits, in full unless it is tiny or huge."""
    size = abs(value)
    if size == 0.0 or _PLAIN[0] <= size < _PLAIN[1]:
        decimals = max(0, 9 - math.floor(math.log10(size))) if size else 0
        return _trimmed(f"{value:.{decimals}f}")
    digits, _, power = f"{value:.9e}".partition("e")
    return f"{_trimmed(digits)}e{int(power)}" if power else digits


def _trimmed(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def print_frame(frame: pl.DataFrame, form: Format) -> None:
    """Print rows of a query: all columns as CSV or JSON, the main columns as a table."""
    if form == "csv":
        # Not by echo, which removes text that looks like terminal control sequences from output to a file.
        sys.stdout.write(frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ"))
    elif form == "json":
        typer.echo(_json_rows(frame))
    else:
        shown = frame.select(name for name in frame.columns if name not in _HIDDEN)
        times = shown.with_columns(_time_texts(shown))
        print_table(times.columns, times.iter_rows())


def _json_rows(frame: pl.DataFrame) -> str:
    """A JSON array with a row on each line."""
    import msgspec

    rows = []
    for row in frame.iter_rows(named=True):
        if row.get("meta") is not None:
            row["meta"] = msgspec.Raw(row["meta"].encode())
        rows.append(printable_json(msgspec.json.encode(row).decode()))
    return "[" + ",".join(f"\n{row}" for row in rows) + ("\n]" if rows else "]")


def _time_texts(frame: pl.DataFrame) -> list[pl.Expr]:
    import polars as pl

    names = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    return [pl.col(name).dt.to_string("%Y-%m-%dT%H:%M:%S%.fZ") for name in names]


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Show progress on a terminal; yields a function to call with the number so far."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(what), TextColumn("{task.completed:,}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
