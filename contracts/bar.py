"""Bar v1: what a record on the bars topic holds, and a row of the bars table."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from contracts.message import MessageType
from contracts.values import Count, Count32, Price, Text, Time, Total, about


class Bar(msgspec.Struct, kw_only=True, gc=False):
    """What a symbol traded at in a window of event time."""

    ver: Annotated[Literal[1], about("Version of the format.")] = 1
    provider: Annotated[Text, about("Whose events it is made of.")]
    symbol: Annotated[Text, about("What is traded; the key of the record.")]
    interval: Annotated[Text, about("Length of the window, such as 2s.")]
    window_start: Annotated[Time, about("When the window begins.")]
    window_end: Annotated[Time, about("When the window ends; an event at this time is of the next one.")]
    open: Annotated[Price, about("Price of the first event.")]
    high: Annotated[Price, about("Highest price.")]
    low: Annotated[Price, about("Lowest price.")]
    close: Annotated[Price, about("Price of the last event.")]
    volume: Annotated[Total, about("Sum of the volumes.")]
    vwap: Annotated[Price, about("Mean price, weighted by volume; null when the volume is 0.")] | None
    buy_volume: (
        Annotated[
            Total, about("Volume of the trades in which the buyer took liquidity; null if no trade says who did.")
        ]
        | None
    ) = None
    sell_volume: (
        Annotated[Total, about("Volume of the trades in which the seller did; null if no trade says who did.")] | None
    ) = None
    trades: Annotated[Count, about("How many events it is made of.", "events")]
    revision: Annotated[Count32, about("0: the close of its window; n: its n-th amendment.", "amendments")]
    partition: Annotated[Count32, about("The partition of the events topic that it comes from.")] | None = None


BAR_V1: Final = MessageType(
    name="bars",
    version="1.1.0",
    struct=Bar,
    table="bars_ohlcv",
    examples=(
        {
            "ver": 1,
            "provider": "ibkr_primary",
            "symbol": "SPY",
            "interval": "2s",
            "window_start": "2025-10-24T14:02:00.000000Z",
            "window_end": "2025-10-24T14:02:02.000000Z",
            "open": 425.1,
            "high": 425.2,
            "low": 425.0,
            "close": 425.15,
            "volume": 1200.0,
            "vwap": 425.13,
            "buy_volume": 700.0,
            "sell_volume": 450.0,
            "trades": 7,
            "revision": 0,
            "partition": 3,
        },
    ),
)
