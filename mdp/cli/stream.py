"""`mdp stream`: commands that process events."""

from __future__ import annotations

import typer

from mdp.cli import lateness, message_flows, produce, replay, replay_service, run, tail

app = typer.Typer(help="Events in, and bars, features and signals out; messages to their tables.", no_args_is_help=True)

produce.register(app)
run.register(app)
message_flows.register(app)
tail.register(app)
replay.register(app)
replay_service.register(app)
lateness.register(app)
