"""One-line messages of errors that the user can fix."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

from contracts.errors import MdpError, first_line
from flows.secrets import masked
from telemetry.printable import printable

_LONGEST: Final = 600


def explain(error: BaseException) -> str | None:
    """One line for an error that the user can fix, empty if it is already printed; None for a bug in the program.

    It contains no secrets and no control sequences.
    """
    for cause in causes(error):
        line = _line(cause)
        if line is not None:
            return printable(" ".join(masked(line).split()))[:_LONGEST]
    return None


def one_line(failure: BaseException) -> str:
    """What went wrong at the bottom of a chain of exceptions, in one line."""
    *_, bottom = causes(failure)
    return " ".join(masked(str(bottom)).split()) or type(bottom).__name__


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints the traceback of a bug, without secrets."""
    sys.stderr.write(masked("".join(traceback.format_exception(kind, error, trace))))


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: Bytewax wraps the exceptions of steps."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _line(error: BaseException) -> str | None:
    if isinstance(error, MdpError):
        return error.line
    for module, name, message in _OF_LIBRARIES:
        # An exception of a module that is not imported cannot have been raised.
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name, ())):
            return message(error)
    return None


def _usage(error: Any) -> str:
    """The message; empty if help was printed because of missing arguments."""
    message = str(error.format_message()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{message}; see `{context.command_path} --help`" if message and context is not None else message


def _invalid(error: Any) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _database(error: BaseException) -> str:
    first = first_line(error)
    remedy = "".join(f"; {note}" for note in getattr(error, "__notes__", ()))
    if type(error).__name__ == "UndefinedColumn":
        remedy = "; run `mdp store migrate` first"
    if first.startswith("permission denied"):
        remedy = "; `mdp doctor` says what to grant"
    return f"the database: {first}{remedy}"


def _file(error: Any) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


_OF_LIBRARIES: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("typer", "TyperException", _usage),
    ("pydantic", "ValidationError", _invalid),
    ("confluent_kafka", "KafkaException", lambda error: f"Kafka: {error.args[0].str()}"),
    ("psycopg", "Error", _database),
    ("builtins", "OSError", _file),
)
