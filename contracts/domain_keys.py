"""Which messages are in order: the partition key of each domain, from fields of the message.

The one table of it. A key shards and orders, and says nothing else: two that come out the same are in order with each
other, and that is all. What tells messages apart is `dedupe_key`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SYMBOL_AND_VENUE: Final = "{symbol}.{mic}"

# Parts are left out, with what separates them, where a message does not say them: not every feed knows a venue.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "bars": ("{mic}.{symbol}",),
    "ticks": (SYMBOL_AND_VENUE,),
    "trades": (SYMBOL_AND_VENUE,),
    "quotes": (SYMBOL_AND_VENUE,),
    "orderbook": (SYMBOL_AND_VENUE,),
    "gex": ("{symbol}",),
    "risk": ("{symbol}",),
    "news": ("{id}",),
    "calendar": ("{id}",),
    "fx": ("{base}.{quote}",),
    "fundamentals": (SYMBOL_AND_VENUE, "{period_end}", "{source}"),
    "universe": ("{universe_id}",),
    "signals": ("{model_id}", SYMBOL_AND_VENUE, "{horizon}"),
    "orders": ("{client_order_id}",),
    "fills": ("{account_id}", "{client_order_id}"),
    "positions": ("{account_id}", SYMBOL_AND_VENUE),
    "metrics": ("{service}", "{metric_name}"),
    "control": ("{domain}", "{subject}"),
}
OPTIONAL: Final = frozenset({"mic", "horizon"})


def partition_key(domain: str, fields: Mapping[str, str | None]) -> str:
    """The key of a message; `fields` may hold more than the domain asks for.

    Raises:
        KeyError: there is no such domain.
        ValueError: the message lacks a field that its key is made of.
    """
    parts = (_part(domain, part, fields) for part in KEYS[domain])
    return "|".join(filter(None, parts))


def _part(domain: str, part: str, fields: Mapping[str, str | None]) -> str:
    names = [name.strip("{}") for name in part.split(".")]
    values = {name: fields.get(name) for name in names}
    missing = [name for name, value in values.items() if not value and name not in OPTIONAL]
    if missing:
        raise ValueError(f"a message of {domain} is ordered by {' and '.join(missing)}, which it does not have")
    return ".".join(filter(None, values.values()))
