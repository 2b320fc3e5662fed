"""`mdp bench`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from mdp.cli.options import AsJson, Config, Set, examples
from mdp.cli.output import print_json, print_table, remark

if TYPE_CHECKING:
    from mdp.cost.process import Account
    from mdp.cost.run import Report

Count = Annotated[int, typer.Option("--count", min=1_000, help="Events of the log that is processed at full speed.")]
Rate = Annotated[
    float, typer.Option("--rate", min=1, max=1_000_000, help="Events per second of event time of the market.")
]
Symbols = Annotated[int, typer.Option("--symbols", min=1, max=100_000, help="Number of symbols.")]
Partitions = Annotated[int, typer.Option("--partitions", min=1, max=1_000, help="Partitions of the events topic.")]
Encoding = Annotated[
    Literal["json", "msgpack", "arrow"], typer.Option("--encoding", help="Arrow puts up to 1,000 events in a record.")
]
Seconds = Annotated[float, typer.Option("--seconds", min=0, max=3_600, help="Duration of the live market; 0 skips it.")]

_BAR: Final = 30  # characters for a share of 1
_TAIL_SECONDS: Final = 0.5  # after the last event was sent, in which a worker that keeps up finishes
_QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_STEPS: Final = {
    "read": "fetch from Kafka and decode",
    "windows": "dedupe, bars",
    "rolling": "features",
    "inference": "signals",
    "timescale": "write to the database",
    "kafka": "write to the output topics",
    "other": "Kafka's threads, Bytewax, snapshots",
}
_STAGES: Final = {
    "steps": "all steps done",
    "timescale": "its bars committed in the database",
    "kafka": "its signals acknowledged by Kafka",
}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog=examples(
            "mdp bench",
            "mdp bench --symbols 5000 --rate 50000 --count 2000000",
            "mdp bench --config mine.yaml --set micro_batch.window_ms=1000 --json",
        )
    )(bench)


def bench(
    *,
    count: Count = 1_000_000,
    rate: Rate = 10_000,
    symbols: Symbols = 500,
    partitions: Partitions = 4,
    encoding: Encoding = "json",
    seconds: Seconds = 8,
    config: Config = None,
    overrides: Set = None,
    as_json: AsJson = False,
) -> None:
    """Measure your configuration on this machine, with a synthetic market.

    Windows, features and rules are those of the config; duplicates and
    disorder are those of its producers.synthetic. First a worker processes a
    log of --count events at full speed, which measures the rate, the CPU
    time and its share per step. Then the market runs live, at --rate, which
    measures the latency.

    The benchmark uses its own topics, database and folder in the local
    stack, whatever brokers and database the config names, and removes them
    at the end. CPU seconds are more meaningful than rates: they depend less
    on other load of the machine.
    """
    from mdp.cost.run import Options, run

    options = Options(
        count=count, rate=rate, symbols=symbols, partitions=partitions, encoding=encoding, seconds=seconds
    )
    report = run(config, overrides or [], options, remark)
    if as_json:
        print_json(_found(report, rate))
    else:
        _print(report, rate)


def _found(report: Report, rate: float) -> dict[str, Any]:
    return {
        "start": {"seconds": report.start[0], "cpu_s": report.start[1]},
        **_usage(report.log),
        "steps": {step: {"cpu_s_per_m": cost, "share": share} for step, cost, share in _steps(report.log)},
        "live": None if report.live is None else {"asked_events_per_s": rate, **_usage(report.live), **_waits(report)},
    }


def _usage(used: Account) -> dict[str, Any]:
    return {
        "events": int(used.events),
        "seconds": used.at,
        "events_per_s": used.events / used.at,
        "cpu_s_per_m": used.cpu_per_million,
        "peak_mb": used.peak_mb,
    }


def _steps(used: Account) -> list[tuple[str, float, float]]:
    """Each step with its CPU seconds per million events, and its share of the total."""
    known = {step: seconds for step in _STEPS if (seconds := used.steps.get(step)) is not None}
    costs = known | {"other": max(0.0, used.cpu - sum(known.values()))}
    return [(step, seconds / used.events * 1e6, seconds / used.cpu) for step, seconds in costs.items()]


def _waits(report: Report) -> dict[str, Any]:
    """Milliseconds by stage, and the number of batches."""
    from mdp.cost.quantiles import quantile

    if report.live is None:
        return {}
    found = {}
    for stage in _STAGES:
        buckets = report.live.latency.get(stage, {})
        values = {name: quantile(buckets, share) for name, share in _QUANTILES.items()}
        in_ms = {name: None if value is None else value * 1e3 for name, value in values.items()}
        found[stage] = {"batches": int(max(buckets.values(), default=0)), **in_ms}
    return {"latency_ms": found}


def _print(report: Report, rate: float) -> None:
    used = report.log
    typer.echo(f"Start            {report.start[0]:.1f} s until the first fetch")
    typer.echo(f"Rate             {used.events / used.at:,.0f} events/s: {used.events:,.0f} events in {used.at:.1f} s")
    typer.echo(f"CPU              {used.cpu_per_million:.2f} s per million events")
    typer.echo(f"Memory           {used.peak_mb:,.0f} MB resident at most\n")
    rows = [
        (step, _STEPS[step], round(cost, 3), f"{share:.0%}", "█" * round(share * _BAR))
        for step, cost, share in _steps(used)
    ]
    print_table(("step", "what it does", "CPU-s per 1M", "share", ""), rows)
    if report.live is not None:
        _print_live(report.live, _waits(report)["latency_ms"], rate)


def _print_live(live: Account, waits: dict[str, dict[str, Any]], rate: float) -> None:
    reached = live.events / live.at
    typer.echo(f"\nLive             {reached:,.0f} events/s, {live.cpu / live.at:.0%} of a core", nl=False)
    behind = live.at - live.events / rate > _TAIL_SECONDS
    typer.echo(f": it does not keep up with {rate:,.0f}" if behind else "")
    rows = [
        (_STAGES[stage], values["batches"], *(_rounded(values[name]) for name in _QUANTILES))
        for stage, values in waits.items()
        if values["batches"]
    ]
    print_table(("ms from the fetch of a batch to", "batches", *_QUANTILES), rows)
    typer.echo("Bars and signals are those of batches that closed windows. Not included: the time that an event takes")
    typer.echo("to the worker, and the time that a window waits for late events (micro_batch.allow_late_ms).")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
