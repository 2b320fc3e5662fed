"""Tables of messages: derived from their types, completed when a type has grown, and queried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl
import psycopg
import pytest
from msgspec import Meta

from codec.encoding import PayloadCodec
from codec.envelopes import EnvelopeDecoder
from contracts.batch import MicroBatch
from contracts.message import MessageType
from contracts.payloads.news import NEWS_V1
from contracts.payloads.orderbook import ORDERBOOK_V1
from contracts.payloads.trades import TRADES_V2
from contracts.record import Fetch, Records
from contracts.registry import stored_types
from contracts.values import Count32, Int64, Number, Text, Time, about
from sinks.merge import message_target
from sinks.queries import export, messages
from sinks.queries.parquet import write_parquet
from sinks.queries.selection import MessageSelection
from sinks.schema.migrate import migrate
from sinks.schema.step import SchemaError
from sinks.timescale import TimescaleWriter
from tests.message_log import T0, envelope
from tests.sinks.database_rows import select

OWN = list(stored_types().values())
TRADE = {"symbol": "A", "price": 1.5, "size": 2}
BOOK = {"symbol": "A", "depth": 2, "levels": {"bids": [[2.0, 1.0], [1.0, 3.0]], "asks": []}}
NEWS = {"headline": "h", "source": "s", "tickers": ["A", "ü"], "sentiment": 0.5}


class Everything(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message with a field of every kind."""

    symbol: Annotated[Text, about("What.")]
    flag: Annotated[bool, about("A flag.")] | None = None
    small: Annotated[Count32, about("A small number.")] | None = None
    large: Annotated[Int64, about("A large number.")] | None = None
    at: Annotated[Time, about("A time.")] | None = None
    anything: Annotated[dict[str, object], about("An object.")] | None = None
    flags: Annotated[list[bool], Meta(max_length=9), about("Flags.")] | None = None
    counts: Annotated[list[Count32], Meta(max_length=9), about("Small numbers.")] | None = None
    numbers: Annotated[list[Int64], Meta(max_length=9), about("Large numbers.")] | None = None
    maybe: Annotated[list[Number | None], Meta(max_length=9), about("Some numbers.")] | None = None


EVERYTHING = MessageType(
    name="everything",
    version="1.0.0",
    struct=Everything,
    event_type="everything.item",
    table="everything",
    examples=({"symbol": "A"},),
)


def read(*contents: tuple[MessageType, object], first: int = 0) -> MicroBatch:
    kinds = {kind.schema_ref: kind for kind in (*OWN, EVERYTHING)}
    values = [envelope(kind, content, n) for n, (kind, content) in enumerate(contents, first)]  # type: ignore[arg-type]
    records = Records.of_values(values, range(first, first + len(values)), [0] * len(values))
    fetch = Fetch(topic="t", partition=0, next_offset=first + len(values), records=records)
    return EnvelopeDecoder(kinds, PayloadCodec()).decode_all([fetch])


@pytest.fixture
def writer(database: str) -> Iterator[TimescaleWriter]:
    kinds = [*OWN, EVERYTHING]
    migrate(database, (), kinds=kinds)
    with closing(TimescaleWriter(database, flow="f", targets=[message_target(kind) for kind in kinds])) as writer:
        yield writer


def test_every_type_has_its_table_and_a_second_migration_has_nothing_to_do(database: str) -> None:
    done = migrate(database, (), kinds=OWN)
    assert {f"table {kind.table} of {kind.id}" for kind in OWN} <= set(done)
    assert migrate(database, (), kinds=OWN) == []
    assert select(database, "SELECT count(*) FROM pg_class WHERE relname IN ('trades', 'gex_levels')") == [(2,)]


def test_a_type_that_has_grown_gets_its_columns(database: str) -> None:
    migrate(database, (), kinds=[TRADES_V2])
    with psycopg.connect(database) as owner:
        owner.execute("ALTER TABLE trades DROP COLUMN venue")
    assert migrate(database, (), kinds=[TRADES_V2]) == ["column venue of trades"]


def test_a_column_of_another_type_and_a_table_of_mdp_are_refused_in_a_line(database: str) -> None:
    migrate(database, (), kinds=[TRADES_V2])
    with psycopg.connect(database) as owner:
        owner.execute("ALTER TABLE trades ALTER COLUMN price TYPE real")
    with pytest.raises(SchemaError, match="the column price of the table trades is real, and should be double"):
        migrate(database, (), kinds=[TRADES_V2])
    taken = MessageType(
        name="x", version="1.0.0", struct=Everything, event_type="x.y", table="progress", examples=({"symbol": "A"},)
    )
    with pytest.raises(SchemaError, match="the table progress is one of mdp's own"):
        migrate(database, (), kinds=[taken])


