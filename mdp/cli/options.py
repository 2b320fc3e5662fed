"""Options that several commands share, and how their texts become values."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from flows.settings import Settings

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NS_PER_MS: Final = 1_000_000


def parse_time(text: str) -> int:
    """Nanoseconds of an ISO 8601 time with a zone, of the midnight, in UTC, with which a date begins, or of now-15m."""
    from contracts.duration import parse_duration
    from contracts.timestamps import parse_timestamp

    word, minus, duration = text.partition("-")
    try:
        if word == "now":
            return time.time_ns() - (parse_duration(duration) if minus else 0)
        return parse_timestamp(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is neither a time such as 2025-10-24T14:02:01Z or now-15m nor a date"
        ) from None


def parse_window(text: str) -> int:
    """Milliseconds of a duration."""
    from contracts.duration import parse_duration

    try:
        return parse_duration(text) // _NS_PER_MS
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def examples(*commands: str) -> str:
    """An epilog of commands to copy."""
    return "\n".join(["[bold]Examples[/bold]", *(f"[dim]$[/dim] {command}" for command in commands)])


Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Settings; else those of $MDP_CONFIG or configs/streaming.yaml."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a setting, such as bus.kafka.topic=ticks. Can be repeated."
    ),
]
From = Annotated[
    int | None,
    typer.Option(
        "--from", parser=parse_time, metavar="TIME", help="A time such as 2025-10-24T14:00:00Z or now-1h, or a date."
    ),
]
To = Annotated[int | None, typer.Option("--to", parser=parse_time, metavar="TIME", help="End before this time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def check_span(start: int | None, end: int | None) -> None:
    """Refuse an empty span of time."""
    if start is not None and end is not None and start >= end:
        raise typer.BadParameter("it must be after --from", param_hint="--to")


def settings_of(config: Path | None, overrides: list[str] | None, *more: str) -> Settings:
    """The settings with `--set` applied, then `more` overrides, and real addresses for the local stack's."""
    from flows.config_file import connected, load

    return connected(load(config, [*(overrides or []), *more]))
