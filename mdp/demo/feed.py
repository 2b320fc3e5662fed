"""A synthetic market, sent live from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import polars as pl

from connectors import pacing
from connectors.synthetic.market import SyntheticConfig, SyntheticMarket
from transports.kafka.config import KafkaConfig
from transports.kafka.producer import produce
from transports.outgoing import DUPLICATE, Sent


class Feed:
    """Sends the market from its start until it is stopped.

    Attributes:
        sent: the account of events passed to the client so far; after the stop, of events acknowledged by Kafka.
    """

    def __init__(self, market: SyntheticConfig, rate: float, kafka: KafkaConfig) -> None:
        self.sent = Sent()
        self._market = market
        self._rate = rate
        self._kafka = kafka
        self._stop = threading.Event()
        self._copies: list[pl.Series] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> None:
        """Stop sending, and wait until Kafka has acknowledged everything.

        Raises:
            ProduceError: it did not.
        """
        self._stop.set()
        self._thread.join()
        self.check()

    def abandon(self) -> None:
        """Stop sending, without waiting for acknowledgements."""
        self._stop.set()

    def check(self) -> None:
        """Raise the ProduceError with which the feed has failed, if it has."""
        if self._failure is not None:
            raise self._failure

    def are_copies(self, event_ids: pl.Series) -> pl.Series:
        """Whether each of these events was sent twice."""
        copies = pl.concat(self._copies) if self._copies else pl.Series(dtype=pl.UInt64)
        return event_ids.hash().is_in(copies.implode())

    def _run(self) -> None:
        try:
            chunks = SyntheticMarket(self._market, time.time_ns(), self._rate).chunks()
            paced = pacing.at_arrival(chunks, pacing.WallClock(self._stop))
            self.sent = produce(
                self._recording_duplicates(paced), self._kafka.client(), self._kafka.topic, on_progress=self._advance
            )
        except Exception as failure:
            self._failure = failure

    def _recording_duplicates(self, chunks: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The unchanged chunks; remembers, in eight bytes each, which events were sent twice."""
        for chunk in chunks:
            copies = chunk.filter(pl.col("label") == DUPLICATE)
            if copies.height:
                self._copies.append(copies["event_id"].hash())
            yield chunk

    def _advance(self, sent: Sent) -> None:
        self.sent = sent
