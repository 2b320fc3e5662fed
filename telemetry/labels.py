"""Names in the data as values of labels, limited in number so that the number of time series is bounded."""

from __future__ import annotations

import re
from typing import Final

OTHER: Final = "other"
MOST_PROVIDERS: Final = 50
PROVIDER: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}"  # providers' names that may become labels


class Names:
    """The first `most` names that match become labels; all others share the label `other`."""

    def __init__(self, most: int, fitting: str = ".*") -> None:
        self._most, self._fitting = most, re.compile(fitting, re.DOTALL)
        self._known: set[str] = set()

    def label(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) == self._most or not self._fitting.fullmatch(name):
                return OTHER
            self._known.add(name)
        return name


PROVIDERS: Final = Names(MOST_PROVIDERS, PROVIDER)
