"""Suggestions for unknown words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the closest known word, ignoring case; empty if none is close."""
    by_small_letters = {one.casefold(): one for one in known}
    nearest = difflib.get_close_matches(word.casefold(), by_small_letters, n=1)
    return f"; did you mean {by_small_letters[nearest[0]]}?" if nearest else ""
