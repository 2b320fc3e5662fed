"""Names that were chosen to do harm, all the way: producer, Kafka, flow, database, topics, metrics, terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import psycopg
import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mdp.local import LocalStack, ports
from sinks.copy import copy_into
from telemetry.printable import printable, printable_json
from tests.cli.cli_result import Mdp
from tests.harness import PROJECT, SECONDS, STOPPED, Deployment, create_topic, until

SYMBOLS = [
    "it's",
    'say "hi", you',
    "\\",
    "\\N",
    "\\.",
    "tab\there",
    "line\nbreak\r\n",
    "'; DROP TABLE bars_ohlcv; --",
    'x",y="1"} 1\n# HELP x',
    "${HOME} {0} %s %(x)s $1",
    "=1+1",
    "NULL",
    " ",
    "[red]x[/red]",
    "[/]",
    "\x1b[2J\x1b[H",
    "\x1b]8;;http://example.com\x07link\x1b]8;;\x07",
    "\x1b]52;c;aGk=\x07",
    "\x9b31m\x9d0;x\x9c",
    "\x01\x08\x0b\x0c\x7f",
    "\u202egnirts\u202c",
    "\u2028\u2029\ufeff\u200b",
    "e\u0301\u0323a\u20dd",
    "👩‍👩‍👧🚀",
    "سهم",
    "x" * 256,
    "é" * 128,
]
REFUSED = ["", "nul\0", "N" * 10_240, "é" * 129]
RULE = 'up "1" \\ [red]\x1b[2J'
TERMINAL_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def tick(number: int, symbol: str) -> dict[str, Any]:
    at = {"src_ts": f"2025-10-24T14:00:{number // 50:02}.{number % 50 * 20:03}Z", "seq": number}
    return {"ver": 1, "provider": "feed\x1b[2J", "symbol": symbol, "kind": "tick", **at, "c": 100.0, "v": 1.0}


def mdp_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from mdp.cli import main; main()", *map(str, arguments)]


class Run(NamedTuple):
    """A live run over all of the names, stopped; and what it said of itself meanwhile."""

    deployment: Deployment
    metrics: str
    port_is_loopback_only: bool


@pytest.fixture(scope="module")
def after(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder, (port,) = tmp_path_factory.mktemp("hostile"), ports.choose(range(9_200, 9_900), 1)
    rules = [{"name": RULE, "condition": "close > 0", "signal": 1.0, "score": 1.0}]
    events = create_topic(stack.kafka.bootstrap, "hostile", 1)
    # No heartbeat closes the window of the last event, however slow the machine is.
    sections = {"telemetry": {"metrics_port": port}, "micro_batch": {"flush_timeout_ms": 86_400_000}}
    deployment = Deployment(stack, folder, events, 1, sections, rules, "hostile")
    try:
        _send(deployment)
        worker = deployment.start()
        until(lambda: worker.poll() is not None or _is_done(deployment), "names as rows, and the others in the DLQ")
        assert worker.poll() is None, deployment.said.read_text()[-3000:]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        loopback_only = _is_free("127.0.0.2", port)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(SECONDS) in STOPPED
        yield Run(deployment, metrics, loopback_only)
    finally:
        deployment.stop()


def _send(deployment: Deployment) -> None:
    """Good names by the project's own producer; the others by one that takes anything; then what closes the window."""
    file = deployment.folder / "names.ndjson"
    file.write_text("".join(json.dumps(tick(number, symbol)) + "\n" for number, symbol in enumerate(SYMBOLS)))
    deployment.ends_well(deployment.command("stream", "produce", "--provider", "file", "--path", str(file)))
    producer = Producer({"bootstrap.servers": deployment.kafka})
    for symbol in REFUSED:
        producer.produce(deployment.events, json.dumps(tick(40, symbol)), symbol.encode(), 0)
    lone_surrogate = json.dumps(tick(41, "\ud800"))
    for value in (lone_surrogate, json.dumps(tick(500, "LAST"))):
        producer.produce(deployment.events, value, b"LAST", 0)
    assert producer.flush(30) == 0


def _is_done(deployment: Deployment) -> bool:
    if deployment.progress < len(SYMBOLS) + len(REFUSED) + 2:
        return False
    signals = deployment.query("SELECT count(*) FROM signals") == [(len(SYMBOLS),)]
    return signals and len(deployment.records("signals")) == len(SYMBOLS) and len(deployment.records("dlq")) > 4


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def is_safe(text: str) -> bool:
    """Whether a terminal would print it, and do nothing else."""
    return all(line.isprintable() for line in text.split("\n"))


