"""Which series there are, and how a text finds some of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sinks.queries.live import Series


class Feed(NamedTuple):
    """The series of one provider that have bars of one length."""

    provider: str
    interval: str


class Directory:
    """All series, in order."""

    def __init__(self, series: Sequence[Series] = ()) -> None:
        counts = Counter(Feed(one.provider, one.interval) for one in series)
        self.feeds = sorted(counts.items())
        self._symbols: dict[Feed, list[str]] = {feed: [] for feed in counts}
        for one in series:
            self._symbols[Feed(one.provider, one.interval)].append(one.symbol)
        self._found: dict[tuple[Feed, str], list[str]] = {}  # most browsers ask the same, several times a second

    @property
    def first_feed(self) -> Feed | None:
        """What is shown to those who have not chosen; None while there are no bars."""
        return max(self.feeds, key=lambda item: item[1])[0] if self.feeds else None

    def search(self, feed: Feed, text: str) -> list[str]:
        """Symbols that hold `text`, in any case; those that begin with it first."""
        if (feed, text) not in self._found:
            self._found[feed, text] = self._search(feed, text.casefold())
        return self._found[feed, text]

    def _search(self, feed: Feed, wanted: str) -> list[str]:
        found = [symbol for symbol in self._symbols.get(feed, []) if wanted in symbol.casefold()]
        return sorted(found, key=lambda symbol: not symbol.casefold().startswith(wanted))
