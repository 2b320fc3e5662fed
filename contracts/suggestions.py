"""What somebody may have meant by a word that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` with the known word that is nearest, whatever its case; empty if none is near."""
    by_small_letters = {one.casefold(): one for one in known}
    nearest = difflib.get_close_matches(word.casefold(), by_small_letters, n=1)
    return f"; did you mean {by_small_letters[nearest[0]]}?" if nearest else ""