def test_accepted_names_are_in_the_database_and_on_the_topics_as_they_were_sent(after: Run) -> None:
    deployment = after.deployment
    for table in ("bars_ohlcv", "features", "signals"):
        assert {symbol for (symbol,) in deployment.query(f"SELECT symbol FROM {table}")} == set(SYMBOLS), table
    sent = [record.json for record in deployment.records("signals")]
    assert {(signal["symbol"], signal["name"]) for signal in sent} == {(symbol, RULE) for symbol in SYMBOLS}
    assert deployment.query("SELECT DISTINCT provider, name FROM signals") == [("feed\x1b[2J", RULE)]


def test_refused_names_are_in_the_dlq_as_they_came(after: Run) -> None:
    values = [record.json["symbol"] for record in after.deployment.records("dlq")]
    assert values == [*REFUSED, "\ud800"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_the_rows_of_a_symbol_are_found_and_shown_without_harm(after: Run, mdp: Mdp, symbol: str) -> None:
    ask = ("store", "signals", "--config", after.deployment.config, "--symbol", symbol)
    as_json, as_csv, table = (mdp(*ask, "--format", form) for form in ("json", "csv", "table"))
    assert [row["symbol"] for row in json.loads(as_json.out)] == [symbol]
    (row,) = csv.DictReader(io.StringIO(as_csv.out, newline=""))
    assert (row["symbol"], row["name"]) == (symbol, RULE)
    assert is_safe(as_json.out)
    assert is_safe(table.out)
    assert "feed\\x1b[2J" in table.out
    assert "[red]" in table.out


@pytest.mark.parametrize("symbol", ["no\x1b[2J", "no'; --", "no\0"])
def test_a_name_without_rows_is_said_without_harm(after: Run, mdp: Mdp, symbol: str) -> None:
    result = mdp("store", "bars", "--config", after.deployment.config, "--symbol", symbol)
    assert result.code in (0, 2)
    assert is_safe(result.err)
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("kind", ["events", "signals", "dlq"])
def test_a_tail_is_exact_as_json_and_harmless_for_people(after: Run, mdp: Mdp, kind: str) -> None:
    topic = after.deployment.events if kind == "events" else after.deployment.topics[kind]
    ask = ("stream", "tail", "--topic", topic, "--limit", "1000", "--config", after.deployment.config)
    lines = mdp(*ask).out
    assert is_safe(lines)
    as_json = mdp(*ask, "--json").out
    assert is_safe(as_json)
    found = [json.loads(line)["value"]["symbol"] for line in as_json.splitlines() if '"symbol"' in line]
    if kind == "signals":
        assert found == sorted(SYMBOLS)
        assert "[red]x[/red]" in lines
        assert "\\x1b]52;c;aGk=\\x07" in lines


@pytest.mark.parametrize("command", ["store signals --symbol", "stream tail --limit 1000 --topic"])
def test_a_terminal_gets_styles_and_no_other_commands(after: Run, command: str) -> None:
    """What comes out on a terminal differs from what comes out in a file."""
    subject = SYMBOLS[15] if "store" in command else after.deployment.topics["signals"]
    ours, theirs = os.openpty()
    arguments = mdp_command(*command.split(), subject, "--config", after.deployment.config)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"}
    process = subprocess.Popen(arguments, stdout=theirs, stderr=theirs, stdin=theirs, env=environment, cwd=PROJECT)
    os.close(theirs)
    said = b"".join(iter(lambda: _read(ours), b"")).decode()
    assert process.wait(SECONDS) == 0
    assert "\x1b[" in said
    assert is_safe(TERMINAL_STYLES.sub("", said).replace("\r\n", "\n"))


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # its other end is closed
        return b""


def test_metrics_stay_readable_and_have_no_label_that_a_feed_decides(after: Run) -> None:
    samples = [sample for family in text_string_to_metric_families(after.metrics) for sample in family.samples]
    labels = {value for sample in samples for value in sample.labels.values()}
    assert RULE in labels
    assert not labels & {*SYMBOLS, *REFUSED, "feed\x1b[2J"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere loopback is one address only")
def test_metrics_are_served_on_the_loopback_address_only(after: Run) -> None:
    assert after.port_is_loopback_only


def test_every_character_there_is_goes_through_copy_unharmed(database: str) -> None:
    points = [point for point in range(1, 0x11_0000) if not 0xD800 <= point < 0xE000]
    symbols = ["".join(map(chr, points[start : start + 64])) for start in range(0, len(points), 64)]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE staging (number bigint, symbol text)")
        copy_into(cursor, "staging", pl.DataFrame({"number": range(len(symbols)), "symbol": symbols}))
        stored = [symbol for (symbol,) in cursor.execute("SELECT symbol FROM staging ORDER BY number")]
    assert stored == symbols


@given(st.text())
def test_what_is_printed_is_safe_and_json_still_reads_back(text: str) -> None:
    assert printable(text).isprintable()
    shown = printable_json(json.dumps([text], ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == [text]
