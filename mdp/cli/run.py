"""`mdp stream run`, `micro-batch` and `infer`: the dataflows of a market."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.spec import INFER, MARKET, MICRO_BATCH, FlowSpec
from mdp.cli.options import Config, From, Set, To, Zone, examples, parse_window, span_of

UntilEnd = Annotated[
    bool, typer.Option("--until-end", help="Stop at the present end of the topic, and write open windows.")
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="NAME", show_default="named by the time", help="The run that the results of a range go to."
    ),
]
Into = Annotated[
    Literal["live"] | None,
    typer.Option(
        "--into", help="The results of a range go into the live tables: what they lack, or with --overwrite all of it."
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace what is stored: rows that differ; a finished --run; or with --into live all rows of the range.",
    ),
]
ResetState = Annotated[
    bool, typer.Option("--reset-state", help="Discard the saved state, and read the log again; outputs stay.")
]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, max=256, help="Processes on this machine.")]
Process = Annotated[
    int | None,
    typer.Option("--process", min=0, show_default=False, help="Run only this process of --addresses, counted from 0."),
]
Addresses = Annotated[
    str | None,
    typer.Option(
        "--addresses",
        metavar="HOST:PORT,...",
        show_default=False,
        help="Addresses of the processes of a cluster on several machines, in their order.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no status on the terminal.")]
Name = Annotated[str | None, typer.Option("--name", show_default="of the config", help="Name for state and progress.")]
Adapter = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        show_default="as configured",
        help="Only this evaluator: rules, sklearn, an installed one, or none.",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        "--window",
        parser=parse_window,
        metavar="DURATION",
        show_default="of the config",
        help="Such as 500ms, 2s or 1m.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the group."""
    app.command(
        epilog=examples(
            "mdp stream run",
            "mdp stream run --until-end --workers 2",
            "mdp stream run --from 2025-10-24T14:00:00Z --to 2025-10-24T15:00:00Z --run calmer --adapter rules",
            "mdp stream run --from 2025-10-24 --to 2025-10-25 --into live --overwrite",
        )
    )(run)
    app.command("micro-batch", epilog=examples("mdp stream micro-batch --window 2s"))(micro_batch)
    app.command(epilog=examples("mdp stream infer --adapter sklearn"))(infer)


def run(
    *,
    config: Config = None,
    overrides: Set = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    until_end: UntilEnd = False,
    workers: Workers = 1,
    process: Process = None,
    addresses: Addresses = None,
    adapter: Adapter = None,
    run_name: RunName = None,
    into: Into = None,
    overwrite: Overwrite = False,
    name: Name = None,
    reset_state: ResetState = False,
    quiet: Quiet = False,
) -> None:
    """Process events to bars, features and signals, in the database and on the signals topic.

    It runs until Ctrl-C, and continues where it stopped. With --from or --to
    it writes only the windows in between, and reads the log from early enough
    to know them. Such a range, if it ends, goes to tables of a run of its own,
    which `mdp runs` lists and compares.
    """
    target = _target(run_name, into, overwrite=overwrite)
    changes = [*run_changes(span_of(start, end, zone), until_end=until_end, name=name), *target]
    start_flow(
        MARKET,
        config,
        [*(overrides or []), *changes],
        (workers, process, addresses),
        adapter,
        reset_state=reset_state,
        quiet=quiet,
    )


def micro_batch(
    *,
    config: Config = None,
    overrides: Set = None,
    window: Window = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    until_end: UntilEnd = False,
    workers: Workers = 1,
    process: Process = None,
    addresses: Addresses = None,
    run_name: RunName = None,
    into: Into = None,
    overwrite: Overwrite = False,
    name: Name = None,
    reset_state: ResetState = False,
    quiet: Quiet = False,
) -> None:
    """Process events to bars, in the database and on the bars topic: the first half of `run`."""
    target = _target(run_name, into, overwrite=overwrite)
    changes = [*run_changes(span_of(start, end, zone), until_end=until_end, name=name), *target]
    if window is not None:
        changes.append(f"micro_batch.window_ms={window}")
    start_flow(
        MICRO_BATCH,
        config,
        [*(overrides or []), *changes],
        (workers, process, addresses),
        None,
        reset_state=reset_state,
        quiet=quiet,
    )


def infer(
    *,
    config: Config = None,
    overrides: Set = None,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    until_end: UntilEnd = False,
    workers: Workers = 1,
    process: Process = None,
    addresses: Addresses = None,
    adapter: Adapter = None,
    run_name: RunName = None,
    into: Into = None,
    overwrite: Overwrite = False,
    name: Name = None,
    reset_state: ResetState = False,
    quiet: Quiet = False,
) -> None:
    """Process the bars topic to features and signals: the second half of `run`."""
    target = _target(run_name, into, overwrite=overwrite)
    changes = [*run_changes(span_of(start, end, zone), until_end=until_end, name=name), *target]
    start_flow(
        INFER,
        config,
        [*(overrides or []), *changes],
        (workers, process, addresses),
        adapter,
        reset_state=reset_state,
        quiet=quiet,
    )


def run_changes(span: tuple[int | None, int | None], *, until_end: bool, name: str | None) -> list[str]:
    """The overrides for these options."""
    start, end = span
    values = {
        "run.from_ns": start,
        "run.to_ns": end,
        "run.until_end": "true" if until_end else None,
        "name": name,
    }
    return _set(values)


def _target(name: str | None, into: str | None, *, overwrite: bool) -> list[str]:
    """Where the results go. A name stands in quotes: it may look like a number."""
    return _set(
        {
            "run.name": None if name is None else json.dumps(name),
            "run.into": into,
            "run.overwrite": "true" if overwrite else None,
        }
    )


def _set(values: Mapping[str, object]) -> list[str]:
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def start_flow(
    flow: FlowSpec,
    config: Path | None,
    overrides: list[str],
    processes: tuple[int, int | None, str | None],
    adapter: str | None,
    *,
    reset_state: bool,
    quiet: bool,
) -> None:
    """Runs a flow to its end; `processes` are --workers, --process and --addresses."""
    workers, process, addresses = processes
    changes = overrides if adapter is None else [*overrides, *_adapter_changes(config, overrides, adapter)]
    if process is None and addresses is None:
        from mdp.runtime import worker

        raise typer.Exit(worker.run(flow, config, changes, workers, reset_state=reset_state, quiet=quiet))
    if process is None or addresses is None or workers > 1:
        raise typer.BadParameter("--process and --addresses go together, and without --workers")
    from mdp.runtime import cluster_process, distributed

    places = distributed.addresses_of(addresses)
    cluster_process.end_after(
        lambda: distributed.run(flow, config, changes, process, places, reset_state=reset_state, quiet=quiet)
    )


def _adapter_changes(config: Path | None, overrides: list[str], adapter: str) -> list[str]:
    """Overrides that enable only this adapter, for every worker process."""
    from flows.config_file import load
    from inference.config import select_adapter

    adapters = select_adapter(load(config, overrides).inference, adapter).adapters
    enabled = {"sklearn": adapters.sklearn.enabled, **{name: one.enabled for name, one in adapters.installed.items()}}
    if adapters.rules is not None:
        enabled["rules"] = adapters.rules.enabled
    return [f"inference.adapters.{name}.enabled={str(value).lower()}" for name, value in enabled.items()]
