"""`mdp dlq`: the dead letter queue."""

from __future__ import annotations

import typer

from mdp.cli import dlq_auto, dlq_inspect, dlq_redrive

app = typer.Typer(help="The dead letter queue: inspect refused records, and send them back.", no_args_is_help=True)

dlq_inspect.register(app)
dlq_redrive.register(app)
dlq_auto.register(app)
