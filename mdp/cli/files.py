"""Options of commands that read files of events and of messages."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars: it is imported where it is used
import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mdp.cli.options import known_zone
from mdp.cli.output import remark

if TYPE_CHECKING:
    from connectors.files.maps import FileMap
    from mdp.ops.file_events import EventFiles
    from mdp.ops.file_messages import MessageFiles

TimeUnitOption = Annotated[
    Literal["s", "ms", "us", "ns"] | None,
    typer.Option("--time-unit", show_default="guessed", help="Unit of numeric times since 1970."),
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--zone", metavar="ZONE", help="Zone of times without one, such as UTC or America/New_York."),
]


MapOption = Annotated[
    str | None,
    typer.Option(
        "--map", metavar="FILE", help="Which columns are what: a map, or a preset such as binance-trades; see files."
    ),
]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        metavar="NAME",
        show_default="that of the map",
        help="What the rows become: events/v1, or a type in envelopes such as trades/v2.",
    ),
]


def event_files(
    patterns: Sequence[str], unit: Literal["s", "ms", "us", "ns"] | None = None, zone: str | None = None
) -> EventFiles:
    """The files of events given by the options."""
    from mdp.ops.file_events import EventFiles

    return EventFiles(matching(patterns), unit, known_zone(zone), _once())


def mapped_files(
    paths: Sequence[Path], columns: FileMap, unit: Literal["s", "ms", "us", "ns"] | None, zone: str | None
) -> EventFiles | MessageFiles:
    """The files, of what their map leads to; a map that does not fit its type is refused."""
    from connectors.files.targets import target_of
    from contracts.event import EVENT_V1
    from mdp.ops.file_events import EventFiles
    from mdp.ops.file_messages import MessageFiles

    zone = known_zone(zone)
    if target_of(columns).kind is EVENT_V1:
        return EventFiles(paths, unit, zone, _once(), columns)
    return MessageFiles(paths, columns, unit, zone, _once())


def map_of(name: str | None, kind: str | None, paths: Sequence[Path]) -> FileMap | None:
    """The map of the option, or that of DBN, which says itself what it is; for another type if there is one."""
    from connectors.files.maps import load_map

    name = name or _own_map(paths)
    if name is None:
        if kind is not None:
            raise typer.BadParameter("it is for files with a map", param_hint="--type")
        return None
    columns = load_map(name)
    return columns if kind is None else columns.model_copy(update={"type": kind})


def _own_map(paths: Sequence[Path]) -> str | None:
    from connectors.databento.dbn import preset_of
    from connectors.files.opening import is_dbn, opened

    return next((preset_of(file) for path in paths if is_dbn(path) for file in opened(path)), None)


def _once() -> Callable[[str], None]:
    """Prints each remark once: files are read twice if they are surveyed first."""
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            remark(text)

    return once


def matching(patterns: Sequence[str]) -> list[Path]:
    """The files that match the patterns, each once, sorted by name; a name without wildcards is kept."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not found:
            raise typer.BadParameter(f"no file matches {pattern}", param_hint="--path")
        paths |= dict.fromkeys(map(Path, found))
    return list(paths)
