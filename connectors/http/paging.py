"""The pages of a query: which parameter asks for the next one."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from connectors.http.section import PagingConfig
from normalize.paths import Path, walk

_FIRST: Final = {"page": 1, "offset": 0}

_decode: Final = msgspec.json.Decoder().decode


class Pages:
    """The progress of one query, and of those that follow it: one by time goes on where the last one has ended."""

    def __init__(self, config: PagingConfig) -> None:
        self._config: Final = config
        self._items = None if config.items is None else Path.parse(config.items).steps
        self._path = None if config.path is None else Path.parse(config.path).steps
        self._value: Any = self._first
        self._count = 0

    @property
    def params(self) -> dict[str, str]:
        """What the query has beside its own parameters."""
        return {} if self._value is None else {self._config.param: str(self._value)}

    def begin(self) -> None:
        """Begins a query."""
        self._count = 0
        if self._config.by != "time":
            self._value = self._first

    def advance(self, body: bytes) -> bool:
        """Takes a response in; returns whether another page is to be asked for."""
        self._count += 1
        try:
            following = self._following(_decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False  # the normalizer will refuse it
        if following is None or following == self._value:
            return False
        self._value = following
        return self._count < self._config.most

    @property
    def _first(self) -> int | None:
        given = self._config.first
        return _FIRST.get(self._config.by) if given is None else given

    def _following(self, response: Any) -> Any:
        """What asks for the next page; None after the last."""
        if self._config.by == "cursor":
            return walk(response, self._path or ()) or None
        items = walk(response, self._items or ())
        if not isinstance(items, list) or not items:
            return None
        match self._config.by:
            case "page":
                return self._value + 1
            case "offset":
                return self._value + len(items)
            case _:
                return walk(items[-1], self._path or ())