def test_a_field_of_every_kind_is_stored_as_it_is(database: str, writer: TimescaleWriter) -> None:
    full = {
        "symbol": "A",
        "flag": False,
        "small": 7,
        "large": -(2**62),
        "at": "2025-10-24T14:00:00.000001Z",
        "anything": {"a": [1, None, "x"]},
        "flags": [True, False],
        "counts": [1, 2],
        "numbers": [],
        "maybe": [1.5, None],
    }
    result = writer.write([read((EVERYTHING, full), (EVERYTHING, {"symbol": "B"}))])
    assert (result.changed["everything"], result.refused) == (2, [])
    names = ", ".join(name for name in full if name != "symbol")
    [stored, empty] = select(database, f"SELECT {names} FROM everything ORDER BY symbol")
    at = datetime(2025, 10, 24, 14, 0, 0, 1, UTC)
    assert stored == (False, 7, -(2**62), at, {"a": [1, None, "x"]}, [True, False], [1, 2], [], [1.5, None])
    assert empty == (None,) * len(stored)


def test_a_message_is_stored_once_in_one_flush_or_in_several(database: str, writer: TimescaleWriter) -> None:
    once = read((TRADES_V2, TRADE), (ORDERBOOK_V1, BOOK), (NEWS_V1, NEWS))
    twice = read((TRADES_V2, TRADE), (TRADES_V2, {**TRADE, "price": 2.5}), first=0)
    assert writer.write([once]).changed == {"trades": 1, "orderbook": 1, "news": 1}
    assert +Counter(writer.write([twice, once]).changed) == {"trades": 1}
    assert select(database, "SELECT levels_bids, levels_asks FROM orderbook") == [([[2.0, 1.0], [1.0, 3.0]], [])]
    assert select(database, "SELECT tickers FROM news") == [(["A", "ü"],)]


def test_rows_that_come_again_soon_do_not_keep_new_ones_from_being_copied(
    database: str, writer: TimescaleWriter
) -> None:
    old, new = (read(*((TRADES_V2, {**TRADE, "price": float(n)}) for n in range(10)), first=first) for first in (0, 10))
    for batches in ([old], [old, new, new]):
        assert writer.write(batches).changed == {"trades": 10}
        assert writer._copy_first.is_likely
    assert select(database, "SELECT count(*), count(DISTINCT dedupe_key) FROM trades") == [(20, 20)]


def test_what_another_writer_has_stored_changes_nothing(database: str, writer: TimescaleWriter) -> None:
    batch = read(*((TRADES_V2, {**TRADE, "price": float(n)}) for n in range(10)))
    writer.write([batch])
    with closing(TimescaleWriter(database, flow="g", targets=[message_target(TRADES_V2)])) as other:
        assert other.write([batch]).changed == {"trades": 0}


def test_a_row_that_is_refused_is_refused_again(database: str, writer: TimescaleWriter) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("ALTER TABLE trades ADD CHECK (price < 100)")
    batch = read((TRADES_V2, {**TRADE, "price": 500.0}), (TRADES_V2, TRADE))
    for changed in (1, 0):
        result = writer.write([batch])
        assert (result.changed["trades"], len(result.refused)) == (changed, 1)


def test_a_row_that_the_database_refuses_leaves_the_others(database: str, writer: TimescaleWriter) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("ALTER TABLE trades ADD CHECK (price < 100)")
    result = writer.write([read(*((TRADES_V2, {**TRADE, "price": price}) for price in (1.0, 500.0, 2.0)))])
    assert (result.changed["trades"], len(result.refused)) == (2, 1)
    [refused] = result.refused
    assert (refused.table, refused.offset) == ("trades", 1)
    assert '"price":500.0' in refused.row
    assert '"symbol":"A"' in refused.key


def test_messages_are_found_by_symbol_feed_and_time(database: str, writer: TimescaleWriter) -> None:
    trades = [(TRADES_V2, {**TRADE, "symbol": "AB"[n % 2], "price": float(n)}) for n in range(20)]
    writer.write([read(*trades, (NEWS_V1, NEWS), (ORDERBOOK_V1, BOOK))])

    def prices(limit: int = 100, **chosen: object) -> list[float]:
        found = messages.last(database, MessageSelection(TRADES_V2, **chosen), limit)  # type: ignore[arg-type]
        return found["price"].to_list()

    assert prices() == [float(n) for n in range(20)]
    assert prices(3, symbol="B") == [15.0, 17.0, 19.0]
    assert prices(provider="feed1") == [1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 19.0]
    start = datetime.fromtimestamp(T0 / 1e9 + 0.045, UTC)
    assert prices(start=start, end=datetime.fromtimestamp(T0 / 1e9 + 0.075, UTC)) == [5.0, 6.0, 7.0]
    assert messages.last(database, MessageSelection(NEWS_V1, "ü"), 5)["tickers"].to_list() == ['["A","ü"]']
    assert messages.last(database, MessageSelection(NEWS_V1, "B"), 5).is_empty()


def test_all_messages_go_to_a_parquet_file_with_their_lists(
    database: str, writer: TimescaleWriter, tmp_path: Path
) -> None:
    writer.write([read((ORDERBOOK_V1, BOOK), (ORDERBOOK_V1, {**BOOK, "symbol": "B"}))])
    path = tmp_path / "books.parquet"
    schema, frames = export.stream(database, MessageSelection(ORDERBOOK_V1, "A"))
    assert write_parquet(path, schema, frames, lambda _: None) == 1
    found = pl.read_parquet(path)
    assert "dedupe_key" not in found.columns
    assert found["levels_bids"].to_list() == [[[2.0, 1.0], [1.0, 3.0]]]
    assert found["levels_asks"].to_list() == [[]]
