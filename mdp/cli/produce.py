"""`mdp stream produce`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from mdp.cli.files import MapOption, TimeUnitOption, TypeOption, ZoneOption
from mdp.cli.options import AsJson, Config, Set, examples, settings_of
from mdp.cli.output import print_json, print_table, progress, remark

if TYPE_CHECKING:
    from flows.settings import Settings
    from mdp.ops.file_events import EventFiles
    from mdp.ops.file_messages import MessageFiles
    from mdp.ops.produce import Load
    from mdp.ops.survey import Survey
    from transports.outgoing import Sent

_MOST_LATE: Final = 0.01

_EXAMPLES = examples(
    "mdp stream produce --provider synthetic --symbols 50 --rate 5000",
    "mdp stream produce --provider synthetic --count 1000000 --duplicates 0.02 --out-of-order 0.05",
    "mdp stream produce --provider file --path ticks.parquet --topic mdp.events",
    "mdp stream produce --provider file --path 'dump/*.csv.gz' --zone America/New_York",
    "mdp stream produce --provider file --path 'BTCUSDT-trades-*.zip' --map binance-trades",
    "mdp stream produce --provider file --path quotes.parquet --map quotes.yaml --type quotes/v2",
)


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command(epilog=_EXAMPLES)(produce)


def produce(
    *,
    provider: Annotated[Literal["synthetic", "file"], typer.Option("--provider", help="Source of the events.")],
    paths: Annotated[
        list[str] | None,
        typer.Option(
            "--path",
            metavar="FILE",
            help="CSV, TSV, NDJSON, JSON, Parquet or Arrow, also .gz, .zst or .zip; or a pattern such as 'dump/*.csv'. "
            "Several files, of one or more --path, are merged by time.",
        ),
    ] = None,
    map_name: MapOption = None,
    kind: TypeOption = None,
    time_unit: TimeUnitOption = None,
    zone: ZoneOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Send a file even if much of it would be late.")] = False,
    symbols: Annotated[int | None, typer.Option("--symbols", min=1, help="Number of symbols of the market.")] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, help="Events per second, sent in real time.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="Number of events, without faults.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", min=0.001, help="Stop after this many seconds.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the random market.")] = None,
    duplicates: Annotated[
        float | None, typer.Option("--duplicates", min=0, max=1, help="Probability that an event is sent twice.")
    ] = None,
    out_of_order: Annotated[
        float | None, typer.Option("--out-of-order", min=0, max=1, help="Probability that an event is delayed.")
    ] = None,
    max_delay: Annotated[
        int | None, typer.Option("--max-delay", min=1, metavar="MS", help="Maximum delay, in milliseconds.")
    ] = None,
    malformed: Annotated[
        float | None,
        typer.Option("--malformed", min=0, max=1, help="Probability of a malformed record per event."),
    ] = None,
    encoding: Annotated[
        Literal["json", "msgpack", "arrow"] | None,
        typer.Option(
            "--encoding",
            show_default="arrow with a map, else json",
            help="Of events; lines of NDJSON are sent unchanged, and envelopes are JSON.",
        ),
    ] = None,
    headers: Annotated[
        bool,
        typer.Option("--headers", help="Give each record the headers of a message, as those of Arrow have anyway."),
    ] = False,
    topic: Annotated[
        str | None,
        typer.Option(
            "--topic", show_default="bus.kafka.topic, or the topic of the type in envelopes", help="Where to."
        ),
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Send events of a synthetic market or of files, and print exactly what was sent.

    The market runs in real time, at --rate or at the rate of the config;
    with --count alone it is sent at full speed, and ends at the present
    time. It begins after the newest event of its provider in the topic;
    events ahead of the clock are sent at their event time. Files have the
    columns of events, or any others with a --map, and are sent at full speed,
    or at --rate, after a survey: how many events of which time, and how many
    of them would be late. Ctrl-C ends it and counts what was sent.
    """
    from mdp.ops.produce import Load, continued, makes_bars, send, stopped_by_signals, survey

    market = {
        "symbols": symbols,
        "seed": seed,
        "duplicates": duplicates,
        "out_of_order": out_of_order,
        "max_delay_ms": max_delay,
        "malformed": malformed,
    }
    _check(provider, paths, map_name, market)
    changes = [f"producers.synthetic.{key}={value}" for key, value in market.items() if value is not None]
    settings = settings_of(config, overrides, *changes)
    files = _files(paths or [], map_name, kind, time_unit, zone)
    form, target = _encoding(files, encoding), topic or _topic(files, settings)
    load = Load(files=files, rate=rate, count=count, seconds=seconds, headers=headers)
    if files is not None:
        is_sure = yes or not makes_bars(settings, load)
        _announce(survey(settings, load, target), target, is_sure=is_sure, quiet=as_json)
    else:
        load = continued(settings, load, target)
        if not as_json:
            _announce_market(settings, load, target)
    with stopped_by_signals() as stop, progress("events", count) as show:
        sent = send(settings, load, target, form, stop=stop.event, on_progress=lambda so_far: show(so_far.total))
    _print_json(target, sent) if as_json else _print(target, sent)
    if stop.signal is not None:
        raise typer.Exit(128 + stop.signal)


