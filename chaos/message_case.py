"""The dataflows of messages: raw messages to canonical envelopes, and those to rows, side by side.

What has to come out is said by plain Python, which reads the raw topic and shares nothing with the dataflows but a JSON
parser. Envelopes that are none are sent to the canonical topics besides: each must be refused once.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
import yaml
from confluent_kafka import Message, Producer

from chaos.case import Case
from chaos.faults import WITHOUT_LOST_ENDS
from chaos.market import PARTITIONS
from chaos.message_load import MAPPINGS, OTHER, QUOTE, RAW, TRADE
from chaos.outputs import Findings, committed, source
from chaos.pipeline import Pipeline

_TRADES, _QUOTES = (f"utp.chaos.desk.{stream}.tick" for stream in ("trades", "quotes"))
_DLQ: Final = "mdp.events.dlq"
_POISON: Final = b"poison"  # the key of what is no envelope
_NO_ENVELOPES: Final = (b"", b"{", b'{"envelope_version":"1.0"}', b"\x1f\x8b\x00", b"[" * 50_000)
_POISON_SECONDS: Final = 0.5
_QUERY: Final = "SELECT topic, partition, next_offset FROM progress"
_ROWS: Final = {
    "trades": "SELECT sequence, symbol, (extract(epoch FROM ts) * 1000)::bigint, price, size, trade_id FROM trades",
    "quotes": "SELECT sequence, symbol, (extract(epoch FROM ts) * 1000)::bigint, bid, ask FROM quotes",
}
_OUTCOMES: Final = "SELECT sum(accepted)::bigint, sum(rejected)::bigint FROM progress WHERE topic = %s"

Row = tuple[Any, ...]


@dataclass
class _Expected:
    """What the raw topic leads to.

    Attributes:
        rows: by table, each message by its number.
        records: by table, the number of each message by the partition, offset and row of its raw record.
        refused: places of raw records.
        messages, wrong: how many messages are valid, and how many are not.
    """

    rows: dict[str, dict[int, Row]] = field(default_factory=lambda: {table: {} for table in _ROWS})
    records: dict[str, dict[Hashable, int]] = field(default_factory=lambda: {table: {} for table in _ROWS})
    refused: dict[Hashable, None] = field(default_factory=dict)
    messages: int = 0
    wrong: int = 0

    def take(self, partition: int, offset: int, value: bytes) -> None:
        raw = json.loads(value)
        if raw["k"] == OTHER:
            return
        for row, one in enumerate(raw["trades"] if raw["k"] == TRADE else [raw]):
            table, made = _made(raw["k"], raw["s"], one)
            if made is None:
                self.wrong += 1
                self.refused[RAW, partition, offset] = None
                continue
            self.messages += 1
            self.rows[table][one["n"]] = made
            self.records[table][partition, offset, row] = one["n"]


def _made(kind: str, symbol: str, one: Mapping[str, Any]) -> tuple[str, Row | None]:
    """The table and the row of a message; None for one that is wrong."""
    try:
        if kind == QUOTE:
            return "quotes", (symbol, int(one["at"]), float(one["b"]), float(one["a"]))
        return "trades", (symbol, int(one["at"]), float(one["p"]), float(one["q"]), str(one["n"]))
    except ValueError:
        return "", None


class _Judge:
    def __init__(self, pipeline: Pipeline, _: int) -> None:
        self._pipeline = pipeline
        self._ended = threading.Event()
        self._producer = Producer({"bootstrap.servers": pipeline.kafka, "log_level": 0})
        self._thread = threading.Thread(target=self._send, name="poison", daemon=True)
        self._thread.start()

    def _send(self) -> None:
        number = 0
        while not self._ended.wait(_POISON_SECONDS):
            value, topic = _NO_ENVELOPES[number % len(_NO_ENVELOPES)], (_TRADES, _QUOTES)[number % 2]
            self._producer.produce(topic, value, _POISON, number % PARTITIONS)
            self._producer.poll(0)
            number += 1

    def end_load(self) -> None:
        self._ended.set()
        self._thread.join()
        self._producer.flush(30)

    def stop(self) -> None:
        self.end_load()

    def has_all(self) -> bool:
        """Whether `persist` has come to the last record of each partition."""
        try:
            with psycopg.connect(self._pipeline.conninfo, connect_timeout=2) as connection:
                found = connection.execute(_QUERY.encode()).fetchall()
        except psycopg.Error:
            return False
        written = {(topic, partition): end for topic, partition, end in found}
        return all(written.get(place, 0) >= end for place, end in self._ends().items())

    def _ends(self) -> dict[tuple[str, int], int]:
        """The offset after the last record of each partition; what ends transactions is none."""
        ends: dict[tuple[str, int], int] = {}
        for topic in (_TRADES, _QUOTES):
            for message in committed(self._pipeline.kafka, topic):
                ends[topic, message.partition() or 0] = (message.offset() or 0) + 1
        return ends

    def findings(self, written: Mapping[int, int]) -> Findings:
        expected, findings, kafka = self._expected(), Findings(), self._pipeline.kafka
        with psycopg.connect(self._pipeline.conninfo) as connection:
            for table, query in _ROWS.items():
                rows = ((number, tuple(values)) for number, *values in connection.execute(query.encode()))
                findings.compare(table, expected.rows[table], rows)
            counted = connection.execute(_OUTCOMES.encode(), [RAW]).fetchone() or (0, 0)
        for table, topic in (("trades", _TRADES), ("quotes", _QUOTES)):
            findings.compare(topic, expected.records[table], _envelopes(kafka, topic))
            poison = [one for one in committed(kafka, topic) if one.key() == _POISON]
            expected.refused |= {(topic, one.partition() or 0, one.offset() or 0): None for one in poison}
        findings.compare(_DLQ, expected.refused, ((_place(one), None) for one in committed(kafka, _DLQ)))
        names = ("accepted", expected.messages), ("rejected", expected.wrong)
        findings.outcomes = {name: (count, found or 0) for (name, count), found in zip(names, counted, strict=True)}
        return findings

    def _expected(self) -> _Expected:
        expected = _Expected()
        for message in committed(self._pipeline.kafka, RAW):
            expected.take(message.partition() or 0, message.offset() or 0, message.value() or b"")
        return expected


def _envelopes(kafka: str, topic: str) -> Iterator[tuple[Hashable, int]]:
    """The number of each envelope by the place of the raw message that it was made of."""
    for message in committed(kafka, topic):
        if message.key() != _POISON:
            row = int(dict(message.headers() or ())["source_row"] or 0)
            partition, offset = source(message)
            yield (partition, offset, row), json.loads(message.value() or b"")["sequence"]


def _place(message: Message) -> Hashable:
    headers = dict(message.headers() or ())
    return (str(headers["source_topic"], "utf-8"), *source(message))  # type: ignore[arg-type]


def _configure(folder: Path) -> Mapping[str, Any]:
    mapping = folder / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(MAPPINGS))
    raw = {"topic": RAW, "mapping": str(mapping), "source_id": "acme", "unmapped": "skip"}
    return {
        "name": "chaos",
        "messages": {"env": "chaos", "realm": "desk", "topics": [_TRADES, _QUOTES]},
        "normalize": {"sources": [raw]},
        "recovery": {"interval_s": 5},
        "telemetry": {"metrics_port": 0},
    }


def _load(brokers: str, rate: float, seconds: float, seed: int) -> list[str]:
    return [sys.executable, "-m", "chaos.message_load", brokers, str(rate), str(seconds), str(seed)]


MESSAGES: Final = Case(("normalize", "persist"), WITHOUT_LOST_ENDS, RAW, _configure, _load, _Judge)
