"""Websocket feeds into a real Kafka: connections that end, fall silent and repeat themselves, and crashes."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web

from mdp.local import LocalStack
from tests.connectors.feeds import Running, Site, manifest
from tests.connectors.venue import MANIFEST, Server, Venue, trade, trades
from tests.harness import until

RECONNECT = {"first": "10ms", "longest": "100ms"}
QUICK = {"reconnect": RECONNECT, "rate_limits": {"max_rps": 10, "burst": 10}}
SYMBOLS = ("BTC-USD", "ETH-USD")


@pytest.fixture
def site(kafka: str, tmp_path: Path) -> Site:
    return Site(kafka, tmp_path)


@pytest.fixture
def running() -> Iterator[list[Running]]:
    """What a test has started ends with it."""
    started: list[Running] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.kill()


def start(site: Site, file: Path, port: int, *arguments: str) -> Running:
    options = ("--symbols", ",".join(SYMBOLS), "--set", f"url=ws://127.0.0.1:{port}/feed")
    return site.start(file, *options, *arguments)


def test_messages_become_envelopes_on_the_topic_of_their_type_and_a_stop_is_clean(
    site: Site, tmp_path: Path, running: list[Running]
) -> None:
    venue = Venue([*trades(1_000, SYMBOLS), b'{"ch": "error"}'])
    with venue.server() as server:
        running.append(start(site, manifest(tmp_path, MANIFEST), server.port))
        until(lambda: site.distinct() == 1_000, "all trades")
        code, said = running[0].stop()
    assert code == 0, said
    assert "1,000 messages in Kafka, 1 refused" in said
    assert venue.heard[0] == {"op": "subscribe", "symbols": list(SYMBOLS)}
    first = next(one for one in site.envelopes() if one["sequence"] == 7)
    assert (first["source_id"], first["realm"], first["event_type"]) == ("acme", site.realm, "trades.tick")
    assert first["payload"] == {"symbol": "ETH-USD", "price": 107.0, "size": 1.0, "side": "buy"}
    assert site.refused() == [("contract", b'{"ch": "error"}')]


def test_a_venue_that_hangs_up_ten_times_a_second_and_repeats_itself_loses_and_doubles_nothing(
    site: Site, tmp_path: Path, running: list[Running]
) -> None:
    venue = Venue(trades(4_000, SYMBOLS), cut_after=100, resumes=True, overlap=20)
    with venue.server() as server:
        running.append(start(site, manifest(tmp_path, MANIFEST, **QUICK), server.port))
        until(lambda: site.distinct() == 4_000, "all trades")
        code, said = running[0].stop()
    assert code == 0, said
    assert venue.connections >= 50
    assert sorted(site.sequences()) == list(range(4_000))


def test_a_silent_connection_is_replaced(site: Site, tmp_path: Path, running: list[Running]) -> None:
    venue = Venue(trades(300, SYMBOLS), silent_after=100, resumes=True)
    with venue.server() as server:
        file = manifest(tmp_path, MANIFEST, stale_after="300ms", **QUICK)
        running.append(start(site, file, server.port))
        until(lambda: site.distinct() == 300, "all trades")
        assert venue.connections >= 3


def test_a_venue_that_is_not_there_is_waited_for(site: Site, tmp_path: Path, running: list[Running]) -> None:
    with Venue().server() as gone:
        port = gone.port
    running.append(start(site, manifest(tmp_path, MANIFEST, **QUICK), port))
    with pytest.raises(subprocess.TimeoutExpired):
        running[0].process.wait(3)
    with Venue(trades(10)).server(port):
        until(lambda: site.distinct() == 10, "all trades")


@pytest.mark.slow
def test_a_process_that_is_killed_again_and_again_loses_nothing_that_the_venue_sends_again(
    site: Site, tmp_path: Path, running: list[Running]
) -> None:
    venue, file = Venue(trades(20_000, SYMBOLS), pause_s=0.02), manifest(tmp_path, MANIFEST, **QUICK)
    with venue.server() as server:
        for reached in (2_000, 6_000, 12_000):
            running.append(start(site, file, server.port))
            until(lambda reached=reached: site.distinct() >= reached, "some trades")  # type: ignore[misc]
            running[-1].kill()
        running.append(start(site, file, server.port))
        until(lambda: site.distinct() == 20_000, "all trades")
        code, said = running[-1].stop()
    assert code == 0, said
    by_id = {one["event_id"]: one["sequence"] for one in site.envelopes()}
    assert sorted(by_id.values()) == list(range(20_000))


@pytest.mark.slow
def test_while_kafka_is_away_the_venue_is_held_back_and_memory_is_bounded(
    stack: LocalStack, site: Site, tmp_path: Path, running: list[Running]
) -> None:
    padding = "x" * 2_000
    messages = [json.dumps(trade(number, SYMBOLS[number % 2], note=padding)).encode() for number in range(150_000)]
    venue = Venue(messages)
    with venue.server() as server:
        running.append(start(site, manifest(tmp_path, MANIFEST), server.port))
        until(lambda: site.distinct() > 0, "the first trades")
        stack.kafka.kill()
        try:
            reached = [-1, venue.reached]
            while reached[-1] != reached[-2]:  # until nothing moves any more
                with pytest.raises(subprocess.TimeoutExpired):
                    running[0].process.wait(2)
                reached.append(venue.reached)
            held_mb = running[0].memory_mb
        finally:
            stack.kafka.start()
        assert reached[-1] < len(messages)
        assert held_mb < 700
        until(lambda: site.distinct() == len(messages), "all trades")
        code, said = running[0].stop()
    assert code == 0, said
    assert sorted(site.sequences()) == list(range(len(messages)))


def test_for_some_time_and_the_keyboard_end_it_cleanly(site: Site, tmp_path: Path, running: list[Running]) -> None:
    file = manifest(tmp_path, MANIFEST)
    with Venue(trades(10)).server() as server:
        running.append(start(site, file, server.port, "--for", "2s"))
        assert running[0].ended()[0] == 0
        before = len(site.sequences())
        running.append(start(site, file, server.port))
        until(lambda: len(site.sequences()) == before + 10, "the trades again")
        running[1].process.send_signal(signal.SIGINT)
        assert running[1].ended()[0] == 0
    assert site.distinct() == 10


def test_a_wrong_secret_ends_it_at_once(site: Site, tmp_path: Path, running: list[Running]) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    with Server([web.get("/feed", refuse)]) as server:
        running.append(start(site, manifest(tmp_path, MANIFEST), server.port))
        code, said = running[0].ended()
    assert code == 2
    assert "error: acme: the source answers 401" in said
    assert "Traceback" not in said
