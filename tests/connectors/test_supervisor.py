from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.connector import Connector, ConnectorError, Disconnected, Emit
from connectors.manifest import load_manifest
from connectors.runtime.health import Health
from connectors.runtime.supervisor import Supervisor
from connectors.testkit import Unlimited, request_for
from tests.connectors.test_publishing import Shelf, publisher
from tests.connectors.venue import MANIFEST, trades

Connection = Callable[[Emit], Awaitable[None]]


class Acknowledging(Shelf):
    """A shelf on which everything is acknowledged with the next poll."""

    def poll(self) -> None:
        super().poll()
        for delivery in self.deliveries:
            delivery.done.set()

    @property
    def waiting(self) -> int:
        return 0


class Scripted(Connector):
    """Makes one connection after the other, as a test has them."""

    def __init__(self, folder: Path, connections: list[Connection], **manifest: Any) -> None:
        tree = yaml.safe_load(MANIFEST) | {"reconnect": {"first": "1ms", "longest": "2ms"}} | manifest
        (folder / "acme.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")
        super().__init__(request_for(load_manifest(folder / "acme.yaml"), options={"url": "x"}))
        self.connections = connections

    async def live(self, emit: Emit) -> None:
        await self.connections.pop(0)(emit)

    @property
    def calls(self) -> int:
        assert isinstance(self.request.limiter, Unlimited)
        return self.request.limiter.calls


def supervised(connector: Scripted, stop: asyncio.Event | None = None, **more: Any) -> tuple[Acknowledging, Health]:
    """Runs it to its end."""
    shelf, health = Acknowledging(), Health("acme")

    async def run() -> None:
        supervisor = Supervisor(connector, publisher(shelf, health=health), health, **more)
        async with asyncio.timeout(20):
            await supervisor.run(stop or asyncio.Event())

    asyncio.run(run())
    return shelf, health


def sends(start: int, error: Exception | None = None) -> Connection:
    async def connection(emit: Emit) -> None:
        await emit(trades(3, start=start), 1)
        if error is not None:
            raise error

    return connection


def test_it_connects_again_after_each_loss_and_ends_when_the_source_does(tmp_path: Path) -> None:
    lost = [Disconnected("gone"), ConnectionResetError("reset"), TimeoutError()]
    connector = Scripted(tmp_path, [*(sends(3 * at, error) for at, error in enumerate(lost)), sends(9)])
    shelf, health = supervised(connector)
    assert len(shelf.records) == 12
    assert (health.disconnects, health.state, health.taken) == (3, "ended", 12)
    assert connector.calls == 4  # each connection is a call


def test_what_was_taken_in_is_sent_before_an_error_that_ends_it(tmp_path: Path) -> None:
    connector = Scripted(tmp_path, [sends(0, ConnectorError("the password has changed"))])
    shelf, health = Acknowledging(), Health("acme")

    async def run() -> None:
        await Supervisor(connector, publisher(shelf, health=health), health).run(asyncio.Event())

    with pytest.raises(ConnectorError, match="the password has changed"):
        asyncio.run(run())
    assert len(shelf.records) == 3


def test_an_error_of_the_program_is_not_taken_for_a_lost_connection(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        supervised(Scripted(tmp_path, [sends(0, KeyError("a bug"))]))


def test_silence_ends_a_connection_and_signs_of_life_without_messages_do_not(tmp_path: Path) -> None:
    async def silent(emit: Emit) -> None:
        await asyncio.sleep(60)

    async def alive(emit: Emit) -> None:
        for _ in range(6):
            await emit((), 1)
            await asyncio.sleep(0.1)

    connector = Scripted(tmp_path, [silent, alive], stale_after="300ms")
    _, health = supervised(connector)
    assert (health.disconnects, connector.connections) == (1, [])


def test_companions_run_beside_it_and_end_when_everything_is_acknowledged(tmp_path: Path) -> None:
    said: list[str] = []

    class Companion:
        async def run(self) -> None:
            said.append("begun")
            await asyncio.sleep(60)

        def connected(self) -> None:
            said.append("connected")

        async def end(self) -> None:
            said.append("ended")

    supervised(Scripted(tmp_path, [sends(0)]), companions=[Companion()])
    assert said == ["begun", "connected", "ended"]


def test_health_says_why_a_source_is_not_well() -> None:
    now = 1_761_635_669_987_000_000
    health = Health("acme", stale_after_s=30)
    health._begun_ns = now
    health.begin("live")
    health.note_ok(now)
    health.note_latency(now - 41_200_000, now)
    report = health.report(now + 10**9)
    assert (report["ok"], report["reasons"], report["latency_ms"]) == (True, [], 41.2)
    assert report["last_ok"] == "2025-10-28T07:14:29.987000Z"
    assert health.obstacles(now + 31 * 10**9) == ["nothing from the source is in Kafka since 31 s"]
    health.note_disconnect("stale", "nothing has come for 30 s")
    assert health.report(now)["reasons"] == ["waiting: nothing has come for 30 s"]
