"""`mdp runs`: the runs over ranges of the log, and how their results differ."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from mdp.cli.options import AsJson, Config, Set, examples, settings_of
from mdp.cli.output import Format, print_frame, print_json, print_table, remark

if TYPE_CHECKING:
    from sinks.runs.registry import Run

app = typer.Typer()

_LIMITS: Final[dict[str, int]] = {"table": 50, "csv": 100_000, "json": 100_000}
_TABLES: Final = {"bars": "bars_ohlcv", "features": "features", "signals": "signals"}
_WHAT: Final = {table: what for what, table in _TABLES.items()}

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `mdp runs` lists it.")]
Side = Annotated[str, typer.Argument(metavar="RUN", help="A run, or live: the live tables, in the range of the other.")]


@app.callback(
    invoke_without_command=True, epilog=examples("mdp runs", "mdp runs diff calmer live", "mdp runs drop calmer")
)
def runs(context: typer.Context, as_json: AsJson = False, config: Config = None, overrides: Set = None) -> None:
    """List the runs over ranges of the log, or inspect them."""
    if context.invoked_subcommand is not None:
        return
    from sinks.runs import registry

    found = registry.runs(_url(config, overrides))
    if as_json:
        print_json([_fields(run) for run in found])
        return
    columns = ("name", "flow", "range", "status", "begun", "config", "events", "bars", "features", "signals")
    print_table(columns, map(_row, found))
    if not found:
        remark("no runs: `mdp stream run --from TIME --to TIME` makes one")


@app.command(epilog=examples("mdp runs show calmer"))
def show(name: Name, as_json: AsJson = False, config: Config = None, overrides: Set = None) -> None:
    """Show the range of a run, what it wrote, and its config."""
    from sinks.runs import registry

    run = registry.find(_url(config, overrides), name)
    fields = _fields(run)
    if as_json:
        print_json(fields)
        return
    counts = fields.pop("counts")
    settings = fields.pop("config")
    print_table(("run", name), [*fields.items(), *counts.items()])
    import yaml

    typer.echo(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).rstrip())


@app.command(epilog=examples("mdp runs diff calmer live", "mdp runs diff calmer wilder --rows signals -f csv"))
def diff(
    a: Side,
    b: Side,
    *,
    rows: Annotated[
        Literal["bars", "features", "signals"] | None,
        typer.Option("--rows", help="Print the rows of this table that differ, as each run has them."),
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="Of --rows: csv and json for other programs.")
    ] = "table",
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, show_default="50 for a table, else 100,000", help="Of --rows.")
    ] = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Compare two runs, or a run with the live tables: what only one has, and what differs.

    Rows are compared by value where both ranges lie. The exit code is 1 if
    anything differs, and 0 if nothing does.
    """
    from mdp.ops.runs import compared
    from sinks.runs import diff as runs_diff

    url = _url(config, overrides)
    sides, tables = compared(url, a, b)
    if rows is not None:
        found = runs_diff.different_rows(url, *sides, _TABLES[rows], limit or _LIMITS[form])
        print_frame(found, form)
        raise typer.Exit(int(found.height > 0))
    differences = runs_diff.differences(url, *sides, tables)
    if as_json:
        print_json([{**one._asdict(), "table": _WHAT[one.table]} for one in differences])
    else:
        columns = ("what", f"only in {a}", f"only in {b}", "changed", "same")
        print_table(columns, [(_label(*one[:2]), *one[2:]) for one in differences], title=str(sides[0].part.span))
        for name, apart in zip((a, b), runs_diff.features_apart(url, *sides), strict=True):
            if apart and "features" in tables:
                remark(f"only {name} has the features {', '.join(apart)}, which are not compared")
    raise typer.Exit(int(not all(one.is_none for one in differences)))


@app.command(epilog=examples("mdp runs drop calmer", "mdp runs drop calmer wilder --yes"))
def drop(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="As `mdp runs` lists them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Drop runs and everything they wrote."""
    from sinks.runs import registry

    url = _url(config, overrides)
    for run in [registry.find(url, name) for name in names]:
        if not yes and not _agreed(run):
            continue
        with registry.reserved(url, run.name):
            registry.drop(url, run.name)
        typer.echo(f"dropped {run.name}")


def _agreed(run: Run) -> bool:
    if not sys.stdin.isatty():
        raise typer.BadParameter("needed where there is no terminal to ask on", param_hint="--yes")
    try:
        return typer.confirm(f"Drop {run.name}, {run.status}, {run.span}?")
    except typer.Abort:
        raise KeyboardInterrupt from None


def _url(config: Path | None, overrides: list[str] | None) -> str:
    return settings_of(config, overrides).store.url.get_secret_value()


def _label(table: str, name: str | None) -> str:
    return _WHAT[table] if name is None else f"{_WHAT[table]} {name}"


def _row(run: Run) -> tuple[object, ...]:
    begun = "" if run.started_at is None else f"{run.started_at:%Y-%m-%d %H:%M:%S}"
    counts = run.counts
    signals = sum(counts["signals"].values()) if "signals" in counts else None
    rows = (counts.get("events"), counts.get("bars"), counts.get("features"), signals)
    return run.name, run.flow, str(run.span), run.status, begun, run.fingerprint, *rows


def _fields(run: Run) -> dict[str, Any]:
    """The fields for JSON."""
    start, end = run.span
    return {
        "name": run.name,
        "status": run.status,
        "flow": run.flow,
        "topic": run.topic,
        "interval": run.interval,
        "from": start and start.isoformat(),
        "to": end and end.isoformat(),
        "started_at": run.started_at and run.started_at.isoformat(),
        "finished_at": run.finished_at and run.finished_at.isoformat(),
        "version": run.version,
        "fingerprint": run.fingerprint,
        "error": run.error,
        "counts": dict(run.counts),
        "config": dict(run.config),
    }
