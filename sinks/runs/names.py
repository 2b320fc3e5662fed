"""What runs of a range are called, and where their tables are: each has a schema of its own."""

from __future__ import annotations

import re
from typing import Final

from contracts.errors import MdpError
from sinks.conninfo import in_schema

LIVE: Final = "live"  # in the place of a run's name: the tables of the live flow

_NAME: Final = re.compile("[a-z0-9_]{1,48}")


class RunError(MdpError):
    """A run cannot be had, or not as asked; one line says what to do."""


def schema_of(name: str) -> str:
    """The schema of the run's tables.

    Raises:
        RunError: no run can have this name.
    """
    if not _NAME.fullmatch(name):
        raise RunError(f"{name!r} is no name of a run: take up to 48 small letters, digits and _")
    if name == LIVE:
        raise RunError(f"{LIVE} means the tables of the live flow: no run can be called so")
    return f"run_{name}"


def tables_of(conninfo: str, name: str) -> str:
    """The database that `conninfo` leads to, with the tables of the run in place of the live ones."""
    return in_schema(conninfo, schema_of(name))
