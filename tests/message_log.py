"""A log of messages of all types: topics of envelopes, some of which come twice, late, or are no valid messages.

What has to be stored of it is said by `open_envelope`, one message at a time.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.columns import TableColumn
from contracts.envelope import CARRIED, checksum, stored_columns
from contracts.message import MessageType
from contracts.registry import open_envelope, stored_types
from contracts.timestamps import format_timestamp, parse_timestamp
from tests.harness import Deployment

ENV = "test"
T0 = 1_761_314_400_000_000_000
MS = 1_000_000
SYMBOLS = [f"S{number}" for number in range(20)]
FAULTS = ("no json", "unknown type", "wrong checksum", "contract", "no time", "nothing")

Payload = dict[str, Any]


def payload(table: str, chance: random.Random) -> Payload:
    """A message of a type by its table."""
    symbol, price = chance.choice(SYMBOLS), round(chance.uniform(50, 150), 2)
    ticks = [round(price + step / 100, 2) for step in range(1, chance.randrange(1, 6))]
    made: dict[str, Payload] = {
        "trades": {"symbol": symbol, "price": price, "size": chance.randrange(1, 9), "side": "buy", "venue": "X"},
        "quotes": {"symbol": symbol, "bid": price, "ask": price + 0.01, "bid_size": 3, "tick_type": "Bíd"},
        "orderbook": {
            "symbol": symbol,
            "depth": 5,
            "levels": {"bids": [], "asks": [[tick, chance.randrange(9)] for tick in ticks]},
        },
        "gex_levels": {"symbol": symbol, "asof": format_timestamp(T0 + chance.randrange(10**12)), "zero_gamma": price},
        "news": {
            "headline": f'"{symbol}" rises\tby {price} €',
            "source": "wire",
            "tickers": chance.sample(SYMBOLS, chance.randrange(3)),
            "sentiment": chance.uniform(-1, 1),
        },
        "calendar": {"event_name": f"Release {price}", "importance": "high", "ticker": "USD", "forecast": price},
        "greeks": {"symbol": symbol, "underlying": "SPX", "iv": 0.2, "delta": -price},
        "gaps": {
            "gap_id": f"gap-{price}",
            "connector": "ccxt",
            "stream": "trades.tick",
            "symbol": symbol,
            "begin": format_timestamp(T0),
            "end": format_timestamp(T0 + chance.randrange(10**12)),
            "filled": chance.random() < 0.5,
            "reason": "restart",
        },
    }
    return made[table]


def envelope(kind: MessageType, content: Payload | bytes, number: int, **changes: Any) -> bytes:
    """An envelope of this type; every other one has a checksum, every third no sequence."""
    text = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    fields: dict[str, Any] = {
        "envelope_version": "1.0",
        "event_id": f"id-{number}",
        "event_type": kind.event_type,
        "source_id": f"feed{number % 3}",
        "schema_ref": kind.schema_ref,
        "event_time": format_timestamp(T0 + number * 10 * MS + number),
        "ingest_time": format_timestamp(T0 + number * 10 * MS + 5 * MS),
        **({} if number % 3 == 0 else {"sequence": number}),
        **({} if number % 2 else {"checksum": checksum(text)}),
        **changes,
    }
    return json.dumps(fields).encode()[:-1] + b', "payload": ' + text + b"}"


def faulty(kind: MessageType, number: int, chance: random.Random) -> bytes | None:
    """A record that holds no valid message."""
    content = payload(str(kind.table), chance)
    match FAULTS[number % len(FAULTS)]:
        case "no json":
            return envelope(kind, content, number)[:-7]
        case "unknown type":
            return envelope(kind, content, number, schema_ref="utp://schemas/rumours/v1")
        case "wrong checksum":
            return envelope(kind, content, number, checksum=checksum(b"another"))
        case "contract":
            return envelope(kind, b'{"symbol": 7}', number, checksum=None)
        case "no time":
            return envelope(kind, content, number, event_time="2025-02-30T00:00:00Z")
        case _:
            return None


@dataclass
class MessageLog:
    """Topics of all types, `partitions` wide; 2 % of the messages come twice, 5 % late, and 1 % are not valid."""

    kafka: str
    partitions: int
    count: int  # of each type
    seed: int = 1
    kinds: Sequence[MessageType] = ()
    realm: str = field(init=False)
    sent: dict[str, list[tuple[int, bytes | None]]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.realm = uuid.uuid4().hex[:12]
        self.kinds = self.kinds or list(stored_types().values())
        admin = AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})
        new = [NewTopic(self.topic(kind), self.partitions, 1, config={"retention.ms": "-1"}) for kind in self.kinds]
        for made in admin.create_topics(new).values():
            made.result(30)
        for number, kind in enumerate(self.kinds):
            self.sent[self.topic(kind)] = list(self._records(kind, random.Random(self.seed * 100 + number)))

    @property
    def section(self) -> dict[str, str]:
        """The section `messages` of the config."""
        return {"env": ENV, "realm": self.realm}

    def topic(self, kind: MessageType) -> str:
        return str(kind.topic(ENV, self.realm))

    def _records(self, kind: MessageType, chance: random.Random) -> Iterator[tuple[int, bytes | None]]:
        places: list[tuple[float, int, bytes | None]] = []
        for number in range(self.count):
            partition = number % self.partitions
            late = chance.uniform(0, 50) if chance.random() < 0.05 else 0.0
            valid = envelope(kind, payload(str(kind.table), chance), number)
            places.append((number + late, partition, valid))
            if chance.random() < 0.02:
                places.append((number + chance.uniform(0, 200), partition, valid))
            if chance.random() < 0.01 or number < len(FAULTS):
                places.append((number + 0.5, partition, faulty(kind, number, chance)))
        for _, partition, value in sorted(places, key=lambda place: place[0]):
            yield partition, value

    def produce(self, part: slice = slice(None)) -> None:
        """Sends the log, or a part of each topic."""
        producer = Producer({"bootstrap.servers": self.kafka, "linger.ms": 20, "queue.buffering.max.messages": 10**6})
        for topic, records in self.sent.items():
            for partition, value in records[part]:
                producer.produce(topic, value, b"key", partition)
            producer.poll(0)
        assert producer.flush(60) == 0

    @property
    def records(self) -> int:
        return sum(map(len, self.sent.values()))

    def valid(self, kind: MessageType) -> Counter[str]:
        """The rows that have to be stored of a type, each as JSON: each message once."""
        return Counter(self._rows(kind))

    def _rows(self, kind: MessageType) -> Iterator[str]:
        for value in dict.fromkeys(value for _, value in self.sent[self.topic(kind)]):
            try:
                opened, message = open_envelope(value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            values = [*(_of(column, opened) for column in CARRIED)]
            values += [_of(column, message) for column in stored_columns(kind)[len(CARRIED) :]]
            yield _row(zip(stored_columns(kind), values, strict=True))

    def refused(self) -> Counter[bytes | None]:
        """The values that have to be in the DLQ, as often as they were sent."""
        found: Counter[bytes | None] = Counter()
        for records in self.sent.values():
            for _, value in records:
                try:
                    open_envelope(value or b"")
                except (msgspec.DecodeError, UnicodeDecodeError):
                    found[value] += 1
        return found


def _of(column: TableColumn, owner: Any) -> Any:
    for name in column.path:
        owner = None if owner is None else getattr(owner, name)
    return owner


def _row(cells: Any) -> str:
    row = {}
    for column, value in cells:
        plain = msgspec.to_builtins(value)
        row[column.name] = parse_timestamp(plain) // 1_000 if plain and column.type == "timestamptz" else plain
    return json.dumps(row, sort_keys=True)


def stored(database: str, kinds: Sequence[MessageType]) -> dict[str, Counter[str]]:
    """The rows of the tables of these types, in the same form."""
    with psycopg.connect(database) as connection:
        return {str(kind.table): Counter(_stored(connection, kind)) for kind in kinds}


def _stored(connection: psycopg.Connection, kind: MessageType) -> Iterator[str]:
    columns = stored_columns(kind)
    names = ", ".join(f'"{column.name}"' for column in columns)
    query = f"SELECT {names} FROM {kind.table}"
    for row in connection.execute(query.encode()):
        values = (_micros(value) if isinstance(value, datetime) else value for value in row)
        yield json.dumps(dict(zip((column.name for column in columns), values, strict=True)), sort_keys=True)


def _micros(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def row_versions(database: str, kinds: Sequence[MessageType]) -> Mapping[str, Any]:
    """How many rows there are, and a hash of where each lies and which transaction has written it."""
    digest = "sum(hashtextextended(concat_ws(' ', xmin, ctid), 0))"
    with psycopg.connect(database) as connection:
        return {
            str(kind.table): connection.execute(f"SELECT count(*), {digest} FROM {kind.table}".encode()).fetchone()
            for kind in kinds
        }


def assert_whole(deployment: Deployment, log: MessageLog) -> None:
    """Every valid message is once in its table, every other record once in the DLQ, with its own bytes and a reason."""
    for kind in log.kinds:
        table = str(kind.table)
        found, expected = stored(deployment.database, [kind])[table], log.valid(kind)
        assert sum(found.values()) == sum(expected.values()), table
        assert found == expected, table
    refused = deployment.records("dlq")
    assert Counter(record.value for record in refused) == log.refused()
    assert {record.header("dlq_reason") for record in refused} <= {"contract", "undecodable"}
