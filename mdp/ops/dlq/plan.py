"""The plan of a redrive: the chosen records that are events and have not been redriven, fixed if there is a fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Final

import msgspec
import polars as pl

from codec.arrow_rows import take_rows
from codec.output_headers import PIPELINE, of_message, of_schema, refused_key
from codec.output_records import STORE
from codec.refused import rows_in
from connectors import pacing
from contracts.headers import RETRY_COUNT
from contracts.record import JSON, Headers
from mdp.ops.dlq.fixes import Fix, as_json
from mdp.ops.dlq.marks import REDRIVEN_FROM, Marks, Origin
from mdp.ops.dlq.records import DlqRecord, as_bytes
from mdp.ops.originals import OriginalLost, Originals
from transports.kafka.partitioner import Partitioner

_SLICE: Final = 500  # events of a transaction
_SLICE_BYTES: Final = 4_000_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A refused event, ready to send."""

    record: DlqRecord
    origin: Origin
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def retry_count(self) -> int:
        return self.record.retries + 1


@dataclass(slots=True)
class Account:
    """The outcome of the chosen records.

    Attributes:
        sent: sent to the events topic, or, in a dry run, to be sent.
        redriven: skipped, as they had been redriven before.
        exhausted: skipped, as they have reached the maximum of retries.
        foreign: skipped, as they are not events of the events topic.
        unfixed: skipped by the fix.
        unfixable: skipped, as the fix failed.
        too_large: skipped, as the events topic does not accept a record of this size.
        lost: skipped, as only a stub is in the DLQ, and the log no longer holds the original.
        failure: the first failure.
    """

    sent: int = 0
    redriven: int = 0
    exhausted: int = 0
    foreign: int = 0
    unfixed: int = 0
    unfixable: int = 0
    too_large: int = 0
    lost: int = 0
    failure: str = ""

    @property
    def left(self) -> int:
        """Events that stay in the DLQ."""
        return self.exhausted + self.unfixed + self.unfixable + self.too_large + self.lost

    def __add__(self, other: Account) -> Account:
        counts = {one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)[:-1]}
        return Account(**counts, failure=self.failure or other.failure)

    def leave_as_unfixable(self, record: DlqRecord, error: Exception) -> None:
        self.unfixable += 1
        self._note(record, f"the fix: {error}")

    def leave_as_too_large(self, one: Outgoing) -> None:
        self.too_large += 1
        self._note(one.record, f"{len(one.value or b''):,} bytes are more than the events topic accepts")

    def leave_as_lost(self, record: DlqRecord, error: OriginalLost) -> None:
        self.lost += 1
        self._note(record, str(error))

    def _note(self, record: DlqRecord, why: str) -> None:
        self.failure = self.failure or f"[{record.partition}]@{record.offset}: {why}"


@dataclass
class Plan:
    """The records to send, and in what form.

    Attributes:
        topic: the events topic, with `partitions` partitions.
        marks: the events redriven before.
        originals: original records of the events topic.
        fix, max_retries, limit: those of the order.
    """

    topic: str
    partitions: int
    marks: Marks
    originals: Originals
    max_retries: int
    fix: Fix | None = None
    limit: int | None = None
    account: Account = field(default_factory=Account)

    def outgoing(self, records: Iterable[DlqRecord]) -> Iterator[Outgoing]:
        """Yield the events to send, and account for the others."""
        partitioner, planned = Partitioner(self.partitions), set[Origin]()
        for record in records:
            if self.limit is not None and len(planned) >= self.limit:
                return
            origin = self._wanted(record, planned)
            if origin is None:
                continue
            whole = self._whole(record, origin)
            one = None if whole is None else self._fixed(whole, origin, partitioner)
            if one is not None:
                planned.add(one.origin)
                yield one

    def _wanted(self, record: DlqRecord, planned: set[Origin]) -> Origin | None:
        origin, account = record.origin, self.account
        if origin is None or record.reason == STORE or origin.topic != self.topic:
            account.foreign += 1
        elif origin in self.marks.redriven or origin in planned:
            account.redriven += 1
        elif record.retries >= self.max_retries:
            account.exhausted += 1
        else:
            return origin
        return None

    def _whole(self, record: DlqRecord, origin: Origin) -> DlqRecord | None:
        """The record with the key and payload of its original, if it is a stub."""
        if record.stub is None:
            return record
        try:
            message = self.originals.fetch(record.stub, origin.partition, origin.offset)
        except OriginalLost as error:
            self.account.leave_as_lost(record, error)
            return None
        return replace(record, key=as_bytes(message.key()), payload=message.value())

    def _fixed(self, record: DlqRecord, origin: Origin, partitioner: Partitioner) -> Outgoing | None:
        try:
            payload = _refused_part(record)
            if self.fix is None:
                headers = _headers(record, origin, record.key, record.content_type or JSON)
                return Outgoing(record, origin, origin.partition, record.key, payload, headers)
            before = as_json(payload, record.content_type)
            after = self.fix(before)
        except Exception as error:  # any content of the record, any result of the fix
            self.account.leave_as_unfixable(record, error)
            return None
        if after is None:
            self.account.unfixed += 1
            return None
        symbol = _symbol(after)
        if symbol is None or symbol == _symbol(before):  # it stays in the partition of its producer
            headers = _headers(record, origin, record.key, JSON)
            return Outgoing(record, origin, origin.partition, record.key, after, headers)
        key, partition = symbol.encode(), int(partitioner.assign(pl.Series([symbol]))[0])
        return Outgoing(record, origin, partition, key, after, _headers(record, origin, key, JSON))


def _refused_part(record: DlqRecord) -> bytes | None:
    """The payload without the rows that were accepted."""
    if record.rows is None or record.payload is None:
        return record.payload
    return take_rows(record.payload, rows_in(record.rows))


def _headers(record: DlqRecord, origin: Origin, key: bytes | None, content_type: str) -> Headers:
    """All but who sends it: each retry is a message of its own, in the trace of the event."""
    place, retries = f"{origin.topic}[{origin.partition}]", record.retries + 1
    schema, own = record.schema, f"{origin}#{retries}"
    message = of_message(schema, record.failed_at, own, refused_key(key, place), PIPELINE, trace=record.trace)
    again: Headers = [(RETRY_COUNT, b"%d" % retries), (REDRIVEN_FROM, str(origin).encode())]
    return of_schema(schema, content_type) + again + message


class _Symbol(msgspec.Struct):
    symbol: str | None = None


def _symbol(text: bytes) -> str | None:
    try:
        return msgspec.json.decode(text, type=_Symbol).symbol or None
    except ValueError:
        return None


def slices(outgoing: Iterator[Outgoing], rate: float | None, clock: pacing.Clock) -> Iterator[Sequence[Outgoing]]:
    """Cut the events into transactions, `rate` events per second, until the end or until the clock stops."""
    held: Sequence[Outgoing] = ()

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal held
        for held in _cut(outgoing):
            yield pl.DataFrame({"place": range(len(held))})

    released = pacing.at_once(frames(), clock) if rate is None else pacing.at_rate(frames(), rate, clock)
    for rows in released:
        yield [held[place] for place in rows["place"]]


def _cut(outgoing: Iterator[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    held: list[Outgoing] = []
    size = 0
    for one in outgoing:
        held.append(one)
        size += len(one.value or b"")
        if len(held) >= _SLICE or size >= _SLICE_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held
