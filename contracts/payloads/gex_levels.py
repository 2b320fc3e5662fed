"""gex/levels/v1: where dealers' gamma and delta turn."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.message import MessageType
from contracts.values import Price, Text, Time, about


class GexLevels(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Price levels that follow from the open options on a symbol."""

    symbol: Annotated[Text, about("The underlying.")]
    asof: Annotated[Time, about("What moment the options were counted at.")]
    zero_gamma: Annotated[Price, about("Where the dealers' gamma changes its sign.")] | None = None
    zero_delta: Annotated[Price, about("Where the dealers' delta changes its sign.")] | None = None
    call_wall: Annotated[Price, about("Strike with the most gamma of calls.")] | None = None
    put_wall: Annotated[Price, about("Strike with the most gamma of puts.")] | None = None

    def __post_init__(self) -> None:
        if (self.zero_gamma, self.zero_delta, self.call_wall, self.put_wall) == (None,) * 4:
            raise ValueError(
                "zero_gamma, zero_delta, call_wall and put_wall are missing: there is one of them at least"
            )


GEX_LEVELS_V1: Final = MessageType(
    name="gex/levels",
    version="1.0.0",
    struct=GexLevels,
    event_type="gex.levels",
    table="gex_levels",
    one_of=("zero_gamma", "zero_delta", "call_wall", "put_wall"),
    examples=(
        {
            "symbol": "SPX",
            "asof": "2025-10-28T13:30:00Z",
            "zero_gamma": 6645.0,
            "zero_delta": 6612.5,
            "call_wall": 6750.0,
            "put_wall": 6500.0,
        },
        {"symbol": "NDX", "asof": "2025-10-28T13:30:00Z", "zero_gamma": 24150.0},
    ),
)
