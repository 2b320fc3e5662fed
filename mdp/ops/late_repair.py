"""Repairs the bars of late events from the log, independently of the running flow.

Only the part of the log that can hold events of such a window is read: from the window's begin, minus how far an event
may be ahead of its record, to the window's last late event. Windows that overlap in this range are read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, cast

import polars as pl

from codec.market_batch import MarketDecoder
from contracts import frames
from contracts.batch import BARS, MicroBatch
from contracts.record import Fetch, Record, Records
from contracts.timestamps import format_timestamps
from features.bars.late_repair import KEY, WANTED, LateRepair, Repaired
from flows.market_input import market_decoder
from flows.settings import Settings
from mdp.ops.late_records import between, unrepaired
from sinks import late_repairs
from transports.kafka.topic_reader import TopicReader

_NEAR_NS: Final = 60_000_000_000  # windows this close are read together, without looking up where each begins
_FLUSH: Final = 2_000  # windows written at once: each may decompress a thousand rows of TimescaleDB's columnstore
_DAY_NS: Final = 86_400_000_000_000
_DAYS: Final = 16  # each day may be a chunk, and a transaction cannot hold the locks of many


@dataclass(slots=True)
class Account:
    """The account of a repair.

    Attributes:
        events: late events that are in bars now, or were duplicates.
        windows: recomputed, each of one provider and symbol.
        changed: bars that changed.
        conflicts: bars skipped, as another partition had written them.
        foreign: late records of other flows, skipped.
        lost: late events skipped, as the log does not reach back to the begin of their windows.
        losses: a line for each part of the log that is missing.
    """

    events: int = 0
    windows: int = 0
    changed: int = 0
    conflicts: int = 0
    foreign: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    losses: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the log of one partition, start ≤ offset < end, and the windows that lie in it (WANTED)."""

    partition: int
    start: int
    end: int
    wanted: pl.DataFrame


