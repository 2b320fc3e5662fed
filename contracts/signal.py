"""Signal v1: the fields of records on the signals topic, for consumers and validation."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from contracts.message import MessageType
from contracts.values import LongText, Text, Time, about


class Signal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What an evaluator said about a symbol at the end of a window.

    The pipeline always writes signal_id, interval and adapter; signals of other origin may lack them.
    """

    ver: Annotated[Literal[1], about("Version of the format.")]
    signal_id: Annotated[LongText, about("Tells signals apart: a run that is repeated repeats its ids.")] | None = None
    provider: Annotated[Text, about("Whose events led to it.")]
    symbol: Annotated[Text, about("What it is about; the key of the record.")]
    interval: Annotated[Text, about("Length of the window, such as 2s.")] | None = None
    ts: Annotated[Time, about("When the window ended.")]
    name: Annotated[Text, about("What the rule or the model calls it.")]
    value: Annotated[float, about("What it says, as its rule or model defines it.")]
    score: Annotated[float, about("How sure it is, as its rule or model defines it.")]
    adapter: Annotated[Text, about("Which evaluator said it.")] | None = None
    meta: Annotated[dict[str, Any], about("What led to it.")] | None = None


SIGNAL_V1: Final = MessageType(
    name="signals",
    version="1.0.0",
    struct=Signal,
    table="signals",
    examples=(
        {
            "ver": 1,
            "signal_id": "ibkr_primary|SPY|2s|2025-10-24T14:02:02.000000Z|vwap_cross_up|rules",
            "provider": "ibkr_primary",
            "symbol": "SPY",
            "interval": "2s",
            "ts": "2025-10-24T14:02:02.000000Z",
            "name": "vwap_cross_up",
            "value": 1.0,
            "score": 0.82,
            "adapter": "rules",
            "meta": {"window": "1m", "price": 425.15},
        },
    ),
)
