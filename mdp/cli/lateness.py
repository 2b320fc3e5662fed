"""`mdp stream lateness`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from mdp.cli.options import AsJson, Config, From, Set, To, Zone, examples, parse_window, settings_of, span_of
from mdp.cli.output import print_json, progress, remark, stdout

if TYPE_CHECKING:
    from mdp.ops.lateness.report import Report

_SHARE: Final = re.compile(r"(\d{1,3}(?:\.\d{1,6})?) ?%")
_TARGET: Final = 0.001
_EXAMPLES = examples(
    "mdp stream lateness",
    "mdp stream lateness --from 2025-10-24T14:00:00Z --to 2025-10-24T15:00:00Z --target 0.01% --svg lateness.svg",
    "mdp stream lateness --window 1m --set micro_batch.amend_ms=60000 --json",
)


def parse_share(text: str) -> float:
    """Parses a percentage to a share between 0 and 1."""
    match = _SHARE.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise typer.BadParameter(f"{text!r} is not a percentage such as 0.1%")
    return float(match[1]) / 100


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(lateness)


def lateness(
    *,
    topic: Annotated[
        str | None, typer.Option("--topic", "-t", show_default="bus.kafka.topic", help="Of events.")
    ] = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    window: Annotated[
        int | None,
        typer.Option(
            "--window", parser=parse_window, metavar="DURATION", show_default="of the config", help="Such as 2s or 1m."
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            "--target",
            parser=parse_share,
            metavar="PERCENT",
            show_default="0.1%",
            help="Recommend a grace under which at most this share of events is amending or late.",
        ),
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Also draw a chart into this file.")] = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Measure how late events are, and recommend a grace (allow_late_ms).

    Reads a topic up to its present end; --from and --to select records by
    their time of arrival, which is their Kafka timestamp. Writes nothing. The
    counts are those of a run over these records with that grace.
    """
    from flows.market_input import market_decoder
    from mdp.ops.lateness.measure import measure, parts_of
    from mdp.ops.lateness.report import Report
    from native import memory_tuning
    from transports.kafka.topic_reader import TopicReader

    span = span_of(start, end, zone)
    settings = settings_of(config, overrides)
    windows = settings.micro_batch
    if window is not None:
        windows = type(windows).model_validate({**windows.model_dump(), "window_ms": window})
        settings = settings.model_copy(update={"micro_batch": windows})
    memory_tuning.tune()
    kafka = settings.bus.kafka
    with TopicReader(kafka, topic or kafka.topic) as reader:
        parts = parts_of(reader, *span)
        began = time.monotonic()
        with progress("records", sum(part.records for part in parts)) as show:
            measured = measure(reader, parts, market_decoder(settings), windows, on_progress=show)
    seconds = time.monotonic() - began
    report = Report(reader.topic, len(parts), windows, _TARGET if target is None else target, measured, seconds)
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    if svg is not None:
        from mdp.ops.lateness.svg import save_svg

        save_svg(report, svg)


def _show(report: Report) -> None:
    from rich.measure import Measurement

    from mdp.ops.lateness.view import view

    console, shown = stdout(), view(report)
    # On a narrow terminal lines are wrapped rather than digits cut off.
    console.width = max(console.width, Measurement.get(console, console.options, shown).minimum)
    console.print(shown)
    remark(f"read in {report.seconds:.1f} s: {report.events / report.seconds:,.0f} events/s")
