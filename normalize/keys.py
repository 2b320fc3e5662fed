"""By what the messages of a type are in order, and what they are about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from contracts.domain_keys import KEYS, OPTIONAL, SYMBOL_AND_VENUE, partition_key
from contracts.message import MessageType

SYMBOL: Final = "symbol"

_BY_SYMBOL: Final = "trades"  # a domain whose key is symbol and venue
_SUBJECTS: Final = (SYMBOL, "ticker")  # what a message is about, if its type says so: the first of these
_NAMES: Final = re.compile(r"\{(\w+)\}")


class Keys:
    """The keys of messages of one type.

    A type of a domain that is not listed is in order by its symbol and venue; one without a symbol, or without a field
    that the key of its domain is made of, by the id of each message.
    """

    def __init__(self, kind: MessageType) -> None:
        fields = {field.name: field for field in kind.fields}
        self._subject = next((attrgetter(name) for name in _SUBJECTS if name in fields), None)
        self._has_symbol = SYMBOL in fields
        self._venue = attrgetter("venue") if "venue" in fields else None
        domain = kind.name.partition("/")[0]
        if domain not in KEYS and self._has_symbol:
            domain = _BY_SYMBOL
        needed = set(_NAMES.findall("".join(KEYS.get(domain, ())))) - OPTIONAL
        has_all = bool(needed) and all(name in fields and fields[name].required for name in needed)
        self._domain = domain if has_all else None
        self._is_symbol_and_venue = has_all and KEYS[domain] == (SYMBOL_AND_VENUE,)
        self._needed = sorted(needed)

    def subjects(self, messages: Sequence[Any]) -> list[str]:
        """What each message is about; empty where its type, or the message, does not say it."""
        if self._subject is None:
            return [""] * len(messages)
        return [subject or "" for subject in map(self._subject, messages)]

    def partition_keys(self, messages: Sequence[Any], ids: Sequence[str]) -> list[str]:
        """The partition key of each message (`contracts.domain_keys`)."""
        if self._domain is None:
            return list(ids)
        if not self._is_symbol_and_venue:
            names = self._needed
            return [partition_key(self._domain, {name: getattr(one, name) for name in names}) for one in messages]
        venues = map(self._venue, messages) if self._venue else [None] * len(messages)
        return list(map(_symbol_and_venue, map(attrgetter(SYMBOL), messages), venues))

    def record_keys(self, subjects: list[str], partition_keys: list[str]) -> list[str]:
        """The key of each record: the symbol, so that all that is about one is in one partition."""
        return subjects if self._has_symbol else partition_keys


@lru_cache(maxsize=65_536)
def _symbol_and_venue(symbol: str, venue: str | None) -> str:
    return partition_key(_BY_SYMBOL, {SYMBOL: symbol, "mic": venue})
