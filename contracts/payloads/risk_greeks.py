"""risk/greeks/v1: how an option's price moves."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.message import MessageType
from contracts.values import Number, Price, Text, about

Volatility = Annotated[float, Meta(ge=0, le=1_000)]


class Greeks(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What an option's price does when something else changes, for one unit of its underlying."""

    symbol: Annotated[Text, about("The option, or the position.")]
    underlying: Annotated[Text, about("What the option is on.")] | None = None
    underlying_price: Annotated[Price, about("What it was computed with.")] | None = None
    iv: Annotated[Volatility, about("Implied volatility.", "a year, 0.2 is 20 %")] | None = None
    delta: Annotated[Number, about("Change by price of the underlying.", "currency per currency")] | None = None
    gamma: Annotated[Number, about("Change of delta by price of the underlying.", "1 per currency")] | None = None
    vega: Annotated[Number, about("Change by implied volatility.", "currency per 0.01 of iv")] | None = None
    theta: Annotated[Number, about("Change by time.", "currency per day")] | None = None
    rho: Annotated[Number, about("Change by interest rate.", "currency per 0.01 of rate")] | None = None

    def __post_init__(self) -> None:
        if (self.iv, self.delta, self.gamma, self.vega, self.theta, self.rho) == (None,) * 6:
            raise ValueError("iv, delta, gamma, vega, theta and rho are missing: there is one of them at least")


RISK_GREEKS_V1: Final = MessageType(
    name="risk/greeks",
    version="1.0.0",
    struct=Greeks,
    event_type="risk.greeks",
    table="greeks",
    one_of=("iv", "delta", "gamma", "vega", "theta", "rho"),
    examples=(
        {
            "symbol": "SPX 251219C06700000",
            "underlying": "SPX",
            "underlying_price": 6671.25,
            "iv": 0.142,
            "delta": 0.481,
            "gamma": 0.0011,
            "vega": 9.87,
            "theta": -1.62,
            "rho": 4.4,
        },
        {"symbol": "book-7", "delta": -1250.0},
    ),
)
