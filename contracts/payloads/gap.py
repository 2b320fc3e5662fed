"""control/gap/v1: messages of a source that are missing, or were and are there now."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from contracts.envelope import EventType
from contracts.message import MessageType
from contracts.timestamps import parse_timestamp
from contracts.values import Int64, LongText, Text, Time, about

Reason = Literal["reconnect", "restart", "sequence"]


class Gap(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Messages of a symbol that may be missing from a stream, between the last one before and the first one after.

    A gap that is filled later is a second message of the same `gap_id`: the last message about a gap holds. The time of
    all of them is when the gap begins.
    """

    gap_id: Annotated[Text, about("The same for all messages about one gap.")]
    connector: Annotated[Text, about("The connector that noticed it.")]
    stream: Annotated[EventType, about("The stream that lacks messages, such as trades.tick.")]
    symbol: Annotated[Text, about("What they are about, as the source calls it.")]
    begin: Annotated[Time, about("When the last message before it happened.")]
    end: Annotated[Time, about("When the first message after it happened, or until when none had come.")]
    from_sequence: Annotated[Int64, about("The source's number of the last message before it.")] | None = None
    to_sequence: Annotated[Int64, about("The source's number of the first message after it.")] | None = None
    filled: Annotated[bool, about("Whether nothing is missing any more.")]
    reason: Annotated[Reason, about("What opened it: a lost connection, a restart, or a jump in the numbers.")]
    detail: Annotated[LongText, about("Why it is not filled.")] | None = None

    def __post_init__(self) -> None:
        if parse_timestamp(self.end) < parse_timestamp(self.begin):
            raise ValueError("end is before begin")
        if self.filled and self.detail is not None:
            raise ValueError("a gap that is filled has no detail")


GAP_V1: Final = MessageType(
    name="control/gap",
    version="1.0.0",
    struct=Gap,
    event_type="control.gaps",
    table="gaps",
    examples=(
        {
            "gap_id": "019a29ab-1540-7a18-9e9b-accf929adf5d",
            "connector": "ccxt",
            "stream": "trades.tick",
            "symbol": "BTC/USD",
            "begin": "2025-10-28T07:14:29.312Z",
            "end": "2025-10-28T07:14:41.07Z",
            "from_sequence": 883162574,
            "to_sequence": 883162611,
            "filled": True,
            "reason": "reconnect",
        },
        {
            "gap_id": "019a29ab-1540-7c02-8c1d-4f2a9be71205",
            "connector": "ccxt",
            "stream": "quotes.tick",
            "symbol": "BTC/USD",
            "begin": "2025-10-28T07:14:29.4Z",
            "end": "2025-10-28T07:14:41.2Z",
            "filled": False,
            "reason": "restart",
            "detail": "ccxt has no history of quotes.tick",
        },
    ),
)
