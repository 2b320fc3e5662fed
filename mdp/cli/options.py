"""Options shared by several commands, and their parsers."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, overload

import typer

if TYPE_CHECKING:
    from flows.settings import Settings

_NS_PER_MS: Final = 1_000_000


def parse_window(text: str) -> int:
    """Parses a duration to milliseconds."""
    from contracts.duration import parse_duration

    try:
        return parse_duration(text) // _NS_PER_MS
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def examples(*commands: str) -> str:
    """An epilog with example commands."""
    return "\n".join(["[bold]Examples[/bold]", *(f"[dim]$[/dim] {command}" for command in commands)])


Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", metavar="FILE", help="Config file; default: $MDP_CONFIG, or configs/streaming.yaml."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a setting, such as bus.kafka.topic=ticks. Can be repeated."
    ),
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="A time such as 2025-10-24T14:00:00Z, a day, today, yesterday, or now-1h.",
    ),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="End before this time.")]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone", metavar="ZONE", help="Zone of days (default UTC) and of times without one, such as America/New_York."
    ),
]
OfRun = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", show_default="the live tables", help="Of this run, as `mdp runs` lists it."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@overload
def span_of(start: str, end: str, zone: str | None) -> tuple[int, int]: ...


@overload
def span_of(start: str | None, end: str | None, zone: str | None) -> tuple[int | None, int | None]: ...


def span_of(start: str | None, end: str | None, zone: str | None) -> tuple[int | None, int | None]:
    """The nanoseconds of --from and --to, with days in --zone; an empty range is refused."""
    now_ns, zone = time.time_ns(), known_zone(zone)
    start_ns, end_ns = _moment("--from", start, now_ns, zone), _moment("--to", end, now_ns, zone)
    if start_ns is not None and end_ns is not None and start_ns >= end_ns:
        raise typer.BadParameter("it must be after --from", param_hint="--to")
    return start_ns, end_ns


def _moment(option: str, text: str | None, now_ns: int, zone: str | None) -> int | None:
    from contracts.moments import parse_moment

    try:
        return None if text is None else parse_moment(text, now_ns, zone)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def known_zone(zone: str | None) -> str | None:
    """Returns `zone` if it exists; refuses it otherwise."""
    from contracts.moments import zone_of

    try:
        return None if zone is None else zone_of(zone).key
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--zone") from None


def settings_of(config: Path | None, overrides: list[str] | None, *more: str, run: str | None = None) -> Settings:
    """The settings with `--set` applied, then `more` overrides, and real addresses for the local stack's.

    With a `run`, which there must be, their results are those of that run.
    """
    from flows.config_file import connected, load

    settings = connected(load(config, [*(overrides or []), *more]))
    if run is None:
        return settings
    from sinks.runs.registry import find

    found = find(settings.store.url.get_secret_value(), run)
    return settings.model_copy(update={"run": settings.run.model_copy(update={"name": found.name})})
