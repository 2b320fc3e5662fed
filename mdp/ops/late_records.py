"""The late topic: late events whose windows have not been repaired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, cast

import polars as pl

from codec.market_batch import MarketDecoder
from codec.output_records import FLOW, SOURCE_ROWS, STUB, source_of
from codec.refused import rows_in
from codec.stubs import Stub, read_stub
from contracts.binary import BinaryColumn
from contracts.record import Fetch, Record, Records, header_bytes, header_texts
from features.bars.late_repair import KEY
from flows.settings import Settings
from flows.spec import FLOWS
from mdp.ops.originals import OriginalLost, Originals
from transports.kafka.topic_reader import Message, TopicReader

# A late event: its offsets in the late topic and in the events topic, its window, and its time.
LATE: Final = pl.Schema(
    {
        "partition": pl.Int64,
        "offset": pl.Int64,
        "source_partition": pl.Int64,
        "source_offset": pl.Int64,
        "provider": pl.String,
        "symbol": pl.String,
        "window": pl.Int64,
        "src_ts": pl.Int64,
    }
)


@dataclass(frozen=True, slots=True)
class LateEvents:
    """The events of the late topic that have not been repaired.

    Attributes:
        events: LATE, for these windows and this events topic.
        foreign: number of records of other flows, by name of the flow.
        first: the first offset of each partition of the topic.
        losses: a line for each event whose original is lost.
    """

    events: pl.DataFrame
    foreign: dict[str, int]
    first: dict[int, int]
    losses: list[str]


class _Own(NamedTuple):
    """A late record of these settings, and its origin."""

    record: Message
    partition: int
    offset: int
    value: bytes | None
    stub: Stub | None


def unrepaired(settings: Settings, decoder: MarketDecoder, done: pl.DataFrame) -> LateEvents:
    """Read the late topic, except records that are `done` (partition, offset).

    Raises:
        SourceError: the topic cannot be read.
    """
    kafka, foreign, first, losses = settings.bus.kafka, dict[str, int](), dict[int, int](), list[str]()
    found = [LATE.to_frame()]
    repaired = {key[0]: set(rows["offset"]) for key, rows in done.group_by("partition")}
    with TopicReader(kafka, kafka.late_topic) as reader, Originals(kafka, kafka.topic) as originals:
        for partition, (low, end) in reader.settled_bounds().items():
            first[partition] = low
            for messages in reader.span(partition, low, end):
                new = [one for one in messages if one.offset() not in repaired.get(partition, ())]
                own = list(_own(settings, new, foreign))
                found += [_events(whole, decoder) for whole in _whole(own, originals, losses)]
    return LateEvents(pl.concat(found), foreign, first, losses)


def _own(settings: Settings, messages: Sequence[Message], foreign: dict[str, int]) -> Iterator[_Own]:
    """The messages that a flow with these settings has written."""
    names = {name for flow in FLOWS.values() if flow.closes_windows for name in flow.progress_ids(settings)}
    for message in messages:
        flow = header_texts(message.headers()).get(FLOW, "unknown")
        topic, partition, offset, _ = source_of(message.headers()) or ("", 0, 0, 0)
        if flow in names and topic == settings.bus.kafka.topic:
            stub = read_stub(header_bytes(message.headers(), STUB))
            yield _Own(message, partition, offset, message.value(), stub)
        else:
            foreign[flow] = foreign.get(flow, 0) + 1


def _whole(own: Sequence[_Own], originals: Originals, losses: list[str]) -> Iterator[Sequence[_Own]]:
    """Complete records together; then each original of a stub separately, as it may be large."""
    if whole := [one for one in own if one.stub is None]:
        yield whole
    for one in own:
        if one.stub is not None:
            try:
                yield [one._replace(value=originals.fetch(one.stub, one.partition, one.offset).value())]
            except OriginalLost as error:
                losses.append(f"{error}, and the late topic holds only its beginning: it is skipped")


def _events(own: Sequence[_Own], decoder: MarketDecoder) -> pl.DataFrame:
    messages = [one.record for one in own]
    records = replace(Records.of(cast(list[Record], messages)), values=BinaryColumn.of(one.value for one in own))
    partition = messages[0].partition() or 0
    events = decoder.decode(Fetch(topic="", partition=partition, next_offset=0, records=records)).events
    events = _without_timely_rows(events, [header_bytes(message.headers(), SOURCE_ROWS) for message in messages])
    record = events["record"].to_list()
    return events.with_columns(
        partition=pl.lit(partition, pl.Int64),
        source_partition=pl.Series([own[index].partition for index in record], dtype=pl.Int64),
        source_offset=pl.Series([own[index].offset for index in record], dtype=pl.Int64),
        window=pl.col("src_ts") - pl.col("src_ts") % decoder.window_ns,
    ).select(LATE.names())


def _without_timely_rows(events: pl.DataFrame, sets: Sequence[bytes | None]) -> pl.DataFrame:
    """The events without rows that were in time, as a late record may hold some of these."""
    named = {record: rows_in(bits) for record, bits in enumerate(sets) if bits is not None}
    if not named:
        return events
    late = [pl.DataFrame({"row": rows}).with_columns(record=pl.lit(record, pl.Int64)) for record, rows in named.items()]
    is_whole = ~events["record"].is_in(list(named))
    return pl.concat([events.filter(is_whole), events.join(pl.concat(late), on=["record", "row"], how="semi")])


def between(events: pl.DataFrame, start: int | None, end: int | None) -> pl.DataFrame:
    """The events of all windows that have a late event with start ≤ src_ts < end."""
    chosen = events
    if start is not None:
        chosen = chosen.filter(pl.col("src_ts") >= start)
    if end is not None:
        chosen = chosen.filter(pl.col("src_ts") < end)
    windows = ["source_partition", *KEY]
    return events.join(chosen.select(windows).unique(), on=windows, how="semi", maintain_order="left")
