"""Paths to values in decoded JSON.

    price            a field
    data.px          a field of a field
    bids[0][1]       a place in a list
    "odd.name".px    a name with signs of its own, as JSON writes it
    ^channel         of the whole message, where a mapping takes it apart (`each`)

What a path does not find is null, like a field that is not there.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import msgspec

from contracts.errors import MdpError

_STEP: Final = re.compile(r'("(?:[^"\\]|\\.)*"|[^.\[\]"^\s]+)|\[(\d{1,6})\]')

Steps = tuple[str | int, ...]


class MappingError(MdpError):
    """A mapping is invalid; one line names it, the key and what is allowed."""


class Path(NamedTuple):
    """Where a value lies.

    Attributes:
        steps: names of fields, and places in lists.
        is_outer: whether it begins at the whole message, not at the part that is being mapped.
    """

    steps: Steps
    is_outer: bool = False

    @classmethod
    def parse(cls, text: str) -> Path:
        """The path that a text stands for.

        Raises:
            MappingError: it stands for none.
        """
        left, steps = text.removeprefix("^"), list[str | int]()
        while left:
            found = _STEP.match(left)
            if found is None:
                raise _no_path(text)
            steps.append(_step(text, found))
            left = left[found.end() :]
            if left.startswith(".") and len(left) > 1 and left[1] != "[":
                left = left[1:]
            elif left and not left.startswith("["):
                raise _no_path(text)
        if not steps:
            raise _no_path(text)
        return cls(tuple(steps), text.startswith("^"))

    def __str__(self) -> str:
        named = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)
        return ("^" if self.is_outer else "") + named.removeprefix(".")


def _step(text: str, found: re.Match[str]) -> str | int:
    name, place = found.groups()
    if name is None:
        return int(place)
    if not name.startswith('"'):
        return str(name)
    try:
        return msgspec.json.decode(name, type=str)
    except msgspec.DecodeError:
        raise _no_path(text) from None


def _no_path(text: str) -> MappingError:
    return MappingError(f"{text[:100]!r} is not a path: write one such as price, data.px or bids[0][1]")


def walk(value: Any, steps: Steps) -> Any:
    """The value at the end of the steps; None if there is none."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
