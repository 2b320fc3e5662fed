"""The results of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mdp.doctor.site import Site

Level = Literal["ok", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line, and what to do about it.

    Attributes:
        level: `ok`; `note`, worth knowing, but possibly intended; `wrong`; `unknown`: it could not be checked.
    """

    level: Level
    text: str
    remedy: str = ""


Check = Callable[["Site"], Iterator[Finding]]


def ok(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def note(text: str, remedy: str = "") -> Finding:
    """Not optimal, but not wrong."""
    return Finding("note", text, remedy)


def wrong(text: str, remedy: str) -> Finding:
    """Needs action."""
    return Finding("wrong", text, remedy)


def unknown(text: str, remedy: str = "") -> Finding:
    """Could not be checked."""
    return Finding("unknown", text, remedy)


def from_message(message: str) -> Finding:
    """The finding for an error message of this program, whose remedy follows its last semicolon or colon."""
    for separator in ("; ", ": "):
        text, found, remedy = message.rpartition(separator)
        if found:
            return wrong(text, remedy)
    return wrong(message, "see docs/deploying.md")
