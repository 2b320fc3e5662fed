"""The input of `mdp stream produce`: a synthetic market or files, sent at full speed or paced, until end or stop."""

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

from codec.decode import Decoder
from codec.encode import Encoding
from codec.market_batch import MarketDecoder
from connectors import pacing
from connectors.synthetic.market import SyntheticMarket
from contracts.market_prices import read_type
from flows.market_input import market_decoder
from flows.sender import sender
from flows.settings import Settings
from mdp.ops.file_events import EventFiles
from mdp.ops.file_messages import MessageFiles
from mdp.ops.survey import Survey, last_events, newest_of
from transports.kafka.producer import produce, produce_messages
from transports.outgoing import Sent


@dataclass(frozen=True, slots=True)
class Before:
    """The present data of a market in a topic: the newest time, and the last price of each symbol."""

    newest_ns: int
    prices: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much to send, and how fast.

    Attributes:
        files: the files to send; None for the synthetic market.
        rate: events per second; None: files at full speed, the market at full speed with a count, else at its own rate.
        count: number of events, without those added by faults; None: the whole file, or the market for ever.
        seconds: when to stop; None: never.
        before: the data that the market continues; None: it begins without history.
        headers: whether each event has those of a message.
    """

    files: EventFiles | MessageFiles | None = None
    rate: float | None = None
    count: int | None = None
    seconds: float | None = None
    before: Before | None = None
    headers: bool = False

    @property
    def is_live(self) -> bool:
        """Whether events are generated at their event time."""
        return self.files is None and (self.rate is not None or self.count is None)


class Stop:
    """Stops the pacing: on SIGINT or SIGTERM, or at the end of the time."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.signal: int | None = None

    def handle(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        # Not in the handler, which runs in a thread that may hold the event's lock.
        threading.Thread(target=self.event.set).start()


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Yields a stop for SIGINT and SIGTERM; a second signal has its former effect."""
    stop = Stop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.handle(number, frame)
        signal.signal(number, before[signal.Signals(number)])

    for number in numbers:
        signal.signal(number, handle)
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
    """Send the load to `topic`; return the account of acknowledged events.

    Raises:
        FileError, ProduceError: the file does not hold events, or Kafka does not accept them.
    """
    timer = None if load.seconds is None or load.is_live else threading.Timer(load.seconds, stop.set)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        chunks = _chunks(settings, load, pacing.WallClock(stop))
        if isinstance(load.files, MessageFiles):
            records = load.files.records(chunks, settings.messages.realm, sender(f"{settings.name}-produce"))
            return produce_messages(records, settings.bus.kafka.client(), topic, on_progress)
        # An Arrow record holds a thousand events: for these, headers cost nothing.
        own = sender(f"{settings.name}-produce") if load.headers or encoding == "arrow" else None
        return produce(chunks, settings.bus.kafka.client(), topic, encoding, on_progress, sender=own)
    finally:
        if timer is not None:
            timer.cancel()


def survey(settings: Settings, load: Load, topic: str) -> Survey:
    """Return the survey of sending the load's files to `topic`.

    Raises:
        FileError, SourceError: the files do not hold events, or the topic cannot be read.
    """
    if load.files is None:
        raise ValueError("only files can be surveyed")
    partitions, newest = newest_of(settings.bus.kafka, topic, _decoder(settings, load))
    return Survey(settings.micro_batch, partitions, newest).over(_head(load.files.rows(), load.count))


def continued(settings: Settings, load: Load, topic: str) -> Load:
    """Return the load, with a market that continues after its provider's data in `topic`.

    Otherwise a market of the last N seconds would overlap one sent less than N seconds ago, and most of it would be
    late.

    Raises:
        SourceError: the topic cannot be read.
    """
    _, events = last_events(settings.bus.kafka, topic, _decoder(settings, load))
    own = events.filter(pl.col("provider") == settings.producers.synthetic.provider).sort("src_ts")
    if own.is_empty():
        return load
    prices = own.drop_nulls("c").group_by("symbol").agg(pl.col("c").last())
    return replace(load, before=Before(own["src_ts"][-1], dict(prices.iter_rows())))


def _decoder(settings: Settings, load: Load) -> MarketDecoder:
    """Decodes what is in a topic that such a load is sent to."""
    if isinstance(load.files, MessageFiles):
        return market_decoder(settings)
    return Decoder(settings.micro_batch.window_ns, settings.micro_batch.max_future_ms * 1_000_000)


def makes_bars(settings: Settings, load: Load) -> bool:
    """Whether the load is what the market flow reads, so that some of it may be late for its windows."""
    if not isinstance(load.files, MessageFiles):
        return True
    market = settings.market
    return market.input == "envelopes" and read_type(market.price) is load.files.kind


def ahead_seconds(settings: Settings, load: Load) -> float:
    """How many seconds of a market with a count are ahead of the clock; these are sent at their event time."""
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
    # Events are never sent before their event time.
    pace = pacing.at_arrival if ahead_seconds(settings, load) else pacing.at_once
    return pace(market.chunks(load.count), clock)


def _start(load: Load, market: SyntheticMarket) -> int:
    """The begin of the market: now, or so that it ends now; but after the data before it."""
    length = 0.0 if load.is_live else (load.count or 0) / market.rate
    start = time.time_ns() - int(length * 1e9)
    return start if load.before is None else max(start, load.before.newest_ns + math.ceil(1e9 / market.rate))


def _live_count(load: Load, rate: float) -> int | None:
    """The number of events of the market in the time: fixed, however busy the machine."""
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