def _files(
    paths: list[str],
    map_name: str | None,
    kind: str | None,
    time_unit: Literal["s", "ms", "us", "ns"] | None,
    zone: str | None,
) -> EventFiles | MessageFiles | None:
    from mdp.cli.files import event_files, map_of, mapped_files, matching

    found = matching(paths)
    columns = map_of(map_name, kind, found)
    if columns is not None:
        return mapped_files(found, columns, time_unit, zone)
    return event_files(paths, time_unit, zone) if paths else None


def _topic(files: EventFiles | MessageFiles | None, settings: Settings) -> str:
    from mdp.ops.file_messages import MessageFiles

    return settings.messages.topic_of(files.kind) if isinstance(files, MessageFiles) else settings.bus.kafka.topic


def _encoding(
    files: EventFiles | MessageFiles | None, asked: Literal["json", "msgpack", "arrow"] | None
) -> Literal["json", "msgpack", "arrow"]:
    """That of the option; files with a map hold columns, which Arrow keeps together."""
    from mdp.ops.file_messages import MessageFiles

    if isinstance(files, MessageFiles):
        if asked not in (None, "json"):
            raise typer.BadParameter(f"{files.kind.id} travels in envelopes, which are JSON", param_hint="--encoding")
        return "json"
    return asked or ("json" if files is None or files.columns is None else "arrow")


def _announce(found: Survey, topic: str, *, is_sure: bool, quiet: bool) -> None:
    if not quiet:
        span = "" if found.first_ns is None else f" from {_time(found.first_ns)} to {_time(found.last_ns)}"
        symbols = f"{len(found.symbols):,} symbol{'s' * (len(found.symbols) != 1)}"
        remark(f"{found.rows:,} events of {symbols}{span}")
    for what, number in (("late", found.late), ("rejected, as they lie in the future", found.rejected)):
        if not quiet and number:
            remark(f"{number:,} of them would be {what}")
    if found.late_share > _MOST_LATE and not is_sure:
        raise typer.BadParameter(
            f"{found.late_share:.1%} of the events would be late in {topic}, as newer ones of their provider come "
            f"before them in the files, or are already there. Name all files at once, which merges them by time, "
            f"send them to another --topic, or use --yes",
            param_hint="--path",
        )


def _announce_market(settings: Settings, load: Load, topic: str) -> None:
    from mdp.ops.produce import ahead_seconds

    ahead = ahead_seconds(settings, load)
    if ahead > 1:
        remark(
            f"it continues the market in {topic}, so its last {ahead:,.0f} s are ahead of the clock: they are sent at "
            "their event time; Ctrl-C ends it"
        )


def _check(provider: str, paths: list[str] | None, map_name: str | None, market: dict[str, Any]) -> None:
    if provider == "file":
        if not paths:
            raise typer.BadParameter("name the file that --provider file sends", param_hint="--path")
        given = [name for name, value in market.items() if value is not None]
        if given:
            option = "--" + given[0].removesuffix("_ms").replace("_", "-")
            raise typer.BadParameter("it describes a market: a file is sent as it is", param_hint=option)
    elif paths or map_name:
        raise typer.BadParameter("it is for --provider file", param_hint="--path" if paths else "--map")


def _print(topic: str, sent: Sent) -> None:
    rows: list[tuple[str, object]] = [(label.replace("_", " "), count) for label, count in sent.by_kind.items()]
    print_table(("sent", "events"), [*rows, ("total", sent.total)], title=f"to {topic}")
    if sent.first_src_ts is not None:
        typer.echo(f"event times {_time(sent.first_src_ts)} to {_time(sent.last_src_ts)}")
    if sent.max_disorder_ns:
        typer.echo(f"an event came up to {sent.max_disorder_ns / 1e6:.3f} ms after a newer one")


def _print_json(topic: str, sent: Sent) -> None:
    disorder = sent.max_disorder_ns
    print_json(
        {
            "topic": topic,
            "total": sent.total,
            "good": sent.good,
            "out_of_order": sent.out_of_order,
            "duplicates": sent.duplicates,
            "malformed": sent.malformed,
            "unchecked": sent.unchecked,
            "by_kind": dict(sent.by_kind),
            "first_src_ts": _time(sent.first_src_ts),
            "last_src_ts": _time(sent.last_src_ts),
            "max_disorder_ms": None if disorder is None else disorder / 1e6,
        }
    )


def _time(nanoseconds: int | None) -> str | None:
    import polars as pl

    from contracts.timestamps import format_timestamps

    return None if nanoseconds is None else str(format_timestamps(pl.Series([nanoseconds]))[0])
