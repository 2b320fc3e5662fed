"""`mdp serve`."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
import os
import stat
from pathlib import Path
from typing import Annotated, Final

import typer

from mdp.cli.options import Config, OfRun, Set, examples, settings_of
from mdp.serve import PORT

TOKEN: Final = "MDP_SERVE_TOKEN"  # noqa: S105 - the name of an environment variable
_SHORTEST_TOKEN: Final = 16

Host = Annotated[str, typer.Option("--host", help="Address to bind to; other than loopback it requires a token.")]
Port = Annotated[int, typer.Option("--port", "-p", min=0, max=65_535, help="0 takes any free port.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", show_default=f"${TOKEN}", help="File with the visitors' token."),
]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog=examples("mdp serve", "mdp serve --run calmer", "mdp serve --host 0.0.0.0 --token-file page.token")
    )(serve)


def serve(
    *,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    token_file: TokenFile = None,
    run: OfRun = None,
    config: Config = None,
    overrides: Set = None,
) -> None:
    """Show bars, signals and counters live in a browser.

    It reads the database, and the metrics of the workers if these can be
    reached, and writes nothing. Ctrl-C ends it.
    """
    settings = settings_of(config, overrides, run=run)
    token = _token(token_file)
    from mdp.serve.server import PageServer

    server = PageServer(settings, host, port, token)
    typer.echo(f"{server.address}  (Ctrl-C ends it)")
    server.serve_until_signal()


def _token(file: Path | None) -> str | None:
    from flows import secrets

    token = _private_line(file) if file else os.environ.get(TOKEN) or secrets.read().get(TOKEN)
    if token is None:
        return None
    if len(token) < _SHORTEST_TOKEN:
        raise typer.BadParameter(f"a token has at least {_SHORTEST_TOKEN} characters", param_hint="--token-file")
    secrets.remember(token)
    return token


def _private_line(file: Path) -> str:
    with file.open(encoding="utf-8") as text:
        if stat.S_IMODE(os.fstat(text.fileno()).st_mode) & 0o077:
            message = f"{file} can be read by others than its owner: run `chmod 600 {file}`"
            raise typer.BadParameter(message, param_hint="--token-file")
        return text.read().strip()
