"""Messages on TimescaleDB: hypertables with a columnstore, in which a message that comes again changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg
import pytest

from codec.encoding import PayloadCodec
from codec.envelopes import EnvelopeDecoder
from contracts.batch import MicroBatch
from contracts.message import MessageType
from contracts.payloads.news import NEWS_V1
from contracts.payloads.trades import TRADES_V2
from contracts.record import Fetch, Records
from contracts.registry import stored_types
from sinks.merge import message_target, segment_of
from sinks.schema.migrate import migrate
from sinks.timescale import TimescaleWriter
from tests.message_log import envelope
from tests.sinks.conftest import empty_timescale, needs_timescale
from tests.sinks.database_rows import select

pytestmark = needs_timescale

KINDS = list(stored_types().values())
COUNT = 3_000


def batch(first: int, count: int, **changes: float) -> MicroBatch:
    """Trades, and every tenth time news."""
    values = []
    for number in range(first, first + count):
        content = {"symbol": f"S{number % 5}", "price": 1.0 + number, "size": 2, **changes}
        values.append(envelope(TRADES_V2, content, number))
        if number % 10 == 0:
            values.append(envelope(NEWS_V1, {"headline": f"h{number}", "source": "wire", "tickers": []}, number))
    records = Records.of_values(values, range(len(values)), [0] * len(values))
    fetch = Fetch(topic="t", partition=0, next_offset=len(values), records=records)
    return EnvelopeDecoder(stored_types(), PayloadCodec()).decode_all([fetch])


def compress(database: str, kind: MessageType) -> int:
    """Moves all chunks to the columnstore; returns how many there are."""
    with psycopg.connect(database, autocommit=True) as owner:
        chunks = owner.execute("SELECT show_chunks(%s::regclass)::text", [kind.table]).fetchall()
        for (chunk,) in chunks:
            owner.execute("CALL convert_to_columnstore(%s::regclass, if_not_columnstore => true)", [chunk])
    return len(chunks)


def bytes_outside(database: str, kind: MessageType) -> int:
    """What rows take outside of the columnstore."""
    query = f"SELECT sum(pg_relation_size(chunk)) FROM show_chunks('{kind.table}') AS c (chunk)"
    return int(select(database, query)[0][0])


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with empty_timescale() as conninfo:
        migrate(conninfo, (), kinds=KINDS, compress_after="36h")
        yield conninfo


def written(database: str, *batches: MicroBatch) -> dict[str, int]:
    with closing(TimescaleWriter(database, flow="f", targets=[message_target(kind) for kind in KINDS])) as writer:
        return writer.write(batches).changed


def test_each_table_is_a_hypertable_of_days_with_a_columnstore_by_symbol_or_feed(database: str) -> None:
    tables = {str(kind.table) for kind in KINDS}
    lengths = dict(
        select(
            database,
            "SELECT hypertable_name, time_interval FROM timescaledb_information.dimensions WHERE column_name = 'ts'",
        )
    )
    assert {table: lengths[table] for table in tables} == dict.fromkeys(tables, timedelta(days=1))
    segments = select(
        database,
        "SELECT hypertable_name, attname FROM timescaledb_information.compression_settings"
        " WHERE segmentby_column_index IS NOT NULL",
    )
    assert {(str(kind.table), segment_of(kind)) for kind in KINDS} <= set(segments)
    ages = dict(
        select(
            database,
            "SELECT hypertable_name, config ->> 'compress_after' FROM timescaledb_information.jobs"
            " WHERE proc_name = 'policy_compression'",
        )
    )
    assert {ages[table] for table in tables} == {"1 day 12:00:00"}
    assert migrate(database, (), kinds=KINDS, compress_after="36h") == []


def test_what_comes_again_leaves_the_columnstore_alone_and_what_is_new_is_stored(database: str) -> None:
    assert written(database, batch(0, COUNT)) == {"trades": COUNT, "news": COUNT // 10}
    assert compress(database, TRADES_V2) >= 1
    assert bytes_outside(database, TRADES_V2) == 0
    assert not any(written(database, batch(0, COUNT)).values())
    assert bytes_outside(database, TRADES_V2) == 0
    changed = written(database, batch(COUNT // 2, COUNT), batch(0, 10, price=0.5))
    assert changed["trades"] == COUNT // 2 + 10
    assert select(database, "SELECT count(*), count(DISTINCT dedupe_key) FROM trades") == [(COUNT * 3 // 2 + 10,) * 2]
