"""The names of runs, and the schema that each has for its tables."""

from __future__ import annotations

import re
from typing import Final

from contracts.errors import MdpError
from sinks.conninfo import in_schema

LIVE: Final = "live"  # in place of a run's name: the tables of the live flow

_NAME: Final = re.compile("[a-z0-9_]{1,48}")


class RunError(MdpError):
    """A run does not exist, or cannot be done as requested; one line says what to do."""


def schema_of(name: str) -> str:
    """The schema of the run's tables.

    Raises:
        RunError: the name is invalid.
    """
    if not _NAME.fullmatch(name):
        raise RunError(f"{name!r} is not a valid name of a run: use up to 48 lowercase letters, digits and _")
    if name == LIVE:
        raise RunError(f"{LIVE} means the tables of the live flow: choose another name")
    return f"run_{name}"


def tables_of(conninfo: str, name: str) -> str:
    """The same database, with the tables of the run in place of the live ones."""
    return in_schema(conninfo, schema_of(name))
