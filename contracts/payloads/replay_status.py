"""control/replay_status/v1: what has become of a replay request."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from contracts.envelope import Checksum
from contracts.message import MessageType
from contracts.payloads.replay_request import Topic
from contracts.values import MAX_ITEMS, Count, LongText, Text, about

State = Literal["running", "done", "refused", "failed"]
# What is left of a partition: its number, the next offset to read, and the offset before which the replay ends.
Left = tuple[Count, Count, Count]


class ReplayStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What has become of a replay request so far; the last status of a request says all.

    A status is committed in one transaction with the records that it counts, so that a replay which is interrupted
    goes on where it was.
    """

    request_id: Annotated[Text, about("Of the request; one without an id is known by what it asks for.")]
    request: Annotated[Checksum, about("SHA-256 of what is asked for.")]
    state: Annotated[State, about("Refused requests send nothing; a failed one may be asked for again, and goes on.")]
    reason: Annotated[LongText, about("Why it is refused or has failed.")] | None = None
    source: Annotated[Topic, about("The topic that is read.")] | None = None
    target: Annotated[Topic, about("The topic that is sent to.")] | None = None
    read: Annotated[Count, about("Records read so far.", "records")]
    sent: Annotated[Count, about("Records sent so far.", "records")]
    unreadable: Annotated[
        Count, about("Messages that cannot be read or are of another version; they are not sent.", "messages")
    ]
    left: (
        Annotated[
            list[Left],
            Meta(max_length=MAX_ITEMS),
            about("Of each partition its number, the next offset to read, and where the replay ends."),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        if self.state in ("refused", "failed") and self.reason is None:
            raise ValueError(f"a request that is {self.state} has a reason")
        if any(offset > end for _, offset, end in self.left or ()):
            raise ValueError("left: an offset lies behind the end")


REPLAY_STATUS_V1: Final = MessageType(
    name="control/replay_status",
    version="1.0.0",
    struct=ReplayStatus,
    event_type="control.replay_requests",
    examples=(
        {
            "request_id": "gap-17",
            "request": "sha256:8cc913040745f9cac19808debe601c2e6c3dc91c5e13e39ca01f737999a99a95",
            "state": "running",
            "source": "mdp.events",
            "target": "mdp.replay",
            "read": 4000,
            "sent": 1250,
            "unreadable": 2,
            "left": [[0, 4000, 9214], [1, 120, 8800]],
        },
        {
            "request_id": "gap-18",
            "request": "sha256:9a33af0d6ee10b54c6ff03fa7d67d3ab02e291ae2b1bf7a0d3bb555959495726",
            "state": "refused",
            "reason": "mdp.events is the topic that is read: name another target",
            "read": 0,
            "sent": 0,
            "unreadable": 0,
        },
    ),
)