def repair(settings: Settings, start: int | None, end: int | None, *, on_progress: Callable[[int], None]) -> Account:
    """Recompute the unrepaired windows of late events with start ≤ src_ts < end, and mark them done.

    Raises:
        SourceError, StoreUnavailable: Kafka or the database does not answer; finished windows are marked.
    """
    kafka, window = settings.bus.kafka, settings.micro_batch
    url = settings.store.url.get_secret_value()
    decoder = market_decoder(settings)
    late = unrepaired(settings, decoder, late_repairs.repaired(url, kafka.late_topic))
    late_repairs.forget(url, kafka.late_topic, late.first)
    account = Account(foreign=late.foreign, lost=len(late.losses), losses=late.losses)
    chosen = between(late.events, start, end)
    with TopicReader(kafka, kafka.topic) as reader:
        for part in _parts(reader, chosen, decoder.max_future_ns, account):
            left = part.wanted
            for repaired in _repaired(settings, reader, decoder, part):
                _write(settings, part, repaired, _of(chosen, part.partition, repaired.windows), account)
                on_progress(account.events)
                left = left.join(repaired.windows, on=KEY, how="anti")
            if left.height:
                _lose(account, reader, part.partition, left, chosen)
    if account.changed:
        first, last = (datetime.fromtimestamp(at // 10**9, UTC) for at in _ends(chosen["window"]))
        late_repairs.settle(url, first, last + timedelta(seconds=1, milliseconds=window.window_ms))
    return account


def _ends(windows: pl.Series) -> tuple[int, int]:
    return cast(int, windows.min()), cast(int, windows.max())


def _of(late: pl.DataFrame, partition: int, windows: pl.DataFrame) -> pl.DataFrame:
    """The late events of these windows."""
    return late.filter(pl.col("source_partition") == partition).join(windows, on=KEY, how="semi")


def _write(settings: Settings, part: _Part, repaired: Repaired, done: pl.DataFrame, account: Account) -> None:
    kafka = settings.bus.kafka
    results = {BARS: repaired.bars}
    batch = MicroBatch(topic=kafka.topic, partition=part.partition, next_offset=part.end, results=results)
    result = late_repairs.write(settings.store.url.get_secret_value(), kafka.late_topic, batch, done)
    account.events += done.height
    account.windows += repaired.windows.height
    account.changed += sum(result.changed.values())
    account.conflicts += result.conflicts


def _parts(reader: TopicReader, chosen: pl.DataFrame, max_future_ns: int, account: Account) -> Iterator[_Part]:
    """The parts of the log to read, without windows that the log no longer holds."""
    for (partition,), events in chosen.group_by("source_partition", maintain_order=True):
        wanted = events.group_by(KEY).agg(last=pl.col("source_offset").max()).select(WANTED.names()).sort("window")
        held = _held(reader, cast(int, partition), wanted, max_future_ns)
        missing = wanted.join(held, on=KEY, how="anti")
        if missing.height:
            _lose(account, reader, cast(int, partition), missing, chosen)
        yield from _joined(reader, cast(int, partition), held, max_future_ns)


def _held(reader: TopicReader, partition: int, wanted: pl.DataFrame, max_future_ns: int) -> pl.DataFrame:
    """The windows whose events are all in the log, as it holds records from before they could begin."""
    if partition not in reader.partitions:
        return wanted.clear()
    low, end = reader.bounds(partition)
    wanted = wanted.filter(pl.col("last") < end)
    windows = wanted["window"].unique().sort().to_list()
    first, beyond = 0, len(windows) if low else 0
    while first < beyond:  # bisection, as offsets grow with windows
        middle = (first + beyond) // 2
        if reader.offset_at(partition, windows[middle] - max_future_ns) > low:
            beyond = middle
        else:
            first = middle + 1
    return wanted.filter(pl.col("window") >= windows[first]) if first < len(windows) else wanted.clear()


def _lose(account: Account, reader: TopicReader, partition: int, windows: pl.DataFrame, chosen: pl.DataFrame) -> None:
    events = _of(chosen, partition, windows).height
    first, last = format_timestamps(pl.Series([windows["window"].min(), windows["window"].max()]))
    account.lost += events
    account.losses.append(
        f"{reader.topic}[{partition}] no longer holds all events of the windows from {first} to {last}: "
        f"{events} late events are skipped"
    )


def _joined(reader: TopicReader, partition: int, wanted: pl.DataFrame, max_future_ns: int) -> Iterator[_Part]:
    """Windows in time order, joined to one part as long as the next begins before the part's end."""
    start = end = 0
    before: int | None = None
    held: list[pl.DataFrame] = []
    for (key,), windows in wanted.group_by("window", maintain_order=True):
        window, last = cast(int, key), cast(int, windows["last"].max())
        if before is None or window - before > _NEAR_NS:
            begin = reader.offset_at(partition, window - max_future_ns)
            if held and begin > end:
                yield _Part(partition, start, end + 1, pl.concat(held))
                held = []
            if not held:
                start, end = begin, last
        held.append(windows)
        end, before = max(end, last), window
    if held:
        yield _Part(partition, start, end + 1, pl.concat(held))


def _repaired(settings: Settings, reader: TopicReader, decoder: MarketDecoder, part: _Part) -> Iterator[Repaired]:
    """Read a part, and yield complete windows, many at once, until Kafka deletes unread records."""
    for repaired in _flushed(_read(settings, reader, decoder, part)):
        if reader.bounds(part.partition)[0] > part.start:
            return
        yield repaired


def _read(settings: Settings, reader: TopicReader, decoder: MarketDecoder, part: _Part) -> Iterator[Repaired]:
    machine = LateRepair(settings.micro_batch, part.wanted)
    for messages in reader.span(part.partition, part.start, part.end):
        records = Records.of(cast(list[Record], messages))
        next_offset = int(records.offsets[-1]) + 1
        fetch = Fetch(topic=reader.topic, partition=part.partition, next_offset=next_offset, records=records)
        yield machine.take(decoder.decode(fetch))


def _flushed(answers: Iterable[Repaired]) -> Iterator[Repaired]:
    ready: list[Repaired] = []
    for answer in answers:
        ready.append(answer)
        if sum(one.windows.height for one in ready) >= _FLUSH:
            yield from _pieces(_together(ready))
            ready = []
    yield from _pieces(_together(ready))


def _pieces(repaired: Repaired) -> Iterator[Repaired]:
    """Pieces in time order, each small enough for one transaction."""
    day = (pl.col("window") // _DAY_NS).rle_id() // _DAYS
    piece = pl.struct(day, pl.int_range(pl.len()) // _FLUSH).rle_id()
    numbered = repaired.windows.sort("window").with_columns(piece=piece)
    key = ["provider", "symbol", "window_start"]
    for windows in numbered.partition_by("piece", include_key=False):
        bars = repaired.bars.join(windows, left_on=key, right_on=KEY, how="semi", maintain_order="left")
        yield Repaired(windows, bars)


def _together(ready: Sequence[Repaired]) -> Repaired:
    windows, bars = [one.windows for one in ready], [one.bars for one in ready]
    return Repaired(pl.concat([WANTED.to_frame(), *windows]), pl.concat([frames.BARS.to_frame(), *bars]))
