"""`mdp dlq`: what the pipeline refused."""

from __future__ import annotations

import typer

from mdp.cli import dlq_inspect, dlq_redrive

app = typer.Typer(help="What the pipeline refused: look at it, and send it back.", no_args_is_help=True)

dlq_inspect.register(app)
dlq_redrive.register(app)
