"""quotes/v2: the best bid and ask."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.message import MessageType
from contracts.values import Price, Size, Text, about


class Quote(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The best bid and ask of a symbol, or one of them where a market has one side only.

    Bids above asks are taken: consolidated feeds have them.
    """

    symbol: Annotated[Text, about("What is quoted, as the venue calls it.")]
    bid: Annotated[Price, about("Highest price that somebody buys at.")] | None = None
    ask: Annotated[Price, about("Lowest price that somebody sells at.")] | None = None
    mid: Annotated[Price, about("The price between them, where the source gives one.")] | None = None
    bid_size: Annotated[Size, about("How much can be sold at the bid.")] | None = None
    ask_size: Annotated[Size, about("How much can be bought at the ask.")] | None = None
    tick_type: Annotated[Text, about("The source's own kind of quote, such as BidAsk.")] | None = None
    venue: Annotated[Text, about("Where it is quoted.")] | None = None
    group: Annotated[Text, about("Kind of instrument, such as FUT_IDX.")] | None = None
    currency: Annotated[Text, about("What prices are in.")] | None = None

    def __post_init__(self) -> None:
        if self.bid is None and self.ask is None and self.mid is None:
            raise ValueError("bid, ask and mid are missing: a quote has one of them at least")


QUOTES_V2: Final = MessageType(
    name="quotes",
    version="2.0.0",
    struct=Quote,
    event_type="quotes.tick",
    table="quotes",
    one_of=("bid", "ask", "mid"),
    examples=(
        {
            "symbol": "NQZ5",
            "group": "FUT_IDX",
            "venue": "CME",
            "bid": 6701.25,
            "ask": 6701.50,
            "bid_size": 8,
            "ask_size": 6,
            "currency": "USD",
        },
        {"symbol": "SPX 251219C07500000", "ask": 0.05, "ask_size": 1120},
    ),
)
