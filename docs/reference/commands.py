"""The text of docs/cli.md, from the command line itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Final, Literal, get_args, get_origin

import typer.main
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from docs.reference.markdown import choice, table
from mdp.cli import app

_Command = TyperCommand | TyperGroup
_OPTION_IN_TEXT: Final = re.compile(r"`[^`]*`|(?<![\w-])--[a-z][a-z-]*")
_TYPES: Final = {int: "integer", float: "number", str: "text"}


def commands() -> str:
    """Every command in the order of `--help`, with description, examples and options, after a list of them."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    found = [one for name, command in root.commands.items() for one in _listed(f"mdp {name}", command)]
    overview = table(("Command", "What it does"), [_in_a_line(path, command) for path, command in found])
    parts = [part for name, command in root.commands.items() for part in _sections(f"mdp {name}", command, level=2)]
    return "\n\n".join([overview, *parts])


def _listed(path: str, command: Any) -> Iterator[tuple[str, _Command]]:
    """The commands by path."""
    if command.hidden:
        return
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    for name, inner in command.commands.items():
        yield from _listed(f"{path} {name}", inner)


def _in_a_line(path: str, command: _Command) -> tuple[str, str]:
    summary = " ".join(_prose(command).partition("\n\n")[0].split())
    return f"[{path}](#{path.replace(' ', '-')})", summary


def _sections(path: str, command: Any, level: int) -> Iterator[str]:
    if command.hidden:
        return
    yield f"{'#' * level} {path}"
    yield _prose(command)
    if not isinstance(command, TyperGroup) or command.invoke_without_command:
        yield from _options(command)
    for name, inner in getattr(command, "commands", {}).items():
        yield from _sections(f"{path} {name}", inner, level + 1)


def _options(command: _Command) -> Iterator[str]:
    """Examples of a command, what it takes, and how."""
    if command.epilog:
        yield _examples(command.epilog)
    arguments = [_argument(one) for one in command.params if isinstance(one, TyperArgument) and not one.hidden]
    if arguments:
        yield table(("Argument", "Takes", "Default", "Meaning"), arguments)
    options = [_option(one) for one in command.params if isinstance(one, TyperOption) and not one.hidden]
    if options:
        yield table(("Option", "Takes", "Default", "Meaning"), options)


def _prose(command: _Command) -> str:
    return _code(inspect.cleandoc(command.help or ""))


def _code(text: str) -> str:
    """Help as Markdown, with the options that it names as code."""
    return _OPTION_IN_TEXT.sub(lambda found: found[0] if found[0].startswith("`") else f"`{found[0]}`", text)


def _examples(epilog: str) -> str:
    lines = [Text.from_markup(line).plain for line in epilog.splitlines()]
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return "\n".join(["```sh", *commands, "```"])


def _option(option: TyperOption) -> tuple[str, str, str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    return names, _takes(option), _default(option), _code(option.help or "")


def _argument(argument: TyperArgument) -> tuple[str, str, str, str]:
    return f"`{argument.metavar or argument.name}`", _takes(argument), _default(argument), _code(argument.help or "")


def _takes(one: TyperOption | TyperArgument) -> str:
    if isinstance(one, TyperOption) and one.is_flag:
        return ""
    if isinstance(one, TyperOption) and one.metavar:
        return f"`{one.metavar}`"
    annotation: Any = one.type_descriptor.annotation
    if get_origin(annotation) is list:
        (annotation,) = get_args(annotation)
    if get_origin(annotation) is Literal:
        return choice([f"`{value}`" for value in get_args(annotation)])
    return _TYPES.get(annotation, one.bare_type()) + _bounds(one)


def _bounds(one: TyperOption | TyperArgument) -> str:
    if one.min is not None and one.max is not None:
        return f", {one.min:,} to {one.max:,}"
    if one.min is not None:
        return f", at least {one.min:,}"
    return "" if one.max is None else f", at most {one.max:,}"


def _default(one: TyperOption | TyperArgument) -> str:
    if isinstance(one.show_default, str):
        return one.show_default
    if one.required:
        return "required"
    if one.default is None or (isinstance(one, TyperOption) and one.is_flag) or not one.show_default:
        return ""
    return f"`{one.default}`"
