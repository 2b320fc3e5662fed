"""Compares the contents of tables and topics with the expected ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from chaos.market import PARTITIONS
from chaos.oracle import Expected
from chaos.pipeline import Pipeline

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLES: Final = 5
OUTCOMES: Final = ("accepted", "amending", "duplicate", "late", "rejected", "heartbeat")

_BARS: Final = "SELECT symbol, window_start, open, high, low, close, volume, vwap, trades, revision FROM bars_ohlcv"
_FEATURES: Final = "SELECT symbol, ts, ret_3s, vwap_5s FROM features"
_SIGNALS: Final = "SELECT symbol, ts, name FROM signals"
_OUTCOMES: Final = (
    "SELECT sum(accepted)::bigint, sum(amending)::bigint, sum(duplicate)::bigint, sum(late)::bigint,"
    " sum(rejected)::bigint, sum(heartbeat)::bigint FROM progress"
)


@dataclass
class Findings:
    """By table or topic, the counts of missing, wrong and duplicate rows, with some examples."""

    rows: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    outcomes: dict[str, tuple[int, int]] = field(default_factory=dict)  # expected, counted by the pipeline
    examples: list[str] = field(default_factory=list)

    @property
    def are_good(self) -> bool:
        counted = all(expected == found for expected, found in self.outcomes.values())
        return counted and not (self.missing.total() + self.wrong.total() + self.duplicates.total())

    def compare(self, name: str, expected: Mapping[Any, Any], found: Iterator[tuple[Hashable, Any]]) -> None:
        """Compares rows by key; an unexpected row is a wrong one."""
        seen: set[Hashable] = set()
        for key, row in found:
            self.rows[name] += 1
            if key in seen:
                self._note(self.duplicates, name, f"{key} is duplicated")
            elif key not in expected:
                self._note(self.wrong, name, f"{key} is not expected: {row}")
            elif row != expected[key]:
                self._note(self.wrong, name, f"{key} is {row}, expected {expected[key]}")
            seen.add(key)
        for key in expected.keys() - seen:
            self._note(self.missing, name, f"{key} is missing: {expected[key]}")

    def _note(self, counts: Counter[str], name: str, example: str) -> None:
        counts[name] += 1
        if counts[name] <= _EXAMPLES:
            self.examples.append(f"{name}: {example}")


def judge(pipeline: Pipeline, expected: Expected) -> Findings:
    """Compares everything, floats bit by bit."""
    findings = Findings()
    signals = dict.fromkeys(expected.signals)
    with psycopg.connect(pipeline.conninfo) as connection:
        findings.compare("bars", expected.bars, _rows(connection, _BARS, 2))
        findings.compare("features", expected.features, _rows(connection, _FEATURES, 2))
        findings.compare("signals", signals, _rows(connection, _SIGNALS, 3))
        counted = connection.execute(_OUTCOMES).fetchone() or [0] * len(OUTCOMES)
    findings.outcomes = {
        name: (expected.outcomes[name], found or 0) for name, found in zip(OUTCOMES, counted, strict=True)
    }
    for topic, key, wanted in (
        ("mdp.signals", _signal, signals),
        ("mdp.events.dlq", source, dict.fromkeys(expected.rejected)),
        ("mdp.events.late", source, dict.fromkeys(expected.late)),
    ):
        findings.compare(topic, wanted, ((key(message), None) for message in committed(pipeline.kafka, topic)))
    return findings


def _rows(connection: psycopg.Connection, query: str, keys: int) -> Iterator[tuple[Hashable, Any]]:
    """Keys with times in nanoseconds, and the other columns."""
    for symbol, at, *values in connection.execute(query):
        nanoseconds = (at - _EPOCH) // timedelta(microseconds=1) * 1_000
        yield (symbol, nanoseconds, *values[: keys - 2]), tuple(values[keys - 2 :]) or None


def _signal(message: Message) -> Hashable:
    content = json.loads(message.value() or b"")
    at = datetime.fromisoformat(content["ts"]) - _EPOCH
    return content["symbol"], at // timedelta(microseconds=1) * 1_000, content["name"]


def source(message: Message) -> tuple[int, int]:
    """Partition and offset of the event that caused an output record."""
    headers = dict(message.headers() or ())
    return int(headers["source_partition"] or 0), int(headers["source_offset"] or 0)


def committed(kafka: str, topic: str) -> Iterator[Message]:
    """The committed records of a topic."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": "chaos-judge",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    ended: set[int] = set()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(5_000, timeout=0.2):
            error = message.error()
            if error is None:
                yield message
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition() or 0)
    consumer.close()
