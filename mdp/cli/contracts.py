"""`mdp contracts`: the types of messages."""

from __future__ import annotations

# ruff: noqa: PLC0415 - help and completion must not wait for Polars and Kafka: they are imported where they are used
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdp.cli.options import AsJson, examples
from mdp.cli.output import print_json, print_table

if TYPE_CHECKING:
    from contracts.message import MessageType

app = typer.Typer(help="Types of messages: what there is, what they hold, and what was released.", no_args_is_help=True)


@app.command("list", epilog=examples("mdp contracts list"))
def list_types(*, as_json: AsJson = False) -> None:
    """List the types of messages, with those of installed packages."""
    from contracts.registry import message_types

    columns = ("type", "version", "event_type", "table", "schema_ref")
    rows = [
        (name, kind.version, kind.event_type, kind.table, kind.schema_ref) for name, kind in message_types().items()
    ]
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        print_table(columns, rows)


@app.command(epilog=examples("mdp contracts show trades/v2", "mdp contracts show trades/v2 --json > trades-v2.json"))
def show(
    name: Annotated[
        str, typer.Argument(metavar="TYPE", help="Such as trades/v2, or utp://schemas/trades/v2.", show_default=False)
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON Schema.")] = False,
) -> None:
    """Show what a type of message holds, where it goes, and an example."""
    from contracts.json_schema import json_schema, text_of
    from contracts.registry import message_type

    kind = message_type(name)
    if as_json:
        typer.echo(text_of(json_schema(kind)), nl=False)
        return
    typer.echo(f"{kind.id}, version {kind.version}: {kind.description}\n")
    print_table(("field", "type", "", "unit", "meaning"), _fields(kind))
    for line in _places(kind):
        typer.echo(line)
    typer.echo("\nExample:")
    print_json(dict(kind.examples[0]))


@app.command(epilog=examples("mdp contracts check"))
def check(
    *,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="FOLDER", help="Released schemas, as `show --json` prints them; else the project's."
        ),
    ] = None,
) -> None:
    """Compare the types with the schemas that were released last.

    Within a major version fields may be added, as long as nobody has to
    send them. What breaks those who send or read is told in a line each,
    and the exit code is 2.
    """
    from contracts.registry import message_types
    from contracts.schema_files import RELEASED, broken, read_released

    released = read_released(against or RELEASED)
    lines = list(broken(released, message_types().values()))
    for line in lines:
        typer.echo(f"error: {line}", err=True)
    if lines:
        raise typer.Exit(2)
    typer.echo(f"{len(released)} released schemas hold")


def _fields(kind: MessageType) -> Iterator[tuple[str, str, str, str, str]]:
    for field in kind.fields:
        yield (field.name, field.type_text, "required" if field.required else "", field.unit, field.description)
        if field.kind == "struct":
            for part in field.parts:
                need = "required" if part.required else ""
                yield (f"{field.name}.{part.name}", part.type_text, need, part.unit, part.description)


def _places(kind: MessageType) -> Iterator[str]:
    from contracts.columns import table_columns
    from contracts.envelope import stored_columns

    topic = kind.topic("<env>", "<realm>")
    if topic is not None:
        yield f"Topic: {topic}"
    if kind.table is not None:
        columns = table_columns(kind.struct) if kind.event_type is None else stored_columns(kind)
        yield f"Table: {kind.table} ({', '.join(f'{column.name} {column.type}' for column in columns)})"
