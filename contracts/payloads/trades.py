"""trades/v2: trades as their venue reported them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from contracts.message import MessageType
from contracts.values import Price, Size, Text, about


class Trade(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A trade."""

    symbol: Annotated[Text, about("What was traded, as the venue calls it.")]
    price: Annotated[Price, about("What one unit was traded for; zero and below are prices too.")]
    size: Annotated[Size, about("How much was traded.")]
    side: Annotated[Literal["buy", "sell"], about("Who took liquidity; null where the venue does not say.")] | None = (
        None
    )
    trade_id: Annotated[Text, about("The venue's own id.")] | None = None
    venue: Annotated[Text, about("Where it was traded.")] | None = None
    group: Annotated[Text, about("Kind of instrument, such as FUT_IDX.")] | None = None
    currency: Annotated[Text, about("What prices are in.")] | None = None


TRADES_V2: Final = MessageType(
    name="trades",
    version="2.0.0",
    struct=Trade,
    event_type="trades.tick",
    table="trades",
    examples=(
        {
            "symbol": "BTC-USD",
            "price": 114250.13,
            "size": 0.0042,
            "side": "buy",
            "trade_id": "883162574",
            "venue": "COINBASE",
            "currency": "USD",
        },
        {"symbol": "NQZ5", "price": 6701.25, "size": 3},
    ),
)
