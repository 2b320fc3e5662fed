"""Observes a running pipeline from outside: its database, its metrics and its output topics."""

from __future__ import annotations

import http.client
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec
import polars as pl
from prometheus_client.parser import text_string_to_metric_families

from contracts.batch import Outcomes
from flows.settings import Settings
from flows.spec import MARKET
from mdp.demo.account import Found
from mdp.demo.feed import Feed
from sinks.queries import stored
from transports.kafka.topic_reader import Message, TopicReader
from transports.outgoing import Sent

HISTORY: Final = 60  # bars of each symbol
SIGNALS: Final = 20  # of each symbol
_RATE_SECONDS: Final = 3.0
_SECONDS: Final = 2.0
_DELAY: Final = "stream_watermark_delay_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of the pipeline at one moment.

    Attributes:
        sent: by the feed so far.
        rate: events sent per second, recently.
        delay: seconds of the wall clock since the lowest watermark; None before the first one.
        outcomes: the worker's stored counts.
        rows: row counts of bars, features and signals in the database.
        bars, features, signals: the newest of each symbol, newest first.
    """

    sent: Sent = field(default_factory=Sent)
    rate: float = 0.0
    delay: float | None = None
    outcomes: Outcomes = field(default_factory=Outcomes)
    rows: dict[str, int] = field(default_factory=dict)
    bars: pl.DataFrame = field(default_factory=pl.DataFrame)
    features: pl.DataFrame = field(default_factory=pl.DataFrame)
    signals: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def in_flight(self) -> int:
        """Events sent whose results are not stored yet."""
        return max(0, self.sent.total - self.outcomes.events)


class Observer:
    """Takes snapshots.

    All methods raise StoreUnavailable or SourceError if the database or Kafka cannot be reached.
    """

    def __init__(self, settings: Settings, feed: Feed) -> None:
        self._settings = settings
        self._url = settings.store.url.get_secret_value()
        self._feed = feed
        self._seen: deque[tuple[float, int]] = deque()

    def snapshot(self) -> Snapshot:
        """The present state; takes a few milliseconds of the database's time."""
        outcomes = self.outcomes()  # read before `sent`, so that no more events are counted than sent
        sent = self._feed.sent
        return Snapshot(
            sent=sent,
            rate=self._rate(sent.total),
            delay=_watermark_delay(self.metrics() or ""),
            outcomes=outcomes,
            rows=stored.totals(self._url),
            bars=stored.latest_bars(self._url, HISTORY),
            features=stored.latest_features(self._url),
            signals=stored.latest_signals(self._url, SIGNALS),
        )

    def outcomes(self) -> Outcomes:
        """The worker's stored counts."""
        return Outcomes(**stored.progress_of(self._url, MARKET.id(self._settings)))

    def found(self) -> Found:
        """Counts everything in the database and in the topics."""
        kafka = self._settings.bus.kafka
        outcomes, sums, rows = self.outcomes(), stored.bar_sums(self._url), stored.totals(self._url)
        late = [message.value() or b"" for message in self._records(kafka.late_topic)]
        event_ids = pl.Series([msgspec.json.decode(value)["event_id"] for value in late], dtype=pl.String)
        return Found(
            outcomes=outcomes,
            trades=sums["trades"],
            revisions=sums["revision"],
            bars=rows["bars_ohlcv"],
            features=rows["features"],
            signals=rows["signals"],
            signal_records=self._count(kafka.signals_topic),
            rejected_records=self._count(kafka.dlq_topic),
            late_records=len(late),
            # An event precedes its copy, so of two late records one is the copy, and a single late one is the copy.
            late_copies=int(self._feed.are_copies(event_ids.unique()).sum()),
        )

    def metrics(self) -> str | None:
        """The worker's metrics as it serves them; None while it does not."""
        telemetry = self._settings.telemetry
        connection = http.client.HTTPConnection(telemetry.metrics_host, telemetry.metrics_port, timeout=_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _rate(self, total: int) -> float:
        now = time.monotonic()
        self._seen.append((now, total))
        while now - self._seen[0][0] > _RATE_SECONDS:
            self._seen.popleft()
        since, before = self._seen[0]
        return (total - before) / (now - since) if now > since else 0.0

    def _count(self, topic: str) -> int:
        return sum(1 for _ in self._records(topic))

    def _records(self, topic: str) -> Iterator[Message]:
        with TopicReader(self._settings.bus.kafka, topic) as reader:
            for partition, bounds in reader.settled_bounds().items():
                for messages in reader.span(partition, *bounds):
                    yield from messages


def _watermark_delay(metrics: str) -> float | None:
    families = (family for family in text_string_to_metric_families(metrics) if family.name == _DELAY)
    return max((sample.value for family in families for sample in family.samples), default=None)
