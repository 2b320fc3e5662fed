"""What a cluster and its fork server tell each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """An order: to start the processes of a cluster, one for each of the addresses at which they find each other."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """An order: to send a signal to all processes that run."""

    signal: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A report: a process has ended with this exit code, or of a signal, whose number is then negative."""

    process: int
    code: int
