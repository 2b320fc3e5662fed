"""POSTs of messages, answered when they are in Kafka."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mdp.local import LocalStack, ports
from tests.connectors.feeds import Running, Site
from tests.harness import until

TOKEN = "0123456789abcdef0123456789abcdef"
TICK = {"type": "trade", "symbol": "ES 12-25", "time": "2025-10-28T07:14:29.312Z", "price": 6701.25, "volume": 3}
QUOTE = {"type": "quote", "symbol": "ES 12-25", "time": "2025-10-28T07:14:29.313Z", "bid": 6701.25, "ask": 6701.5}


class Gateway(NamedTuple):
    site: Site
    port: int
    running: Running

    def post(self, body: Any, *, token: str | None = TOKEN, content_type: str = "application/json") -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": content_type} | ({} if token is None else {"Authorization": f"Bearer {token}"})
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request("POST", "/", data, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


@pytest.fixture
def gateway(kafka: str, tmp_path: Path) -> Iterator[Gateway]:
    site = Site(kafka, tmp_path, kinds=("trades/v2", "quotes/v2"))
    port = ports.choose(ports.KAFKA_PORTS, 1)[0]
    options = ("--set", f"port={port}", "--set", "source_id=ninjatrader", "--set", "max_body_bytes=100000")
    running = site.start("ingest", *options, secrets={"INGEST_TOKEN": TOKEN})
    until(lambda: ports.answers(port) or running.process.poll() is not None, "the server")
    yield Gateway(site, port, running)
    if running.process.poll() is None:
        running.kill()


def test_what_is_answered_is_in_kafka(gateway: Gateway) -> None:
    assert gateway.post(TICK) == (200, {"accepted": 1, "skipped": 0, "refused": []})
    (trade,) = gateway.site.envelopes()
    assert trade["source_id"] == "ninjatrader"
    assert trade["payload"] == {"symbol": "ES 12-25", "price": 6701.25, "size": 3.0}
    batch = [{**TICK, "sequence": 1}, QUOTE]
    assert gateway.post(batch)[0] == 200
    lines = b"\n".join(json.dumps({**TICK, "sequence": number}).encode() for number in (2, 3))
    assert gateway.post(lines, content_type="application/x-ndjson")[1]["accepted"] == 2
    assert len(gateway.site.envelopes()) == 4
    assert [one["payload"]["bid"] for one in gateway.site.envelopes("quotes/v2")] == [6701.25]
    assert gateway.running.stop()[0] == 0


def test_the_good_ones_of_a_batch_are_taken_and_the_answer_names_the_others(gateway: Gateway) -> None:
    status, answer = gateway.post([TICK, {**TICK, "price": "much"}, {"type": "depth"}])
    assert (status, answer["accepted"]) == (422, 1)
    assert [(one["message"], one["reason"]) for one in answer["refused"]] == [(1, "contract"), (2, "unmapped")]
    assert sorted(reason for reason, _ in gateway.site.refused()) == ["contract", "unmapped"]


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        (TICK, {"token": None}, 401),
        (TICK, {"token": "wrong"}, 401),
        (b"[{]", {}, 400),
        (b"[]", {}, 400),
        (b"[" + b"1," * 60_000 + b"1]", {}, 413),
    ],
)
def test_what_cannot_be_taken_is_refused_and_nothing_of_it_is_sent(
    gateway: Gateway, body: Any, more: dict[str, Any], status: int
) -> None:
    assert gateway.post(body, **more)[0] == status
    assert gateway.site.envelopes() == []
    assert gateway.site.refused() == []


def test_the_token_is_neither_in_the_command_nor_in_what_is_said(gateway: Gateway) -> None:
    gateway.post(TICK, token=TOKEN[:-1])
    _, said = gateway.running.stop()
    assert TOKEN not in said


def test_an_answer_waits_for_kafka(stack: LocalStack, gateway: Gateway) -> None:
    assert gateway.post(TICK)[0] == 200
    stack.kafka.kill()
    try:
        url, header = f"http://127.0.0.1:{gateway.port}/", f"Authorization: Bearer {TOKEN}"
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url, "-H", header]
        data = json.dumps({**TICK, "sequence": 7})
        client = subprocess.Popen([*command, "-d", data], stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            client.communicate(timeout=2)
    finally:
        stack.kafka.start()
    assert client.communicate(timeout=60)[0] == "200"
    assert 7 in [one.get("sequence") for one in gateway.site.envelopes()]


def test_an_address_that_is_taken_is_one_line(gateway: Gateway) -> None:
    other = gateway.site.start("ingest", "--set", f"port={gateway.port}", secrets={"INGEST_TOKEN": TOKEN})
    code, said = other.ended()
    assert code == 2
    assert f"error: 127.0.0.1 port {gateway.port}: Address already in use; choose another by --set" in said
