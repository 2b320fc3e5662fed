"""The command line, `mdp`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from mdp.cli import (
    bench,
    connect,
    connect_guess,
    contracts,
    demo,
    dlq,
    doctor,
    gaps,
    init,
    late,
    psql,
    runs,
    serve,
    stack,
    store,
    stream,
    topics,
    validate,
)
from mdp.cli.options import examples
from mdp.runtime.errors import explain, print_traceback

_FAILED = 2
_INTERRUPTED = 130

app = typer.Typer(
    name="mdp",
    help="Market data pipeline: Kafka ticks in; exact event-time bars, rolling features and signals out.",
    epilog=examples(
        "mdp up && mdp topics apply && mdp store migrate",
        "mdp stream produce --provider synthetic --rate 1000",
        "mdp stream run",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"mdp {version('mdp')}")
        raise typer.Exit


_Version = Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")]


@app.callback()
def _options(_: _Version = False) -> None:
    """The options of `mdp` before a command."""


demo.register(app)
init.register(app)
serve.register(app)
stack.register(app)
psql.register(app)
app.add_typer(topics.app, name="topics")
app.add_typer(store.app, name="store")
app.add_typer(stream.app, name="stream")
connect_guess.register(connect.app)
app.add_typer(connect.app, name="connect")
app.add_typer(runs.app, name="runs")
app.add_typer(contracts.app, name="contracts")
app.add_typer(dlq.app, name="dlq")
app.add_typer(late.app, name="late")
gaps.register(app)
validate.register(app)
doctor.register(app)
bench.register(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 something to look at, 2 an error of one line, 3 nothing there, 130 interrupted.

    In Python's development mode (-X dev) errors keep their tracebacks.
    """
    try:
        command = typer.main.get_command(app)
        code = command.main(args=arguments, prog_name="mdp", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        line = explain(error)
        if line is None or sys.flags.dev_mode:
            sys.excepthook = print_traceback
            raise
        if line:
            typer.echo(f"error: {line}", err=True)
        code = _FAILED
    except KeyboardInterrupt:
        code = _INTERRUPTED
    sys.exit(code if isinstance(code, int) else 0)
