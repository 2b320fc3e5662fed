"""`mdp stream replay`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mdp.cli.options import AsJson, Config, Set, examples, settings_of, span_of
from mdp.cli.output import print_json, print_table, progress

_EXAMPLES = examples(
    "mdp stream replay --from now-1h --to now",
    "mdp stream replay --from 2025-10-01 --to 2025-10-02 --from-file spy.parquet --to-topic backtest",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(replay)


def replay(
    *,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The first event time, as for stream run.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The end, exclusive.")],
    zone: Annotated[
        str | None,
        typer.Option("--zone", metavar="ZONE", help="Zone of days (default UTC) and times without one, also in files."),
    ] = None,
    to_topic: Annotated[
        str | None, typer.Option("--to-topic", show_default="bus.kafka.replay_topic", help="Where to.")
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file", metavar="FILE", show_default="the events topic", help="A file, as for stream produce."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Send the events of a time range again, into another topic.

    Records of the events topic keep their bytes, headers, partition and order;
    heartbeats come along. To work on the copy, give it a run of its own:
    `mdp stream run --to now --set bus.kafka.topic=mdp.replay --run replayed`.
    """
    from codec.decode import Decoder
    from flows.market_input import market_decoder
    from mdp.cli.files import event_files
    from mdp.ops.replay import Span, replay_file, replay_topic

    settings = settings_of(config, overrides)
    bus, window, span = settings.bus.kafka, settings.micro_batch, Span(*span_of(start, end, zone))
    target = to_topic or bus.replay_topic
    with progress("events") as show:
        if from_file is None:
            decoder = market_decoder(settings)
            done = replay_topic(bus, decoder, span, target, on_progress=lambda so_far: show(so_far.events))
        else:
            done = replay_file(
                event_files([str(from_file)], zone=zone),
                bus,
                Decoder(window.window_ns, window.max_future_ms * 1_000_000),
                span,
                target,
                on_progress=lambda so_far: show(so_far.events),
            )
    if as_json:
        print_json({"topic": target, **asdict(done)})
    else:
        print_table(("replayed", "number"), asdict(done).items(), title=f"to {target}")
