from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from codec.output_headers import Sender
from connectors.runtime.brake import Brake
from connectors.runtime.health import Health
from connectors.runtime.intake import Intake, Taken
from connectors.runtime.publishing import Publisher, Targets
from connectors.runtime.recent import Recent
from contracts.message import MessageType
from contracts.record import Headers, header_texts
from normalize.feed import Feed
from normalize.mapping import parse_mapping
from normalize.normalizer import Normalizer
from tests.connectors.venue import trade, trades

MAPPING = {
    "type": "trades/v2",
    "event_time": {"path": "t", "unit": "ms"},
    "sequence": "n",
    "fields": {"symbol": "s", "price": "p", "size": "q"},
}
ARRIVED = 1_761_314_400_500_000_000


class Delivered:
    """A delivery whose records are acknowledged when the test says so."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    @property
    def is_done(self) -> bool:
        return self.done.is_set()

    def complete(self) -> None:
        """The test decides."""

    async def acknowledged(self) -> None:
        await self.done.wait()


class Shelf:
    """A sink of so many places, which are free again when the test takes what is there."""

    def __init__(self, places: int = 10**9) -> None:
        self.places = places
        self.records: list[tuple[str, bytes, dict[str, str]]] = []
        self.deliveries: list[Delivered] = []
        self.polls = 0

    @property
    def waiting(self) -> int:
        return len(self.records)

    def delivery(self) -> Delivered:
        self.deliveries.append(Delivered())
        return self.deliveries[-1]

    def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers, delivery: Any) -> bool:
        if len(self.records) >= self.places:
            return False
        self.records.append((topic, value, header_texts(headers)))
        return True

    def poll(self) -> None:
        self.polls += 1


def publisher(sink: Shelf, *, drop: tuple[str, ...] = (), health: Health | None = None) -> Publisher:
    def topic_of(kind: MessageType) -> str:
        return kind.id

    targets = Targets(topic_of=topic_of, dlq_topic="dlq", sender=Sender("test@here", "run"), drop=drop)
    normalizer = Normalizer([parse_mapping(MAPPING)], Feed("acme"))
    return Publisher("acme", normalizer, sink, targets, health=health or Health("acme"))


def taken(raw: list[bytes]) -> Taken:
    return Taken(raw, [ARRIVED] * len(raw))


def run(check: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(check(), 20))


def test_a_message_that_comes_again_is_sent_once() -> None:
    async def check() -> None:
        shelf = Shelf()
        out = publisher(shelf)
        await out.publish(taken(trades(50)))
        await out.publish(taken(trades(80, start=20)))
        assert [json.loads(value)["sequence"] for _, value, _ in shelf.records] == list(range(100))

    run(check)


def test_who_waits_for_kafka_has_it_sent_again_as_the_first_may_not_have_arrived() -> None:
    async def check() -> None:
        shelf = Shelf()
        out = publisher(shelf)
        await out.publish(taken(trades(2)))
        confirmed = asyncio.create_task(out.confirmed([*trades(2), b"no json"], ARRIVED))
        await asyncio.sleep(0)
        assert not confirmed.done()
        shelf.deliveries[-1].done.set()
        receipt = await confirmed
        assert (receipt.accepted, [(one.record, one.reason) for one in receipt.refused]) == (2, [(2, "undecodable")])
        assert len(shelf.records) == 5

    run(check)


def test_what_is_refused_goes_to_the_dlq_with_its_bytes_and_the_reason_and_costs_its_neighbours_nothing() -> None:
    async def check() -> None:
        shelf, health = Shelf(), Health("acme")
        raw = [*trades(1), b"{no json", json.dumps(trade(1, p="much")).encode(), json.dumps(trade(2)).encode()]
        await publisher(shelf, health=health).publish(taken(raw))
        refused = [(value, texts) for topic, value, texts in shelf.records if topic == "dlq"]
        assert [value for value, _ in refused] == raw[1:3]
        assert [texts["dlq_reason"] for _, texts in refused] == ["undecodable", "contract"]
        assert "at `$.price`" in refused[1][1]["dlq_error"]
        assert {texts["flow"] for _, texts in refused} == {"connect-acme"}
        assert (health.taken, health.refused) == (2, 2)

    run(check)


def test_a_message_is_not_taken_for_acknowledged_before_all_before_it_are() -> None:
    async def check() -> None:
        shelf, health = Shelf(), Health("acme")
        out = publisher(shelf, health=health)
        await out.publish(taken(trades(1)))
        await out.publish(taken(trades(1, start=1)))
        shelf.deliveries[1].done.set()
        out.settle()
        assert health.last_ok_ns is None
        shelf.deliveries[0].done.set()
        await out.settled()
        assert health.last_ok_ns is not None

    run(check)


def test_a_full_sink_holds_messages_back_and_none_is_lost() -> None:
    async def check() -> None:
        shelf = Shelf(places=10)
        sending = asyncio.create_task(publisher(shelf).publish(taken(trades(25))))
        seen: list[int] = []
        while not sending.done():
            await asyncio.sleep(0.001)
            if len(shelf.records) == shelf.places or sending.done():
                seen += [json.loads(value)["sequence"] for _, value, _ in shelf.records]
                shelf.records.clear()
        seen += [json.loads(value)["sequence"] for _, value, _ in shelf.records]
        assert seen == list(range(25))

    run(check)


def test_only_what_the_manifest_allows_is_dropped_when_it_cannot_wait_and_it_may_come_again() -> None:
    async def check() -> None:
        shelf, health = Shelf(places=10), Health("acme")
        out = publisher(shelf, drop=("trades.tick",), health=health)
        await out.publish(taken(trades(25)))
        assert (len(shelf.records), health.dropped) == (10, 15)
        shelf.places = 100
        await out.publish(taken(trades(25)))
        assert sorted(json.loads(value)["sequence"] for _, value, _ in shelf.records) == list(range(25))

    run(check)


def test_a_source_is_held_back_while_consumers_are_behind_and_goes_on_at_half_of_the_bound() -> None:
    async def check() -> None:
        shelf, health = Shelf(), Health("acme")
        out = publisher(shelf, health=health)
        lags = deque([101, 51, 50])
        brake = Brake(out, lags.popleft, 100, look_s=0.01)
        states: list[bool] = []
        looking = asyncio.create_task(brake.run())
        while not looking.done():
            await asyncio.sleep(0.001)
            states.append(health.is_paused)
        with pytest.raises(IndexError):  # it has looked until there was nothing more to see
            looking.result()
        assert states[-1] is False
        assert True in states

    run(check)


def test_paused_messages_wait() -> None:
    async def check() -> None:
        shelf = Shelf()
        out = publisher(shelf)
        out.pause()
        sending = asyncio.create_task(out.publish(taken(trades(3))))
        await asyncio.sleep(0.05)
        assert (shelf.records, sending.done()) == ([], False)
        out.resume()
        await sending
        assert len(shelf.records) == 3

    run(check)


def test_emitting_waits_while_too_many_messages_or_bytes_are_on_their_way() -> None:
    async def check() -> None:
        intake = Intake(publisher(Shelf()).confirmed, lambda: None, most_messages=100, most_bytes=1_000)
        for raw, count in ((b"x", 100), (b"x" * 100, 10)):
            emitting = asyncio.create_task(intake([raw] * count, ARRIVED))
            await asyncio.sleep(0.01)
            assert not emitting.done()
            found = await intake.take()
            assert found is not None
            assert found.raw == [raw] * count
            await emitting

    run(check)


def test_at_the_end_the_intake_gives_what_is_left_and_then_nothing() -> None:
    async def check() -> None:
        intake = Intake(publisher(Shelf()).confirmed, lambda: None)
        await intake([b"last"], ARRIVED)
        intake.close()
        found = await intake.take()
        assert found is not None
        assert found.raw == [b"last"]
        assert await intake.take() is None

    run(check)


def test_the_last_ids_are_known_and_their_number_is_bounded() -> None:
    recent = Recent(most=1_000)
    for number in range(10_000):
        recent.add(str(number))
    assert all(str(number) in recent for number in range(9_500, 10_000))
    assert sum(str(number) in recent for number in range(10_000)) <= 1_000
