"""`python -m bench.connect`: how many messages a second one websocket brings into Kafka, per core of the connector.

Trades of 500 symbols, 110 bytes each, as fast as the connector reads them: receiving, mapping, validation, ids,
checksums, headers, producing and Kafka's acknowledgement are all in. CPU time of the connector's process, with the
threads of its Kafka client, from the first message to the last acknowledgement; medians of rounds. The connector is
bound to one core.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import yaml
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench import meter
from contracts.payloads.trades import TRADES_V2
from flows.config_file import load
from mdp.local import LocalStack
from mdp.ops.connect.preparing import Order, Prepared, prepared
from mdp.ops.connect.running import run

MESSAGES_A_SECOND: Final = 20_000
SYMBOLS: Final = 500
PROJECT: Final = Path(__file__).resolve().parent.parent
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
_CHUNK: Final = 65_536

_MANIFEST: Final = {
    "connector_id": "bench",
    "version": "1.0.0",
    "emits": [{"event_type": "trades.tick", "schema_ref": "utp://schemas/trades/v2"}],
    "uses": "websocket",
    "options": {"url": {"required": True}},
    "websocket": {"url": "{url}", "subscribe": {"op": "subscribe"}},
    "mapping": {
        "type": "trades/v2",
        "where": {"ch": "trade"},
        "event_time": {"path": "t", "unit": "ms"},
        "sequence": "n",
        "fields": {
            "symbol": "s",
            "price": "p",
            "size": "q",
            "side": {"path": "m", "values": {"b": "buy", "s": "sell"}},
            "trade_id": "n",
            "venue": {"value": "BENCH"},
        },
    },
}


def frames(count: int) -> bytes:
    """Trades as the frames that a server sends."""
    found = bytearray()
    for number in range(count):
        trade = {
            "ch": "trade",
            "s": f"S{number % SYMBOLS:03d}-USD",
            "p": f"{100 + number % 977 / 100:.2f}",
            "q": "0.0042",
        }
        text = json.dumps({**trade, "m": "bs"[number % 2], "n": number, "t": 1_761_635_669_312 + number}).encode()
        found += bytes([0x81, len(text)]) + text
    return bytes(found)


async def serve(count: int) -> None:
    """A websocket server that sends everything to whoever connects; prints its port."""
    data = frames(count)

    async def feed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(line[19:] for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: "))
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # as the protocol has it
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        writer.write(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        await reader.read(_CHUNK)  # the subscription
        for start in range(0, len(data), _CHUNK):
            writer.write(data[start : start + _CHUNK])
            await writer.drain()
        await reader.read()

    server = await asyncio.start_server(feed, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def connect(config: Path, manifest: Path, url: str, count: int) -> None:
    """The connector; reports what it has spent once Kafka has everything."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    settings = load(config, [])
    ready = prepared(settings, Order(connector=str(manifest), options={"url": url}))
    threading.Thread(target=_report, args=[ready, count], daemon=True).start()
    run(settings, ready)


def _report(ready: Prepared, count: int) -> None:
    spent, health = meter.Meter(), ready.health
    while health.taken < count or health.waiting:
        if health.taken:
            spent.begin()
        time.sleep(0.01)
    spent.report()
    os.kill(os.getpid(), signal.SIGTERM)


def measure(stack: LocalStack, folder: Path, count: int, number: int) -> meter.Spent:
    """One round, on topics of its own."""
    realm, admin = f"connect{number}", AdminClient({"bootstrap.servers": stack.kafka.bootstrap, "log_level": 0})
    names = [str(TRADES_V2.topic("dev", realm)), f"{realm}.dlq"]
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        made.result(30)
    config, manifest = folder / f"{realm}.config.yaml", folder / "bench.yaml"
    kafka = {"brokers": stack.kafka.bootstrap, "dlq_topic": names[1]}
    tree = {"bus": {"kafka": kafka}, "messages": {"realm": realm}, "telemetry": {"metrics_port": 0}}
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    manifest.write_text(yaml.safe_dump(_MANIFEST), encoding="utf-8")
    own = [sys.executable, "-m", "bench.connect"]
    venue = subprocess.Popen([*own, "--serve", str(count)], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    try:
        assert venue.stdout is not None
        url = f"ws://127.0.0.1:{venue.stdout.readline().strip()}/"
        command = [*own, "--connect", str(config), str(manifest), url, str(count)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    finally:
        venue.kill()
        venue.wait()
    if done.returncode:
        raise SystemExit(f"FAILED: the connector ended with {done.returncode}: {done.stderr[-2_000:]}")
    return meter.spent(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300_000, help="messages of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--connect", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
    elif given.connect:
        config, manifest, url, count = given.connect
        connect(Path(config), Path(manifest), url, int(count))
    else:
        _compare(given.count, given.rounds)


def _compare(count: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder) / "stack")
        try:
            stack.up()
            spent = [measure(stack, Path(folder), count, number) for number in range(rounds)]
        finally:
            stack.remove()
    per_core = count / statistics.median(one.cpu_s for one in spent)
    rate = count / statistics.median(one.seconds for one in spent)
    print(f"{per_core:,.0f} messages/s per core of the connector, {rate:,.0f} messages/s bound to one core")
    print(f"target: {MESSAGES_A_SECOND:,} messages/s: {'reached' if rate >= MESSAGES_A_SECOND else 'MISSED'}")


if __name__ == "__main__":
    main()
