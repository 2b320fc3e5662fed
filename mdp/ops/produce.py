"""What `mdp stream produce` sends: a synthetic market or a file, at once or in time, until its end or a stop."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType

import polars as pl

from codec.encode import Encoding
from connectors import pacing
from connectors.synthetic.market import SyntheticMarket
from flows.sender import sender
from flows.settings import Settings
from mdp.ops.file_events import EventFiles
from mdp.ops.survey import Survey, last_events, newest_of
from transports.kafka.producer import produce
from transports.outgoing import Sent


@dataclass(frozen=True, slots=True)
class Before:
    """What a topic holds of a market already: its newest time, and the last price of each symbol."""

    newest_ns: int
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much to send, and how fast.

    Attributes:
        files: what to send; None for the synthetic market.
        rate: events per second; None: a file at once, the market at once if there is a count, else at its own rate.
        count: how many events, not counting what faults add; None: all of the file, or the market for ever.
        seconds: when to stop; None: never.
        before: what the market continues; None: it begins as if there were none.
        headers: whether each event has those of a message.
    """

    files: EventFiles | None = None
    rate: float | None = None
    count: int | None = None
    seconds: float | None = None
    before: Before | None = None
    headers: bool = False

    @property
    def is_live(self) -> bool:
        """Whether events are made at the time they tell."""
        return self.files is None and (self.rate is not None or self.count is None)


class Stop:
    """Asks the pacing to end: at SIGINT or SIGTERM, or when the time is over."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    def heed(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        # Not here: the handler runs in the thread that may hold the event's lock right now.
        threading.Thread(target=self.event.set).start()


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """A stop that SIGINT and SIGTERM ask for; a second signal does what it always did."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def heed(number: int, frame: FrameType | None) -> None:
        stop.heed(number, frame)
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, heed)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def send(
    settings: Settings,
    load: Load,
    topic: str,
    encoding: Encoding,
    *,
    stop: threading.Event,
    on_progress: Callable[[Sent], None],
) -> Sent:
    """Send the load to `topic`; the account of what Kafka acknowledged.

    Raises:
        FileError, ProduceError: the file does not hold events, or Kafka does not take them.
    """
    timer = None if load.seconds is None or load.is_live else threading.Timer(load.seconds, stop.set)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        chunks = _chunks(settings, load, pacing.WallClock(stop))
        # An Arrow record holds a thousand events: for these, headers cost nothing.
        own = sender(f"{settings.name}-produce") if load.headers or encoding == "arrow" else None
        return produce(chunks, settings.bus.kafka.client(), topic, encoding, on_progress, sender=own)
    finally:
        if timer is not None:
            timer.cancel()


def survey(settings: Settings, load: Load, topic: str) -> Survey:
    """What sending the files of the load to `topic` would come to.

    Raises:
        FileError, SourceError: the files do not hold events, or the topic cannot be read.
    """
    if load.files is None:
        raise ValueError("only files can be looked at beforehand")
    window = settings.micro_batch
    partitions, newest = newest_of(settings.bus.kafka, topic, window)
    return Survey(window, partitions, newest).over(_head(load.files.rows(), load.count))


def continued(settings: Settings, load: Load, topic: str) -> Load:
    """The load, of a market that goes on after what its provider has in `topic`.

    A market of N seconds that has just been would otherwise lie beside the one that was sent less than N seconds ago,
    and most of it would be late.

    Raises:
        SourceError: the topic cannot be read.
    """
    _, events = last_events(settings.bus.kafka, topic, settings.micro_batch)
    own = events.filter(pl.col("provider") == settings.producers.synthetic.provider).sort("src_ts")
    if own.is_empty():
        return load
    prices = own.drop_nulls("c").group_by("symbol").agg(pl.col("c").last())
    return replace(load, before=Before(own["src_ts"][-1], dict(prices.iter_rows())))


def ahead_seconds(settings: Settings, load: Load) -> float:
    """How much of a market with a count would lie ahead of the clock; it is sent as its time comes."""
    if load.is_live or load.count is None:
        return 0.0
    market = SyntheticMarket(settings.producers.synthetic, 0)
    return max(0.0, load.count / market.rate - (time.time_ns() - _start(load, market)) / 1e9)


def _chunks(settings: Settings, load: Load, clock: pacing.Clock) -> Iterator[pl.DataFrame]:
    if load.files is not None:
        rows = _head(load.files.rows(), load.count)
        return pacing.at_once(rows, clock) if load.rate is None else pacing.at_rate(rows, load.rate, clock)
    config = settings.producers.synthetic
    start = _start(load, SyntheticMarket(config, 0, load.rate))
    market = SyntheticMarket(config, start, load.rate, load.before.prices if load.before else {})
    if load.is_live:
        return pacing.at_arrival(market.chunks(_live_count(load, market.rate)), clock)
    # Events never come before their time.
    pace = pacing.at_arrival if ahead_seconds(settings, load) else pacing.at_once
    return pace(market.chunks(load.count), clock)


def _start(load: Load, market: SyntheticMarket) -> int:
    """When the market begins: now, or so that its last event is of now; but after what there is before it."""
    length = 0.0 if load.is_live else (load.count or 0) / market.rate
    start = time.time_ns() - int(length * 1e9)
    return start if load.before is None else max(start, load.before.newest_ns + math.ceil(1e9 / market.rate))


def _live_count(load: Load, rate: float) -> int | None:
    """What the market yields within the time: known beforehand, however busy the machine."""
    if load.seconds is None:
        return load.count
    in_time = max(1, round(load.seconds * rate))
    return in_time if load.count is None else min(load.count, in_time)


def _head(chunks: Iterator[pl.DataFrame], count: int | None) -> Iterator[pl.DataFrame]:
    left = count
    for chunk in chunks:
        yield chunk if left is None else chunk.head(left)
        if left is not None:
            left -= chunk.height
            if left <= 0:
                return
