"""Durations as written in configs and contracts: 500ms, 2s, 1m, 1h, 1d."""

from __future__ import annotations

import re
from typing import Final

_NANOSECONDS: Final = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
}
_PATTERN: Final = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)")


def parse_duration(text: str) -> int:
    """Nanoseconds of `text`.

    Raises:
        ValueError: `text` is not a positive whole number followed by ms, s, m, h or d.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 2s, 1m or 1h")
    return int(match[1]) * _NANOSECONDS[match[2]]


def format_duration(nanoseconds: int) -> str:
    """The shortest text that `parse_duration` parses to this value: 60 s is `1m`, 90 s is `90s`."""
    for unit, size in _NANOSECONDS.items():
        if nanoseconds >= size and nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    raise ValueError(f"{nanoseconds} ns is not a whole number of milliseconds")
