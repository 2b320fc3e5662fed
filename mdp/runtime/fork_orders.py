"""The messages between a cluster and its fork server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """An order to start the processes of a cluster, one for each of their addresses."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """An order to send a signal to all running processes."""

    signal: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A report that a process has ended with this exit code; the negative number of a signal if one killed it."""

    process: int
    code: int
