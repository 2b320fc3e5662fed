"""Which canonical messages make bars, and at which of their prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, assert_never

from contracts.frames import BUY, SELL
from contracts.message import MessageType
from contracts.payloads.quotes import QUOTES_V2, Quote
from contracts.payloads.trades import TRADES_V2, Trade

MarketPrice = Literal["trade", "mid", "bid", "ask"]
TRADE: Final = "trade"


SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}


class Priced(NamedTuple):
    """What a message adds to a bar: quotes have neither volume nor side, and not every trade tells its side."""

    price: float
    volume: float
    side: int | None = None


def read_type(price: MarketPrice) -> MessageType:
    """The type of the messages that have this price."""
    return TRADES_V2 if price == TRADE else QUOTES_V2


def priced(message: Trade | Quote, price: MarketPrice) -> Priced | None:
    """The price of a message of `read_type`; None if it does not have that one.

    The mid of a quote without one of its own is halfway between its bid and its ask.
    """
    if isinstance(message, Trade):
        return Priced(message.price, message.size, None if message.side is None else SIDES[message.side])
    found = _quoted(message, price)
    return None if found is None else Priced(found, 0.0)


def _quoted(quote: Quote, price: MarketPrice) -> float | None:
    match price:
        case "bid":
            return quote.bid
        case "ask":
            return quote.ask
        case "mid" if quote.mid is None and quote.bid is not None and quote.ask is not None:
            return (quote.bid + quote.ask) / 2
        case "mid":
            return quote.mid
        case "trade":
            return None
        case _:
            assert_never(price)
