"""`mdp init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdp.cli.options import examples
from mdp.cli.output import remark, stdout


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=examples("mdp init my-project && cd my-project && pip install --no-deps -e ."))(init)


def init(
    folder: Annotated[
        Path, typer.Argument(help="The folder to write; its last part names the project.", show_default=False)
    ],
) -> None:
    """Write a new project: configs, rules, topics, an evaluator with a test, and a compose file.

    Nothing that exists is overwritten.
    """
    from mdp.init.project import create  # noqa: PLC0415 - help and completion must not wait for it

    for path in create(folder):
        remark(f"{folder / path}")
    stdout().print(f"Next: [bold]cd {folder}[/bold], and follow its README.md", highlight=False)
