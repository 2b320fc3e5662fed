"""`mdp validate`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdp.cli.files import MapOption, TimeUnitOption, TypeOption, ZoneOption
from mdp.cli.options import AsJson, Config, Set, examples, known_zone
from mdp.cli.output import print_json, print_table, progress, remark

if TYPE_CHECKING:
    from mdp.ops.validate import Validation


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    shown = examples(
        "mdp validate --file ticks.ndjson",
        "mdp validate --file signals.csv --json",
        "mdp validate --file trades.csv --contract trades/v2",
        "mdp validate --file BTCUSDT-trades-2025-01.zip --map binance-trades",
        "mdp validate --dir golden",
    )
    app.command(epilog=shown)(validate)


def validate(
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="FILE", help="CSV, TSV, NDJSON, JSON, Parquet or Arrow, also .gz, .zst or .zip."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="FOLDER", help="All such files in a folder and its folders.")
    ] = None,
    contract: Annotated[
        str,
        typer.Option(
            "--contract",
            metavar="NAME",
            help="event, signal, bar, envelope, or a message type such as trades/v2; auto: as the first row looks.",
        ),
    ] = "auto",
    map_name: MapOption = None,
    kind: TypeOption = None,
    time_unit: TimeUnitOption = None,
    zone: ZoneOption = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Check messages in files against their contracts, as the pipeline would.

    Prints the number of invalid rows by reason, and where the first of them
    are; the exit code is 1 if there are any.
    """
    from codec.decode import Decoder
    from flows.config_file import load
    from mdp.cli.files import map_of, mapped_files
    from mdp.ops.validate import validate, validate_mapped

    files = _files(file, folder)
    if map_name is not None and contract != "auto":
        raise typer.BadParameter("the map says what the rows are", param_hint="--contract")
    window = load(config, overrides or []).micro_batch
    decoder = Decoder(window.window_ns, window.max_future_ms * 1_000_000)
    asked, known = None if contract == "auto" else contract, known_zone(zone)
    found: dict[Path, Validation] = {}
    for one in files:
        columns = map_of(map_name, kind, [one])
        with progress("rows") as show:

            def on_progress(so_far: Validation, show: Callable[[int], None] = show) -> None:
                show(so_far.rows)

            if columns is None:
                found[one] = validate(one, decoder, asked, on_progress, unit=time_unit, zone=known, remark=remark)
            else:
                mapped = mapped_files([one], columns, time_unit, zone)
                found[one] = validate_mapped(mapped, decoder, on_progress)
        if not as_json:
            _print(one, found[one])
    if as_json:
        every = [{"file": str(one), **_summary(each)} for one, each in found.items()]
        print_json(every if folder is not None else _summary(found[files[0]]))
    raise typer.Exit(1 if any(each.invalid for each in found.values()) else 0)


def _files(file: Path | None, folder: Path | None) -> Sequence[Path]:
    from connectors.files.opening import is_named

    if (file is None) == (folder is None):
        raise typer.BadParameter("name one of them", param_hint="--file or --dir")
    if file is not None:
        return [file]
    assert folder is not None
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and is_named(path)]
    if not found:
        raise typer.BadParameter(f"{folder} holds no files to check", param_hint="--dir")
    return found


def _print(file: Path, found: Validation) -> None:
    rows = [
        (reason, error, finding.count, ", ".join(map(str, finding.first)))
        for (reason, error), finding in found.findings.items()
    ]
    if rows:
        print_table(("reason", "error", "rows", "first lines or rows"), rows)
    typer.echo(f"{file}: {found.rows:,} {_named(found.contract)}, {found.valid:,} valid, {found.invalid:,} invalid")


def _named(contract: str | None) -> str:
    if contract is None:
        return "rows"
    return f"rows of {contract}" if "/" in contract else f"{contract}s"


def _summary(found: Validation) -> dict[str, Any]:
    findings = [
        {"reason": reason, "error": error, "rows": finding.count, "first": finding.first}
        for (reason, error), finding in found.findings.items()
    ]
    counts = {"contract": found.contract, "rows": found.rows, "valid": found.valid, "invalid": found.invalid}
    return {**counts, "findings": findings}
