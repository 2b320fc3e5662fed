"""Frames of events, or messages, into a Kafka topic: by key, a symbol on one partition, every record acknowledged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any, Final, NamedTuple

import polars as pl
from confluent_kafka import KafkaError, KafkaException, Producer

from codec.encode import CONTENT_TYPES, Encoding, encode
from codec.event_headers import event_headers
from codec.output_headers import Sender
from contracts.errors import MdpError
from contracts.record import CONTENT_TYPE, Headers
from transports.kafka import brokers
from transports.kafka.partitioner import Partitioner
from transports.kafka.producing import Failures, backpressured
from transports.outgoing import Sent

_FLUSH_SECONDS: Final = 1.0
_ARROW_ROWS: Final = 1_000  # of a record

_CONFIG: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "compression.type": "lz4",
    "linger.ms": 5,
    "batch.num.messages": 100_000,
    "batch.size": 1_000_000,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 262_144,
    "message.timeout.ms": 60_000,
    # Each report of success would cost a call; a record neither queued nor reported as failed is acknowledged.
    "delivery.report.only.error": True,
    # Failures are raised as one-line errors.
    "log_level": 0,
}


class ProduceError(MdpError):
    """Kafka is unreachable, or did not accept records."""


class Keyed(NamedTuple):
    """Records of messages, as columns of one length.

    Attributes:
        keys: by which partitions are chosen.
        values: the messages.
        headers: of each.
    """

    keys: Sequence[str]
    values: Sequence[bytes]
    headers: Sequence[Headers]


def produce(
    chunks: Iterable[pl.DataFrame],
    producer_config: Mapping[str, Any],
    topic: str,
    encoding: Encoding = "json",
    on_progress: Callable[[Sent], None] | None = None,
    *,
    sender: Sender | None = None,
) -> Sent:
    """Send OUTGOING frames to `topic` and return the account of the records: all are acknowledged.

    Args:
        chunks: the frames in order; `pacing` releases them on time and ends them on a stop.
        producer_config: librdkafka properties, `bootstrap.servers` at least.
        topic: an existing topic.
        encoding: of the events; rows with `raw` bytes go out as they are.
        on_progress: called after every chunk with the account so far.
        sender: as whom events are sent, in the headers of their records; without one these have no such headers, which
            cost several times what all else does where each event is a record. Rows with `raw` bytes have none anyway.

    Raises:
        ProduceError: the topic does not exist, no broker answers, or records were not acknowledged.
    """
    delivery = _Delivery(producer_config, topic, sender)

    def sent() -> Iterator[pl.DataFrame]:
        for chunk in chunks:
            delivery.send(chunk, encoding)
            yield chunk

    return delivery.account(sent(), on_progress)


def produce_messages(
    chunks: Iterable[tuple[pl.DataFrame, Keyed]],
    producer_config: Mapping[str, Any],
    topic: str,
    on_progress: Callable[[Sent], None] | None = None,
) -> Sent:
    """Send messages to `topic` and return the account of the records: all are acknowledged.

    Args:
        chunks: frames with the columns that `Sent.of` counts, each with the records of its rows.
        producer_config: librdkafka properties, `bootstrap.servers` at least.
        topic: an existing topic.
        on_progress: called after every chunk with the account so far.

    Raises:
        ProduceError: the topic does not exist, no broker answers, or records were not acknowledged.
    """
    delivery = _Delivery(producer_config, topic, None)

    def sent() -> Iterator[pl.DataFrame]:
        for rows, records in chunks:
            delivery.send_records(records)
            yield rows

    return delivery.account(sent(), on_progress)


class _Delivery:
    """A producer that tracks the delivery of its records."""

    def __init__(self, producer_config: Mapping[str, Any], topic: str, sender: Sender | None) -> None:
        self._client = producer_config
        self._topic = topic
        self._sender = sender
        self._partitioner = Partitioner(self._partitions())
        self._failures = Failures()
        self._producer = Producer(
            {**_CONFIG, **producer_config, "on_delivery": self._failures.note, "error_cb": _ignore}
        )
        self._produce = backpressured(self._producer, self._check)

    def account(self, frames: Iterable[pl.DataFrame], on_progress: Callable[[Sent], None] | None) -> Sent:
        """Counts frames as they are handed over, and returns when all of their records are acknowledged."""
        sent = Sent()
        try:
            for frame in frames:
                sent += Sent.of(frame)
                if on_progress is not None:
                    on_progress(sent)
        finally:
            self.finish()
        return sent

    def send(self, chunk: pl.DataFrame, encoding: Encoding) -> None:
        """Hand all rows of `chunk` to the client; waits while its queue is full."""
        if encoding == "json":
            self._send_json(chunk)
        else:
            is_event = chunk["raw"].is_null()
            self._send_encoded(chunk.filter(is_event), encoding)
            self._send_json(chunk.filter(~is_event))
        self._serve()

    def send_records(self, records: Keyed) -> None:
        """Hand records to the client; waits while its queue is full."""
        self._enqueue(pl.Series(records.keys, dtype=pl.String), records.values, records.headers)
        self._serve()

    def finish(self) -> None:
        """Wait until every record is acknowledged or has failed."""
        while self._producer.flush(_FLUSH_SECONDS):
            self._check()
        self._check()

    def _send_json(self, rows: pl.DataFrame) -> None:
        """Events and raw records as they come. JSON says itself what it is: a header would double what it costs."""
        is_event = rows["raw"].is_null()
        events = rows.filter(is_event)
        values = encode(events, "json")
        headers: Iterable[Headers | None] = repeat(None)
        if self._sender is not None:
            headers = self._headers(events, values, "json")
        if is_event.all():
            self._enqueue(rows["symbol"], values, headers)
            return
        encoded = zip(values, headers, strict=False)
        mixed = [next(encoded) if raw is None else (raw, None) for raw in rows["raw"]]
        self._enqueue(rows["symbol"], [value for value, _ in mixed], [its_headers for _, its_headers in mixed])

    def _send_encoded(self, events: pl.DataFrame, encoding: Encoding) -> None:
        if encoding != "arrow":
            values = encode(events, encoding)
            self._enqueue(events["symbol"], values, self._headers(events, values, encoding))
            return
        target = self._partitioner.assign(events["symbol"]).alias("partition")
        for rows in events.with_columns(target).partition_by("partition"):
            values = encode(rows, encoding, _ARROW_ROWS)
            # The first row's symbol is the key for all: they share its partition.
            symbols = pl.Series(rows["symbol"].head(1).to_list() * len(values), dtype=pl.String)
            self._enqueue(symbols, values, self._headers(rows.gather_every(_ARROW_ROWS), values, encoding))

    def _headers(self, firsts: pl.DataFrame, values: Sequence[bytes], encoding: Encoding) -> Sequence[Headers]:
        """Of each record, given the first event in it."""
        content_type = CONTENT_TYPES[encoding]
        if self._sender is None:
            return [[(CONTENT_TYPE, content_type.encode())]] * len(values)
        flush = self._sender.headers(time.time_ns())
        return event_headers(firsts, values, content_type, flush, many=encoding == "arrow")

    def _enqueue(self, symbols: pl.Series, values: Sequence[bytes], headers: Iterable[Headers | None]) -> None:
        """Queue records with these symbols as keys."""
        keys = symbols.cast(pl.Binary).to_list()
        partitions = self._partitioner.assign(symbols).to_list()
        produce_record = partial(self._produce, self._topic)
        for value, key, partition, its_headers in zip(values, keys, partitions, headers, strict=False):
            try:
                produce_record(value, key, partition, headers=its_headers)
            except KafkaException as error:
                raise ProduceError(f"cannot send a record of {len(value)} bytes: {error.args[0].str()}") from error

    def _serve(self) -> None:
        self._producer.poll(0)
        self._check()

    def _partitions(self) -> int:
        try:
            metadata = brokers.metadata(self._client, self._topic).topics[self._topic]
        except brokers.Unreachable as error:
            raise ProduceError(str(error)) from None
        if metadata.error is not None:
            remedy = brokers.nearest(self._client, self._topic, metadata.error) or "; create it first"
            raise ProduceError(f"cannot write to topic {self._topic}: {metadata.error.str()}{remedy}")
        return len(metadata.partitions)

    def _check(self) -> None:
        failed = self._failures
        if failed.count:
            raise ProduceError(
                f"Kafka did not acknowledge at least {failed.count} records of topic {self._topic}: {failed.reason}; "
                "sending all of them again is safe if events have an event_id or a seq, as duplicates are dropped"
            )


def _ignore(_: KafkaError) -> None:
    """Ignores errors of connections, which come and go: only the delivery of records counts."""
