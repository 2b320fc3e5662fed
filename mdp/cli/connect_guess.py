"""`mdp connect guess`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars: it is imported where it is used
from pathlib import Path
from typing import Annotated

import typer

from mdp.cli.options import examples
from mdp.cli.output import remark


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    shown = examples("mdp connect guess trades.csv.gz > map.yaml", "mdp connect guess quotes.parquet")
    app.command(epilog=shown)(guess)


def guess(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file in any of the formats of `stream produce`.")],
) -> None:
    """Propose the map of a file: which of its columns are the time, the price and so on.

    It goes by the names of the columns, and without names by what is in the
    first rows. The map is printed as YAML for `--map`, and what it rests on
    that the file does not say, on stderr.
    """
    from connectors.files.guess import guess as proposed_for

    proposed = proposed_for(file)
    typer.echo(proposed.text, nl=False)
    for text in proposed.remarks:
        remark(text)
