"""`mdp dlq auto`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from typing import Annotated

import typer

from mdp.cli.options import Config, Set, examples, settings_of

_EXAMPLES = examples("mdp dlq auto", "mdp dlq auto --once --set 'dlq.auto.rules=[{reason: future, max_retries: 5}]'")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(auto)


def auto(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when all that is due now has been sent.")] = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Send refused events back by themselves, by the rules of `dlq.auto`.

    Each event is sent once per refusal, as by `mdp dlq redrive`, and stays in
    the DLQ when it was refused as often as its rule allows. Of several
    processes one works, and another takes over when it ends or is killed.
    """
    from mdp.ops.dlq.auto import service
    from mdp.ops.leading import lead
    from mdp.ops.produce import stopped_by_signals
    from mdp.runtime.log_format import start_logging
    from telemetry.server import serve_metrics

    settings = settings_of(config, overrides)
    start_logging(settings)
    serve_metrics(settings.telemetry)
    kafka = settings.bus.kafka
    with stopped_by_signals() as stop:
        lead(service(kafka, settings.dlq.auto, stop.event), kafka, stop.event, once=once)
