"""control/heartbeat/v1: time has passed, and nothing has happened."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from contracts.message import MessageType
from contracts.values import Text, about


class Heartbeat(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """The event time of a source has reached that of the envelope, though it has sent nothing.

    A dataflow writes it into the partition that was silent, so that every reader of the log closes its windows there.
    """

    flow: Annotated[Text, about("The dataflow that noticed the silence.")]


HEARTBEAT_V1: Final = MessageType(
    name="control/heartbeat",
    version="1.0.0",
    struct=Heartbeat,
    event_type="control.heartbeat",
    examples=({"flow": "mdp-market-2s"},),
)
