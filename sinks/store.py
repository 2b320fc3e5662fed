"""The database as a sink: waits for it, reports conflicts, and sends rows that it refuses to the dead letter queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Final

from codec.output_headers import PIPELINE, Sender, of_message, of_schema
from codec.output_records import (
    DLQ_ERROR,
    DLQ_REASON,
    FAILED_AT,
    SOURCE_OFFSET,
    SOURCE_PARTITION,
    SOURCE_ROW,
    SOURCE_TOPIC,
    STORE,
)
from contracts.batch import Confirm, MicroBatch
from contracts.progress import Reached, Source
from contracts.record import Headers
from contracts.schema_names import STORE_ROW
from sinks.connection import StoreUnavailable, with_tables
from sinks.timescale import TimescaleWriter
from sinks.write_result import RefusedRow
from telemetry.bus import note_produced
from telemetry.metrics import DLQ_RECORDS, ERRORS
from telemetry.outage import wait_out
from transports.kafka.config import KafkaConfig
from transports.kafka.delivering import OutgoingRecord, append
from transports.kafka.errors import KafkaUnavailable

_PROGRESS_SECONDS: Final = 1.0

log = logging.getLogger("mdp.sinks")


@dataclass
class StoreWriter:
    """Writes batches; returns only when they are committed, in the database or in the DLQ.

    Attributes:
        create_tables: called for a database that has replaced another, without tables or with an older schema.
    """

    writer: TimescaleWriter
    kafka: KafkaConfig
    sender: Sender
    confirm: Confirm
    create_tables: Callable[[], object]
    _held: list[MicroBatch] = field(default_factory=list, init=False)
    _written_at: float = field(default=0.0, init=False)

    def resume(self, acknowledged: Mapping[Source, Reached]) -> None:
        """Resumes from the progress of an earlier run.

        Raises:
            SetBack: the database has lost acknowledged data.
        """
        wait_out(lambda: self.writer.resume(acknowledged), StoreUnavailable, "the database")

    def write(self, batches: Sequence[MicroBatch]) -> None:
        """Writes rows at once, but progress without rows only from time to time, to save transactions."""
        self._held += batches
        if any(batch.has_results for batch in batches) or time.monotonic() - self._written_at > _PROGRESS_SECONDS:
            self._write_held()

    def close(self) -> None:
        """Writes what is held, which is progress only; after an error nothing is."""
        try:
            if self._held:
                self._write_held()
        finally:
            self.writer.close()

    def _write_held(self) -> None:
        batches, self._held = self._held, []
        self.confirm(batches)
        write = partial(with_tables, lambda: self.writer.write(batches), self.create_tables)
        result = wait_out(write, StoreUnavailable, "the database")
        self._written_at = time.monotonic()
        if result.conflicts:
            ERRORS.labels("store", "partition_conflict").inc(result.conflicts)
            log.error(
                "%d bars skipped as another partition wrote them, such as %s",
                result.conflicts,
                result.conflict_example,
            )
        if result.refused:
            ERRORS.labels("store", "refused").inc(len(result.refused))
            wait_out(lambda: self._send_to_dlq(result.refused), KafkaUnavailable, "Kafka")
            DLQ_RECORDS.labels(STORE).inc(len(result.refused))

    def _send_to_dlq(self, rows: Sequence[RefusedRow]) -> None:
        """Sends refused rows, which are rare, each by a temporary producer."""
        flush = self.sender.headers(time.time_ns())
        records = [OutgoingRecord(row.partition, None, row.row.encode(), _headers(row) + flush) for row in rows]
        append(self.kafka, self.kafka.dlq_topic, records)
        note_produced(self.kafka.dlq_topic, self.sender.producer, (record.headers for record in records), "dlq")


def _headers(row: RefusedRow) -> Headers:
    place = f"{row.topic}[{row.partition}]"
    own = sha256(row.key.encode()).hexdigest()  # which may be of any length
    dedupe_key = f"{place}@{row.offset}.{row.source_row}|{row.table}|{own}"
    return [
        *of_schema(STORE_ROW),
        (SOURCE_TOPIC, row.topic.encode()),
        (SOURCE_PARTITION, b"%d" % row.partition),
        (SOURCE_OFFSET, b"%d" % row.offset),
        (SOURCE_ROW, b"%d" % row.source_row),
        (DLQ_REASON, STORE.encode()),
        (DLQ_ERROR, f"{row.table}: {row.error}".encode()),
        (FAILED_AT, datetime.now(UTC).isoformat().encode()),
        *of_message(STORE_ROW, row.time, dedupe_key, place.encode(), PIPELINE),
    ]
