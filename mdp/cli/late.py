"""`mdp late`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import typer

from mdp.cli.options import AsJson, Config, From, Set, To, Zone, examples, settings_of, span_of
from mdp.cli.output import print_json, print_table, progress, remark
from telemetry.printable import printable

_SOMETHING_LEFT = 1
_NOTHING_DONE = 2

app = typer.Typer(help="Events that were too late for their bars.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Keep `repair` a command of a group, though it is the only one."""


@app.command(
    epilog=examples("mdp late repair", "mdp late repair --from 2025-10-24T14:00:00Z --to 2025-10-24T15:00:00Z")
)
def repair(
    *,
    start: From = None,
    end: To = None,
    zone: Zone = None,
    as_json: AsJson = False,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Recompute the bars of late events from the log, and mark the events done.

    --from and --to select late events by event time; all late events of their
    windows are included. A live run may continue meanwhile. The exit code is 1
    if some events are skipped because the log no longer holds them, 2 if all
    are.
    """
    from mdp.ops.late_repair import repair

    span = span_of(start, end, zone)
    with progress("late events") as show:
        done = repair(settings_of(config, overrides), *span, on_progress=show)
    counts = {
        "late_events": done.events,
        "windows": done.windows,
        "bars_changed": done.changed,
        "conflicts": done.conflicts,
        "foreign": sum(done.foreign.values()),
        "lost": done.lost,
    }
    if as_json:
        print_json(counts)
    else:
        print_table(("repaired", "number"), counts.items())
    _remark(done.losses, done.foreign, done.conflicts)
    if done.lost:
        raise typer.Exit(_SOMETHING_LEFT if done.events else _NOTHING_DONE)


def _remark(losses: list[str], foreign: dict[str, int], conflicts: int) -> None:
    for line in losses:
        remark(line)
    for flow, count in sorted(foreign.items()):
        remark(f"{count:,} late events of flow {printable(flow)} are skipped: repair them with its own name and window")
    if conflicts:
        remark(f"{conflicts:,} bars are skipped, as another partition had written them")
