"""control/replay_request/v1: asks for messages to be sent again."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from contracts.message import MessageType
from contracts.timestamps import parse_timestamp
from contracts.values import END, MAX_ITEMS, LongText, Text, Time, about

Names = Annotated[list[Text], Meta(min_length=1, max_length=MAX_ITEMS)]
Topic = Annotated[str, Meta(max_length=249, pattern=rf"^[A-Za-z0-9._-]+{END}")]


class ReplayRequest(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Asks for messages of a domain to be sent again, into another topic: those of a window of time, or of some keys.

    What is not known here is refused: a request that is read in part would send what nobody asked for.
    """

    domain: Annotated[Text, about("What to send again: bars, trades, or another type's name.")]
    version: Annotated[Text, about("Major version of the domain's type, such as v1.")] | None = None
    subtopic: Annotated[Text, about("A part of the domain, such as XNAS.AAPL.")] | None = None
    symbols: Annotated[Names, about("Only these symbols.")] | None = None
    keys: Annotated[Names, about("Only these keys of records.")] | None = None
    start: Annotated[Time, about("Where the window of event time begins.")] | None = None
    end: Annotated[Time, about("Where it ends; a message of this time is not in it.")] | None = None
    reason: Annotated[LongText, about("Why, for the log.")]
    target: Annotated[Topic, about("The topic to send to; never the one that is read.")] | None = None
    request_id: Annotated[Text, about("Asking twice under one id is asking once.")] | None = None

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise ValueError("start and end go together")
        if self.start is None and self.keys is None:
            raise ValueError("start and end, or keys, say what to send again")
        if self.symbols is not None and self.keys is not None:
            raise ValueError("symbols and keys exclude each other")
        if self.start is not None and self.end is not None and parse_timestamp(self.start) >= parse_timestamp(self.end):
            raise ValueError("end is not after start")


REPLAY_REQUEST_V1: Final = MessageType(
    name="control/replay_request",
    version="1.0.0",
    struct=ReplayRequest,
    event_type="control.replay_requests",
    examples=(
        {
            "domain": "bars",
            "version": "v1",
            "subtopic": "XNAS.AAPL",
            "start": "2025-01-01T00:00:00Z",
            "end": "2025-01-01T01:00:00Z",
            "reason": "backtest",
            "target": "mdp.replay",
        },
        {"domain": "trades", "keys": ["BTC-USD"], "reason": "gap", "request_id": "gap-17"},
    ),
)
