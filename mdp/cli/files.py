"""Options of commands that read files of events."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars: it is imported where it is used
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mdp.cli.options import known_zone
from mdp.cli.output import remark

if TYPE_CHECKING:
    from mdp.ops.file_events import EventFiles

TimeUnitOption = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    typer.Option("--time-unit", show_default="guessed", help="Unit of numeric times since 1970."),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="Zone of times without one, such as UTC or America/New_York."),
]


def event_files(
    patterns: Sequence[str], unit: Literal["s", "ms", "us", "ns"] | None = None, zone: str | None = None
) -> EventFiles:
    """The files given by the options."""
    from mdp.ops.file_events import EventFiles

    said: set[str] = set()

    def once(text: str) -> None:  # files are read twice if they are surveyed first
        if text not in said:
            said.add(text)
            remark(text)

    return EventFiles(matching(patterns), unit, known_zone(zone), once)


def matching(patterns: Sequence[str]) -> list[Path]:
    """The files that match the patterns, each once, sorted by name; a name without wildcards is kept."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not found:
            raise typer.BadParameter(f"no file matches {pattern}", param_hint="--path")
        paths |= dict.fromkeys(map(Path, found))
    return list(paths)
