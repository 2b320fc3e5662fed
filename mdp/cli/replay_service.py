"""`mdp stream replay-service`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from typing import Annotated

import typer

from mdp.cli.options import Config, Set, examples, settings_of

_EXAMPLES = examples("mdp stream replay-service", "mdp stream replay-service --once --set replay.records_per_s=50000")


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("replay-service", epilog=_EXAMPLES)(replay_service)


def replay_service(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when all that was asked is answered.")] = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Serve replay requests: send what they ask for again, each record once.

    Requests and what becomes of them are messages of `bus.kafka.control_topic`.
    Of several services one works, and another takes over when it ends or is
    killed.
    """
    from mdp.ops.leading import lead
    from mdp.ops.produce import stopped_by_signals
    from mdp.ops.replays.desk import service
    from mdp.runtime.log_format import start_logging
    from telemetry.server import serve_metrics

    settings = settings_of(config, overrides)
    start_logging(settings)
    serve_metrics(settings.telemetry)
    with stopped_by_signals() as stop:
        lead(service(settings), settings.bus.kafka, stop.event, once=once)
