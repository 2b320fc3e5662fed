"""Options of the commands of `mdp connect`."""

from __future__ import annotations

from typing import Annotated

import typer

ConnectorName = Annotated[
    str,
    typer.Option("--connector", metavar="NAME|FILE", help="As `mdp connect list` has it, or a manifest's file."),
]
Symbols = Annotated[
    str | None, typer.Option("--symbols", metavar="A,B", help="As the source writes them, with commas.")
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="An option of the connector, such as port=8710, or a setting, such as messages.realm=desk. Can be "
        "repeated.",
    ),
]


def symbols_of(text: str | None) -> tuple[str, ...]:
    """Each symbol once."""
    return tuple(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
