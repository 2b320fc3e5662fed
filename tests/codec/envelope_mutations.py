"""Envelopes as a careless or hostile producer may send them, seeded."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from contracts.envelope import checksum
from tests.codec.envelope_records import ENVELOPE, HEARTBEAT, OF_QUOTES, QUOTE, TRADE
from tests.codec.mutations import VALUES, damaged, junk
from tests.codec.stored_records import NOW_MS, Stored

CHOICES: list[Any] = [
    *VALUES,
    *("1.0", "trades.tick", "quotes.tick", "news.item", "a.b", "utp://schemas/trades/v2", "utp://schemas/quotes/v2"),
    *("utp://schemas/news/v1", "utp://schemas/none/v1", "buy", "sell", f"sha256:{'0' * 64}", TRADE, QUOTE),
]
NAMES = [*ENVELOPE, "checksum", "unknown", "", "Payload"]
PAYLOAD_NAMES = [*TRADE, *QUOTE, "mid", "group", "tick_type", "unknown", ""]

Pairs = list[tuple[str, Any]]


def as_envelope(chance: random.Random) -> bytes:
    """An envelope with some fields changed, added, twice or missing, in any order."""
    base = chance.choice([ENVELOPE, ENVELOPE, ENVELOPE | OF_QUOTES, HEARTBEAT])
    payload = _text(chance, _mutated(chance, base["payload"], PAYLOAD_NAMES))
    pairs = _mutated(chance, base, NAMES)
    if chance.random() < 0.3:
        pairs.append(("checksum", checksum(payload.strip().encode("utf-8", "surrogatepass"))))
    mark = "\x01payload"
    marked = [(name, mark if name == "payload" and value is base["payload"] else value) for name, value in pairs]
    whole = _text(chance, marked).replace(json.dumps(mark), payload)
    return whole.encode("utf-8", "surrogatepass")


def _mutated(chance: random.Random, owner: dict[str, Any], names: list[str]) -> Pairs:
    pairs = list(owner.items())
    for _ in range(chance.choice([0, 0, 1, 1, 2])):
        name, what = chance.choice(names), chance.random()
        if what < 0.3:
            pairs = [pair for pair in pairs if pair[0] != name]
        elif what < 0.9:
            pairs = [pair for pair in pairs if pair[0] != name] + [(name, chance.choice(CHOICES))]
        else:  # a key that comes twice
            pairs.append((name, chance.choice(CHOICES)))
    if chance.random() < 0.5:
        chance.shuffle(pairs)
    return pairs


def _text(chance: random.Random, pairs: Pairs) -> str:
    """With or without spaces, and escapes in its texts."""
    is_ascii, space = chance.random() < 0.5, chance.choice(["", " ", "\n\t", "\r "])
    parts = [
        f"{space}{json.dumps(name, ensure_ascii=is_ascii)}{space}:{space}{json.dumps(value, ensure_ascii=is_ascii)}"
        for name, value in pairs
    ]
    return "{" + ",".join(parts) + space + "}"


def packed(chance: random.Random) -> bytes:
    return gzip.compress(as_envelope(chance), 1)


def anything(chance: random.Random) -> bytes | None:
    return junk(chance)[0]


MUTATIONS: list[Callable[[random.Random], bytes | None]] = [as_envelope, packed, anything]


def records(seed: int, count: int) -> Iterator[Stored]:
    """So many records, of every kind of fault and some without."""
    chance = random.Random(seed)
    for place in range(count):
        payload = chance.choices(MUTATIONS, [80, 8, 12])[0](chance)
        if payload is not None and chance.random() < 0.3:
            payload = damaged(chance, payload)
        milliseconds = chance.choice([NOW_MS, NOW_MS, NOW_MS, -1, 0, NOW_MS - 10_000, 2**63 - 1, -(2**63)])
        yield Stored(payload, milliseconds=milliseconds, place=place)
