"""Serves replay requests, one slice at a time, each slice in one transaction with the status that counts it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Literal, Self

from msgspec.structs import replace

from contracts.errors import MdpError
from contracts.payloads.replay_status import ReplayStatus
from flows.sender import sender
from flows.settings import Settings
from mdp.ops.leading import Service
from mdp.ops.replays.asked import Asked, read_control
from mdp.ops.replays.control import ControlLog, check_control, status_record
from mdp.ops.replays.journal import Entry, Journal
from mdp.ops.replays.orders import Refused, check_partitions, order_of, places_of
from mdp.ops.replays.run import Lost, Run, Slice
from telemetry.bus import note_produced
from telemetry.metrics import REPLAY_OPEN, REPLAY_REQUESTS
from telemetry.printable import printable
from transports.kafka.delivering import OutgoingRecord
from transports.kafka.errors import Forbidden, RecordTooLarge
from transports.kafka.topics import SourceError
from transports.kafka.transactions import Transactions

_LOOK_SECONDS: Final = 0.5  # between looks for new requests
_TELL_SECONDS: Final = 5.0  # between statuses of a replay that finds nothing to send
_AT_ONCE: Final = 100  # answers in a transaction
_MOST_REASON: Final = 1_000
_UNKNOWN: Final = "unknown"

log = logging.getLogger("mdp.replays")


def service(settings: Settings) -> Service:
    """The service of the control topic.

    Raises:
        SourceError, ControlError: the control topic is not what it has to be.
    """
    kafka = settings.bus.kafka
    check_control(kafka)
    group = f"mdp-replay-{kafka.control_topic}"
    return Service("replay service", kafka.control_topic, group, lambda: Desk(settings), _LOOK_SECONDS, _LOOK_SECONDS)


class Desk:
    """The one process that serves the requests of a control topic; a new one fences the former.

    Raises:
        Fenced: another process has taken over.
        KafkaUnavailable, BrokerUnavailable: Kafka does not answer; a new desk goes on where this one was.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings, self._kafka = settings, settings.bus.kafka
        self._sender = sender("replay-service")
        # Before the topic is read: it aborts the open transaction of the former process.
        self._transactions = Transactions(self._kafka, f"replay-{self._kafka.control_topic}")
        self._control, self._journal = ControlLog(self._kafka), Journal()
        self._run: Run | None = None
        self._is_restored = False
        self._looked_at = self._told_at = self._due = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._control.close()
        self._end_run()

    def work(self) -> float | None:
        """Do a part of what is to be done; return the seconds after which to call again, None if nothing is left."""
        if self._is_restored:
            self._look()
        else:
            self._restore()
        pending = self._journal.pending(_AT_ONCE)
        if pending:
            self._answer(pending)
            return 0.0
        running = self._journal.running()
        if not running:
            return None
        wait = self._due - time.monotonic()
        if wait > 0:
            return wait
        self._advance(running[0])
        return 0.0

    def _restore(self) -> None:
        """Read what was asked and answered before."""
        for message in self._control.settled():
            said = read_control(message.value())
            if isinstance(said, Asked):
                self._journal.hear(said)
            elif said is not None:
                self._journal.apply(said)
        self._is_restored = True

    def _look(self) -> None:
        """Read new requests. New statuses are our own, and known."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        for message in self._control.news():
            said = read_control(message.value())
            if isinstance(said, Asked):
                self._journal.hear(said)
        self._looked_at = time.monotonic()

    def _answer(self, pending: Sequence[Entry]) -> None:
        judged: list[tuple[Entry, ReplayStatus]] = []
        open_requests = len(self._journal.running())
        for entry in pending:
            status = self._judged(entry, open_requests)
            open_requests += status.state == "running"
            judged.append((entry, status))
        with self._transactions.begun():
            self._append([self._record(entry, status) for entry, status in judged])
        for entry, status in judged:
            self._note(entry, status)

    def _judged(self, entry: Entry, open_requests: int) -> ReplayStatus:
        """The first status of a request, or of one that is asked for again."""
        asked, before = entry.asked, entry.status
        unanswered = ReplayStatus(
            request_id=asked.id, request=asked.digest, state="running", read=0, sent=0, unreadable=0
        )
        try:
            if asked.flaw or asked.request is None:
                raise Refused(asked.flaw)
            order = order_of(self._settings, asked.request)
            if open_requests >= self._settings.replay.max_open:
                raise Refused(
                    f"{open_requests} requests are open, which is replay.max_open: ask again when one is done"
                )
            if before is not None and before.left is not None:
                return replace(before, state="running", reason=None)
            left = places_of(self._kafka, order)
        except MdpError as error:
            if error.passes:
                raise
            return _ended("refused", error, unanswered)
        return replace(unanswered, source=order.source, target=order.target, left=left)

    def _advance(self, entry: Entry) -> None:
        """Send the next slice of a request, or end it."""
        status = _status_of(entry)
        try:
            part = self._run_of(entry, status).next()
            if part is None:
                self._tell(entry, replace(status, state="done"))
            else:
                self._check_bound(status, part)
                self._send(entry, replace(status, **part.over(status)), part)
        except (Refused, Lost, SourceError, RecordTooLarge, Forbidden) as error:
            if error.passes:
                raise
            self._tell(entry, _ended("failed", error, _status_of(entry)))

    def _run_of(self, entry: Entry, status: ReplayStatus) -> Run:
        if self._run is None:
            if entry.asked.request is None:
                raise Refused("the request itself is no longer on the control topic")
            order = order_of(self._settings, entry.asked.request)
            check_partitions(self._kafka, order)
            self._run = Run(self._kafka, order, status, int(max(self._settings.replay.records_per_s, 1)))
        return self._run

    def _check_bound(self, status: ReplayStatus, part: Slice) -> None:
        most = self._settings.replay.max_records
        if status.sent + len(part.records) > most:
            raise Refused(f"it asks for more than {most:,} records, the replay.max_records here")

    def _send(self, entry: Entry, status: ReplayStatus, part: Slice) -> None:
        """Commit what there is to send; progress alone only now and then."""
        if not part.records and time.monotonic() - self._told_at < _TELL_SECONDS:
            self._journal.apply(status)
            return
        self._tell(entry, status, part.records)
        self._due = max(self._due, time.monotonic()) + len(part.records) / self._settings.replay.records_per_s

    def _tell(self, entry: Entry, status: ReplayStatus, records: Sequence[OutgoingRecord] = ()) -> None:
        """Commit a status, and the records that it counts."""
        with self._transactions.begun():
            if records:
                self._transactions.append(status.target or "", records)
            self._append([self._record(entry, status)])
        self._told_at = time.monotonic()
        note_produced(status.target or "", self._sender.producer, (record.headers for record in records), "ok")
        self._note(entry, status)
        if status.state != "running":
            self._end_run()

    def _record(self, entry: Entry, status: ReplayStatus) -> OutgoingRecord:
        request = entry.asked.request
        return status_record(status, _UNKNOWN if request is None else request.domain, self._sender, time.time_ns())

    def _append(self, statuses: Sequence[OutgoingRecord]) -> None:
        self._transactions.append(self._kafka.control_topic, statuses)

    def _note(self, entry: Entry, status: ReplayStatus) -> None:
        """Take a committed status in, and say so if the request has begun or ended."""
        if entry.is_pending or status.state != "running":
            REPLAY_REQUESTS.labels(status.state).inc()
            why = f": {status.reason}" if status.reason else ""
            log.info("replay %s is %s, %d records sent%s", status.request_id, status.state, status.sent, why)
        self._journal.apply(status)
        REPLAY_OPEN.set(len(self._journal.running()))

    def _end_run(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None


def _status_of(entry: Entry) -> ReplayStatus:
    """That of a request that has been answered."""
    if entry.status is None:
        raise ValueError("the request has not been answered")
    return entry.status


def _ended(state: Literal["refused", "failed"], error: MdpError, status: ReplayStatus) -> ReplayStatus:
    return replace(status, state=state, reason=printable(error.line)[:_MOST_REASON])
