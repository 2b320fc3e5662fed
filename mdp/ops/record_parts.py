"""Records to send again, whole or reduced to some of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import polars as pl

from codec.arrow_rows import take_rows
from codec.event_headers import part_headers
from contracts.record import Headers, header_pairs
from transports.kafka.topic_reader import Message


class RecordPart(NamedTuple):
    """What of a record is to be sent again: its value and its headers."""

    message: Message
    value: bytes | None
    headers: Headers


def chosen_parts(
    messages: Sequence[Message], payloads: Sequence[bytes | None], rows: pl.DataFrame
) -> Iterator[RecordPart]:
    """Yield the records with chosen rows: unchanged if all are chosen, else with only those, in their order.

    Args:
        messages: the records.
        payloads: their values.
        rows: `record`, the place of its record; `row` within it; `inside`, whether it is chosen.
    """
    chosen = rows.group_by("record", maintain_order=True).agg(
        rows=pl.col("row").filter("inside"), whole=pl.col("inside").all()
    )
    for record, taken, whole in chosen.select("record", "rows", "whole").iter_rows():
        message, payload = messages[record], payloads[record]
        if whole:
            yield RecordPart(message, payload, header_pairs(message.headers()))
        elif taken:
            part = take_rows(payload or b"", taken)
            yield RecordPart(message, part, part_headers(message.headers(), part))
