"""What a check says."""

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
        level: `ok`; `note`, which is worth knowing and may be meant so; `wrong`; `unknown`: it could not be checked.
    """

    level: Level
    text: str
    remedy: str = ""


Check = Callable[["Site"], Iterator[Finding]]


def ok(text: str) -> Finding:
    """All is well."""
    return Finding("ok", text)


def note(text: str, remedy: str = "") -> Finding:
    """Not as it could be, and not wrong."""
    return Finding("note", text, remedy)


def wrong(text: str, remedy: str) -> Finding:
    """Somebody has to do something."""
    return Finding("wrong", text, remedy)


def unknown(text: str, remedy: str = "") -> Finding:
    """It could not be found out."""
    return Finding("unknown", text, remedy)


def from_message(message: str) -> Finding:
    """An error of this program, which says after its last semicolon or colon what to do."""
    for separator in ("; ", ": "):
        text, found, remedy = message.rpartition(separator)
        if found:
            return wrong(text, remedy)
    return wrong(message, "see docs/deploying.md")
