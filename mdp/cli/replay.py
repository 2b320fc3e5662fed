"""`mdp stream replay`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdp.cli.options import AsJson, Config, Set, examples, settings_of, span_of
from mdp.cli.output import print_json, print_table, progress

if TYPE_CHECKING:
    from flows.settings import Settings

_EXAMPLES = examples(
    "mdp stream replay --from now-1h --to now",
    "mdp stream replay --from 2025-10-01 --to 2025-10-02 --from-file spy.parquet --to-topic backtest",
    "mdp stream replay --request gap.json",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(replay)


def replay(
    *,
    start: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="The first event time, as for stream run.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="The end, exclusive.")] = None,
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
    request: Annotated[
        Path | None,
        typer.Option(
            "--request",
            metavar="FILE",
            help="Ask `mdp stream replay-service` for the replay request in this JSON file.",
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
    A request is only posted to `bus.kafka.control_topic`, where its status
    can be read.
    """
    if request is not None:
        if any(one is not None for one in (start, end, zone, to_topic, from_file)):
            raise typer.BadParameter("the request says what to send, and where to", param_hint="--request")
        _post(settings_of(config, overrides), request, as_json=as_json)
        return
    if start is None or end is None:
        raise typer.BadParameter("say --from and --to, or --request", param_hint="--from")
    from codec.decode import Decoder
    from flows.market_input import market_decoder
    from mdp.cli.files import event_files
    from mdp.ops.replay import replay_file, replay_topic
    from mdp.ops.span import Span

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


def _post(settings: Settings, file: Path, *, as_json: bool) -> None:
    """Post the request in a file."""
    import time

    from contracts.payloads.replay_request import REPLAY_REQUEST_V1
    from mdp.ops.replays.control import post

    try:
        request = REPLAY_REQUEST_V1.decode(file.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"{file} holds no replay request: {error}", param_hint="--request") from None
    bus = settings.bus.kafka
    asked = post(bus, request, time.time_ns())
    if as_json:
        print_json({"topic": bus.control_topic, "request_id": asked.id})
    else:
        print_table(("asked", ""), [("request_id", asked.id)], title=f"on {bus.control_topic}")
