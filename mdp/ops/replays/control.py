"""The control topic: requests and statuses as records, and reading them in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from codec.output_headers import PIPELINE, Sender, of_message, of_schema
from contracts.domain_keys import partition_key
from contracts.envelope import VERSION, Envelope, checksum
from contracts.errors import MdpError
from contracts.headers import MESSAGE_ID, PARTITION_KEY
from contracts.ids import joined_text
from contracts.message import MessageType
from contracts.payloads.replay_request import REPLAY_REQUEST_V1, ReplayRequest
from contracts.payloads.replay_status import REPLAY_STATUS_V1, ReplayStatus
from contracts.record import Headers, header_texts
from contracts.schema_names import name_of
from contracts.timestamps import format_timestamp
from flows.sender import sender
from mdp.ops.replays.asked import Asked, asked
from transports.kafka.config import KafkaConfig
from transports.kafka.delivering import OutgoingRecord, append
from transports.kafka.topic_reader import Message, TopicReader
from transports.kafka.topics import partitions_of

PARTITION: Final = 0


class ControlError(MdpError):
    """The control topic is not what it has to be."""


def check_control(kafka: KafkaConfig) -> None:
    """Checks that the control topic has one order.

    Raises:
        SourceError: it does not exist, or no broker answers.
        ControlError: it has several partitions.
    """
    partitions = len(partitions_of(kafka, kafka.control_topic))
    if partitions != 1:
        raise ControlError(
            f"{kafka.control_topic} has {partitions} partitions, and requests have one order",
            "give it one partition, as configs/topics.yaml does, or name another bus.kafka.control_topic",
        )


def post(kafka: KafkaConfig, request: ReplayRequest, now_ns: int) -> Asked:
    """Ask for a replay; return the request as it is known.

    Raises:
        ControlError, SourceError, KafkaUnavailable, Forbidden: the control topic does not take it.
    """
    check_control(kafka)
    own = asked(request)
    kind, headers = REPLAY_REQUEST_V1, _headers(REPLAY_REQUEST_V1, own.id, request.domain, own.id, now_ns)
    record = _record(kind, kind.encode(request), headers, sender("replay"), now_ns)
    append(kafka, kafka.control_topic, [record])
    return own


def status_record(status: ReplayStatus, domain: str, by: Sender, now_ns: int) -> OutgoingRecord:
    """A status as a record; it is in order with its request."""
    kind, said = REPLAY_STATUS_V1, joined_text(status.request_id, status.request, status.state, str(status.read))
    headers = _headers(kind, status.request_id, domain, said, now_ns)
    return _record(kind, kind.encode(status), headers, by, now_ns)


def _headers(kind: MessageType, request_id: str, domain: str, dedupe_key: str, now_ns: int) -> Headers:
    """What a message has by itself: those of one request are in order."""
    ordered_by = partition_key("control", {"domain": domain, "subject": request_id}).encode()
    return of_message(name_of(kind), now_ns, dedupe_key, ordered_by, PIPELINE)


def _record(kind: MessageType, payload: bytes, own: Headers, by: Sender, now_ns: int) -> OutgoingRecord:
    """A message in its envelope, as contracts/golden shows it; `own` are the headers that it has by itself."""
    now, texts = format_timestamp(now_ns), header_texts(own)
    envelope = Envelope(
        envelope_version=VERSION,
        event_id=texts[MESSAGE_ID],
        event_type=kind.event_type or "",
        source_id=PIPELINE,
        schema_ref=kind.schema_ref,
        event_time=now,
        ingest_time=now,
        checksum=checksum(payload),
        payload=msgspec.Raw(payload),
    )
    headers = of_schema(name_of(kind)) + own + by.headers(now_ns)
    return OutgoingRecord(PARTITION, texts[PARTITION_KEY].encode(), msgspec.json.encode(envelope), headers)


class ControlLog:
    """Reads the control topic from its begin.

    Raises:
        SourceError: it cannot be read.
    """

    def __init__(self, kafka: KafkaConfig) -> None:
        self._reader = TopicReader(kafka, kafka.control_topic)
        self._next = 0

    def close(self) -> None:
        self._reader.close()

    def settled(self) -> Iterator[Message]:
        """Yield all records up to the present end, once all transactions in front of it have ended."""
        return self._upto(*self._reader.settled_bounds()[PARTITION])

    def news(self) -> Iterator[Message]:
        """Yield the records since the last call."""
        return self._upto(*self._reader.bounds(PARTITION))

    def _upto(self, low: int, end: int) -> Iterator[Message]:
        for messages in self._reader.span(PARTITION, max(low, self._next), end):
            self._next = (messages[-1].offset() or 0) + 1
            yield from messages
        self._next = max(self._next, end)
