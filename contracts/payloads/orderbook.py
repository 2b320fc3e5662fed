"""orderbook/v1: the levels of an order book at one moment."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.message import MessageType
from contracts.values import MAX_ITEMS, Count32, Price, Size, Text, about

Side = Annotated[list[tuple[Price, Size]], Meta(max_length=MAX_ITEMS)]


class Levels(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Both sides of a book, [price, size] for each level, the best first."""

    bids: Annotated[Side, about("Levels of buyers, the highest price first.")]
    asks: Annotated[Side, about("Levels of sellers, the lowest price first.")]


class OrderBook(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The order book of a symbol at one moment, down to some depth."""

    symbol: Annotated[Text, about("What is traded, as the venue calls it.")]
    depth: Annotated[Count32, about("How many levels of each side there are at most.", "levels")]
    levels: Annotated[Levels, about("Both sides.")]
    venue: Annotated[Text, about("Where it is traded.")] | None = None
    group: Annotated[Text, about("Kind of instrument, such as FUT_IDX.")] | None = None
    currency: Annotated[Text, about("What prices are in.")] | None = None

    def __post_init__(self) -> None:
        bids, asks = self.levels.bids, self.levels.asks
        if max(len(bids), len(asks)) > self.depth:
            raise ValueError(f"a side has more levels than its depth, {self.depth}")
        if any(before[0] <= after[0] for before, after in pairwise(bids)):
            raise ValueError("bids do not go down")
        if any(before[0] >= after[0] for before, after in pairwise(asks)):
            raise ValueError("asks do not go up")


ORDERBOOK_V1: Final = MessageType(
    name="orderbook",
    version="1.0.0",
    struct=OrderBook,
    event_type="orderbook.snapshot",
    table="orderbook",
    examples=(
        {
            "symbol": "BTC-USD",
            "venue": "KRAKEN",
            "currency": "USD",
            "depth": 10,
            "levels": {
                "bids": [[114250.1, 0.52], [114249.9, 1.75]],
                "asks": [[114250.2, 0.08], [114250.7, 2.4]],
            },
        },
        {"symbol": "SPX 251219C07500000", "depth": 1, "levels": {"bids": [], "asks": [[0.05, 1120]]}},
    ),
)
