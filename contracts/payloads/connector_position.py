"""control/connector_position/v1: how far a connector has taken in what a source sends."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.envelope import EventType
from contracts.message import MessageType
from contracts.values import Int64, Text, Time, about


class ConnectorPosition(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Nothing of a symbol is missing from a stream up to this message; what came after it may be.

    The topic is compacted: the last position of each connector, source, stream and symbol is kept.
    """

    connector: Annotated[Text, about("The connector.")]
    stream: Annotated[EventType, about("The stream, such as trades.tick.")]
    symbol: Annotated[Text, about("What it is about, as the source calls it.")]
    last_time: Annotated[Time, about("When the message happened.")]
    last_id: Annotated[Text, about("The event_id of the message.")]
    last_sequence: Annotated[Int64, about("The source's number of the message, if it has one.")] | None = None


CONNECTOR_POSITION_V1: Final = MessageType(
    name="control/connector_position",
    version="1.0.0",
    struct=ConnectorPosition,
    event_type="control.connector_positions",
    examples=(
        {
            "connector": "ccxt",
            "stream": "trades.tick",
            "symbol": "BTC/USD",
            "last_time": "2025-10-28T07:14:29.312Z",
            "last_id": "019a29ab-1540-7a18-9e9b-accf929adf5d",
            "last_sequence": 883162574,
        },
    ),
)
