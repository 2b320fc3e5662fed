"""`mdp validate`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mdp.cli.files import TimeUnitOption, ZoneOption
from mdp.cli.options import AsJson, Config, Set, examples, known_zone
from mdp.cli.output import print_json, print_table, progress, remark

if TYPE_CHECKING:
    from mdp.ops.validate import Validation


def register(app: typer.Typer) -> None:
    """Add the command to the application itself."""
    app.command(epilog=examples("mdp validate --file ticks.ndjson", "mdp validate --file signals.csv --json"))(validate)


def validate(
    *,
    file: Annotated[Path, typer.Option("--file", metavar="FILE", help="CSV, TSV, NDJSON, JSON, Parquet or Arrow.")],
    contract: Annotated[
        Literal["auto", "event", "signal"], typer.Option("--contract", help="auto: as the first row looks.")
    ] = "auto",
    time_unit: TimeUnitOption = None,
    zone: ZoneOption = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Check events or signals in a file against the contracts, as the pipeline would.

    Prints how many rows are wrong for which reason, and where the first of
    them are; the exit code is 1 if any is.
    """
    from codec.decode import Decoder
    from flows.config_file import load
    from mdp.ops.validate import validate

    window = load(config, overrides or []).micro_batch
    decoder = Decoder(window.window_ns, window.max_future_ms * 1_000_000)
    with progress("rows") as show:
        found = validate(
            file,
            decoder,
            None if contract == "auto" else contract,
            lambda so_far: show(so_far.rows),
            unit=time_unit,
            zone=known_zone(zone),
            remark=remark,
        )
    _print_json(found) if as_json else _print(file, found)
    raise typer.Exit(1 if found.invalid else 0)


def _print(file: Path, found: Validation) -> None:
    rows = [
        (reason, error, finding.count, ", ".join(map(str, finding.first)))
        for (reason, error), finding in found.findings.items()
    ]
    if rows:
        print_table(("reason", "error", "rows", "first lines or rows"), rows)
    name = f"{found.contract}s" if found.contract else "rows"
    typer.echo(f"{file}: {found.rows:,} {name}, {found.valid:,} valid, {found.invalid:,} invalid")


def _print_json(found: Validation) -> None:
    findings = [
        {"reason": reason, "error": error, "rows": finding.count, "first": finding.first}
        for (reason, error), finding in found.findings.items()
    ]
    counts = {"contract": found.contract, "rows": found.rows, "valid": found.valid, "invalid": found.invalid}
    print_json({**counts, "findings": findings})
