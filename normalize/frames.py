"""Canonical messages as frames to envelopes.

A frame has the columns of `contracts.columns.polars_schema` of its type, those that it has, and of the envelope
`event_time`, nanoseconds since the epoch, and optionally `sequence` and `event_id`.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from contracts.columns import time_fields
from contracts.message import MessageType
from contracts.timestamps import format_timestamps
from normalize.envelopes import Accepted, Envelopes
from normalize.feed import Arrivals, Feed
from normalize.rows import Columns

EVENT_TIME: Final = "event_time"
SEQUENCE: Final = "sequence"
EVENT_ID: Final = "event_id"


class FrameEnvelopes:
    """Makes envelopes of frames of one type and one feed.

    Raises:
        ContractError: the type is sent without envelopes.
    """

    def __init__(self, kind: MessageType, feed: Feed) -> None:
        feed.check()
        self._kind = kind
        self._envelopes = Envelopes(kind, feed)

    def of(self, frame: pl.DataFrame, arrived_ns: int) -> tuple[Accepted, dict[int, str]]:
        """The envelopes of all rows that keep the contract; and by the places of the others, why they do not.

        Args:
            frame: a canonical one.
            arrived_ns: when its rows were taken in.
        """
        count = frame.height
        return self._envelopes.of(
            self._columns(frame), list(range(count)), [0] * count, Arrivals(times=[arrived_ns] * count)
        )

    def _columns(self, frame: pl.DataFrame) -> Columns:
        names = [field.name for field in self._kind.fields if field.name in frame.columns]
        times = [format_timestamps(frame[name]) for name in time_fields(self._kind.struct) if name in names]
        return Columns(
            fields=frame.select(names).with_columns(times).to_dicts(),
            times=frame[EVENT_TIME].to_list(),
            sequences=_given(frame, SEQUENCE),
            own_ids=_given(frame, EVENT_ID),
        )


def _given(frame: pl.DataFrame, name: str) -> list[Any]:
    return frame[name].to_list() if name in frame.columns else [None] * frame.height
