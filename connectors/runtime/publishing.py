"""From raw messages to records: normalized, without repeats, sent and acknowledged; what is refused goes to the DLQ."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from codec.encoding import EncodingError, PayloadCodec
from codec.message_keys import new_traces
from codec.output_headers import Sender, of_known, of_schema
from codec.refused import one_line
from connectors.connector import Raw, Receipt, Refusal
from connectors.runtime.health import Health
from connectors.runtime.intake import Taken
from connectors.runtime.recent import Recent
from connectors.runtime.refused import refused_record
from connectors.runtime.sink import Delivery, Sink
from contracts.budgets import GZIP_ABOVE_BYTES
from contracts.headers import SOURCE, pairs
from contracts.message import MessageType
from contracts.record import Headers
from contracts.schema_names import name_of
from normalize.envelopes import Accepted
from normalize.feed import Arrivals
from normalize.normalizer import Normalizer, Rejected
from normalize.rows import CONTRACT
from telemetry.metrics import (
    CONNECTOR_DROPPED,
    CONNECTOR_MESSAGES,
    CONNECTOR_REJECTED,
    CONNECTOR_REPEATS,
    CONNECTOR_SKIPPED,
    DLQ_RECORDS,
    PRODUCED,
)

_FULL_SECONDS: Final = 0.01


class Observer(Protocol):
    """Follows what goes out, such as to know up to where a source has been read."""

    def note(self, messages: Accepted, delivery: Delivery) -> None:
        """Notes messages that were handed over, in the order of the source; repeats are among them.

        They are in Kafka when this delivery and all before it are done.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Where messages go, and as whose.

    Attributes:
        topic_of: the topic of a type.
        dlq_topic: of what is refused.
        sender: this process.
        payloads: packs large messages.
        drop: the event types whose messages are dropped when they cannot wait.
    """

    topic_of: Callable[[MessageType], str]
    dlq_topic: str
    sender: Sender
    payloads: PayloadCodec = field(default_factory=PayloadCodec)
    drop: tuple[str, ...] = ()


class _Route(NamedTuple):
    topic: str
    event_type: str
    headers: Headers
    may_drop: bool


class _Open(NamedTuple):
    """A delivery that is not known to be done, and how many records of which topics it has."""

    delivery: Delivery
    records: Counter[str]


class Publisher:
    """Publishes what one connector takes in.

    Args:
        connector: its id.
        normalizer: maps and validates.
        sink: takes the records.
        targets: where they go.
        health: learns what becomes of them.
        observers: follow the messages.
    """

    def __init__(
        self,
        connector: str,
        normalizer: Normalizer,
        sink: Sink,
        targets: Targets,
        *,
        health: Health,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._connector, self._normalizer, self._sink = connector, normalizer, sink
        self._targets, self._health, self._observers = targets, health, observers
        self._source = normalizer.feed.source_id
        self._recent = Recent()
        self._open: deque[_Open] = deque()
        self._may_send = asyncio.Event()
        self._may_send.set()
        self._route = cache(self._new_route)
        for kind in normalizer.kinds:
            CONNECTOR_MESSAGES.labels(connector, str(kind.event_type))  # 0 until then, so that shares of it are known

    def pause(self) -> None:
        """Holds messages back; those that may be dropped are."""
        self._may_send.clear()
        self._health.note_paused(is_paused=True)

    def resume(self) -> None:
        self._may_send.set()
        self._health.note_paused(is_paused=False)

    async def publish(self, taken: Taken) -> Delivery:
        """Hands over what raw messages become; waits while the sink has no room.

        Raises:
            MdpError: the sink takes nothing any more.
        """
        delivery, _ = await self._publish(taken, skips_repeats=True)
        return delivery

    async def confirmed(self, raw: Sequence[Raw], arrived_ns: int) -> Receipt:
        """The same, and waits until all is acknowledged. What came before is sent again: it may not have arrived.

        Raises:
            MdpError: the sink takes nothing any more.
        """
        delivery, receipt = await self._publish(Taken(list(raw), [arrived_ns] * len(raw)), skips_repeats=False)
        await delivery.acknowledged()
        return receipt

    def settle(self) -> None:
        """Notes what has been acknowledged since.

        Raises:
            MdpError: nothing more can be sent.
        """
        self._sink.poll()
        while self._open and self._open[0].delivery.is_done:
            done = self._open.popleft()
            self._health.note_ok(time.time_ns())
            for topic, count in done.records.items():
                PRODUCED.labels(topic, self._targets.sender.producer).inc(count)
        self._health.note_waiting(self._sink.waiting)

    async def settled(self) -> None:
        """Waits until everything is acknowledged.

        Raises:
            MdpError: something never will be.
        """
        while self._open:
            self.settle()
            await asyncio.sleep(_FULL_SECONDS)

    async def _publish(self, taken: Taken, *, skips_repeats: bool) -> tuple[Delivery, Receipt]:
        result = self._normalizer.normalize(taken.raw, Arrivals(taken.times))
        batch = _Batch(self._sink.delivery(), self._targets.sender.headers(time.time_ns()), skips_repeats)
        self._open.append(_Open(batch.delivery, batch.records))
        try:
            rejected = result.rejected
            for group in result.accepted:
                rejected = rejected + await self._send_all(group, batch)
                self._note_latency(group, taken.times)
            await self._refuse_all(rejected, taken, batch)
        finally:
            batch.delivery.complete()
        if result.skipped:
            CONNECTOR_SKIPPED.labels(self._connector).inc(result.skipped)
        too_large = len(rejected) - len(result.rejected)
        accepted = sum(map(len, result.accepted)) - too_large
        self._health.taken += accepted
        refused = tuple(Refusal(one.record, one.reason, one.error) for one in rejected)
        return batch.delivery, Receipt(accepted, result.skipped, refused)

    async def _send_all(self, group: Accepted, batch: _Batch) -> list[Rejected]:
        """Sends messages, and returns those that are too large."""
        route, too_large, counts = self._route(group.kind), list[Rejected](), Counter[str]()
        columns = zip(
            *(group.keys, group.values, group.message_ids, group.dedupe_keys, group.partition_keys),
            new_traces([own_id.encode() for own_id in group.message_ids]),
            strict=True,
        )
        for at, (key, value, own_id, dedupe_key, ordered_by, trace) in enumerate(columns):
            if batch.skips_repeats and own_id in self._recent:
                counts["repeats"] += 1
                continue
            headers = route.headers + of_known(own_id.encode(), dedupe_key.encode(), ordered_by.encode(), trace)
            if len(value) > GZIP_ABOVE_BYTES:
                try:
                    value, packing = await asyncio.to_thread(self._targets.payloads.pack, value)  # noqa: PLW2901
                except EncodingError as error:
                    too_large.append(Rejected(group.records[at], group.numbers[at], CONTRACT, one_line(error)))
                    continue
                headers += pairs(**packing)
            if await self._send(route, key.encode(), value, headers + batch.headers, batch.delivery):
                self._recent.add(own_id)
                counts["sent"] += 1
            else:
                counts["dropped"] += 1
        self._count(route, counts, batch)
        for observer in self._observers:
            observer.note(group, batch.delivery)
        return too_large

    async def _send(self, route: _Route, key: bytes | None, value: bytes, headers: Headers, delivery: Delivery) -> bool:
        """Sends a record once there is room; False if it may not wait for that."""
        while not (self._may_send.is_set() and self._sink.send(route.topic, key, value, headers, delivery)):
            self.settle()
            if route.may_drop:
                return False
            await asyncio.sleep(_FULL_SECONDS)
        return True

    async def _refuse_all(self, rejected: Sequence[Rejected], taken: Taken, batch: _Batch) -> None:
        """Sends each raw message that has something refused to the DLQ, once for each reason."""
        route = _Route(self._targets.dlq_topic, "", [], may_drop=False)
        for record, group in groupby(sorted(rejected), attrgetter("record")):
            first, *others = group
            if others:
                first = first._replace(error=f"{first.error} (the first of {len(others) + 1} rows)")
            arrived_ns = taken.times[record]
            refused = refused_record(taken.raw[record], first, self._connector, self._source, arrived_ns)
            CONNECTOR_REJECTED.labels(self._connector, first.reason).inc(len(others) + 1)
            self._health.refused += len(others) + 1
            if batch.skips_repeats and refused.id in self._recent:
                continue
            await self._send(route, None, refused.value, refused.headers + batch.headers, batch.delivery)
            self._recent.add(refused.id)
            DLQ_RECORDS.labels(first.reason).inc()
            batch.records[route.topic] += 1

    def _count(self, route: _Route, counts: Counter[str], batch: _Batch) -> None:
        batch.records[route.topic] += counts["sent"]
        CONNECTOR_MESSAGES.labels(self._connector, route.event_type).inc(counts["sent"])
        if counts["repeats"]:
            CONNECTOR_REPEATS.labels(self._connector).inc(counts["repeats"])
        if counts["dropped"]:
            CONNECTOR_DROPPED.labels(self._connector, route.event_type).inc(counts["dropped"])
            self._health.dropped += counts["dropped"]

    def _note_latency(self, group: Accepted, arrivals: Sequence[int]) -> None:
        if len(group):
            self._health.note_latency(group.times[-1], arrivals[group.records[-1]])

    def _new_route(self, kind: MessageType) -> _Route:
        event_type = str(kind.event_type)
        headers: Headers = [*of_schema(name_of(kind)), (SOURCE, self._source.encode())]
        return _Route(self._targets.topic_of(kind), event_type, headers, event_type in self._targets.drop)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is being published: its delivery, the headers that all its records share, and its records by topic."""

    delivery: Delivery
    headers: Headers
    skips_repeats: bool
    records: Counter[str] = field(default_factory=Counter)
