"""`mdp doctor`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.secrets import masked
from mdp.cli.options import AsJson, Config, Set, examples, settings_of
from mdp.cli.output import print_json, stdout
from telemetry.printable import printable

if TYPE_CHECKING:
    from mdp.doctor.examination import Report

_SIGNS: Final = {"ok": ("✓", "green"), "note": ("i", "cyan"), "wrong": ("✗", "bold red"), "unknown": ("?", "yellow")}

Workers = Annotated[
    int,
    typer.Option("--workers", "-w", min=1, max=256, help="Actual or planned number of workers on this machine."),
]
Sample = Annotated[
    int, typer.Option("--sample", min=1, max=100_000, help="How many of each partition's newest records to check.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=examples("mdp doctor", "mdp doctor --workers 4 --json"))(doctor)


def doctor(
    config: Config = None, overrides: Set = None, workers: Workers = 1, sample: Sample = 1_000, as_json: AsJson = False
) -> None:
    """Check a deployment, and print a remedy for each problem.

    It changes nothing, and takes at most 15 seconds. The exit code is 1 if
    there is a problem.
    """
    from flows.config_file import config_path
    from mdp.doctor.examination import examine
    from mdp.doctor.site import Site

    site = Site(settings_of(config, overrides), config or config_path(), workers, sample)
    with closing(site), _progress() as watch:
        report = examine(site, watch)
    if as_json:
        print_json(
            [
                {"check": name, "level": one.level, "text": masked(one.text), "remedy": masked(one.remedy)}
                for name, one in report
            ]
        )
    else:
        _print(report)
    raise typer.Exit(1 if any(finding.level in ("wrong", "unknown") for _, finding in report) else 0)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Shows the progress on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("Looking") as status:
        yield lambda name: status.update(f"Checked {name}")


def _print(report: Report) -> None:
    from rich.text import Text

    console = stdout()
    widest = max(len(name) for name, _ in report)
    for name, finding in report:
        sign, style = _SIGNS[finding.level]
        indent = " " * (widest + 3)
        lines = _wrapped(finding.text, console.width - len(indent))
        advice = _wrapped(f"→ {finding.remedy}", console.width - len(indent)) if finding.remedy else []
        console.print(
            Text.assemble((sign, style), f" {name:<{widest}} ", f"\n{indent}".join(lines)),
            *(Text(f"{indent}{line}", "bold") for line in advice),
            sep="\n",
            soft_wrap=True,
        )
    console.print(f"\n{_summary(report)}", highlight=False)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(printable(masked(text)), max(width, 20), break_on_hyphens=False)


def _summary(report: Report) -> str:
    wrong, left = (sum(finding.level == level for _, finding in report) for level in ("wrong", "unknown"))
    said = "nothing is wrong" if not wrong else "1 thing is wrong" if wrong == 1 else f"{wrong} things are wrong"
    return f"{said}, {left} could not be checked" if left else said
