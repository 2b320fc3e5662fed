"""calendar/v1: releases of an economic calendar."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from contracts.message import MessageType
from contracts.values import Number, Text, about


class CalendarItem(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A release, before it is out or after; its time is the envelope's event_time."""

    event_name: Annotated[Text, about("What is released.")]
    importance: Annotated[Literal["low", "medium", "high"], about("How much markets care.")]
    ticker: Annotated[Text, about("The currency or the symbol that it is about.")] | None = None
    actual: Annotated[Number, about("The figure; null until it is out.", "that of the release")] | None = None
    forecast: Annotated[Number, about("What was expected.", "that of the release")] | None = None
    previous: Annotated[Number, about("The figure before.", "that of the release")] | None = None


CALENDAR_V1: Final = MessageType(
    name="calendar",
    version="1.0.0",
    struct=CalendarItem,
    event_type="calendar.item",
    table="calendar",
    examples=(
        {
            "event_name": "Nonfarm Payrolls (thousands)",
            "importance": "high",
            "ticker": "USD",
            "actual": 119.0,
            "forecast": 50.0,
            "previous": 22.0,
        },
        {"event_name": "ECB press conference", "importance": "medium"},
    ),
)
