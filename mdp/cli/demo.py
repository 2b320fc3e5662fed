"""`mdp demo`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from mdp.cli.options import examples

Seconds = Annotated[
    float | None,
    typer.Option("--seconds", min=1, show_default="until Ctrl-C", help="Stop after this many seconds of the market."),
]
Rate = Annotated[float, typer.Option("--rate", min=1, max=100_000, help="Events per second of all symbols together.")]
Symbols = Annotated[int, typer.Option("--symbols", min=1, max=1_000, help="Number of symbols.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the random prices.")]
Picture = Annotated[Path | None, typer.Option("--save-svg", hidden=True, help="Save the last view as a picture.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=examples("mdp demo", "mdp demo --seconds 20 --symbols 40 --rate 10000"))(demo)


def demo(
    seconds: Seconds = None, rate: Rate = 2_000, symbols: Symbols = 12, seed: Seed = 0, picture: Picture = None
) -> None:
    """Show the pipeline on a synthetic market, then check its results against what was sent.

    It starts the local stack unless it runs, uses its own topics and
    database, and leaves no process behind. The exit code is 0 if every event
    is accounted for, including duplicates, delayed and malformed ones.
    """
    from rich.console import Console

    from mdp.demo.run import Options, run

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the view's characters shows replacements
    options = Options(seconds=seconds, rate=rate, symbols=symbols, seed=seed, picture=picture)
    raise typer.Exit(run(options, Console(highlight=False, markup=False, emoji=False)))
