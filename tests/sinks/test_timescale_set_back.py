"""A database that lacks what it had acknowledged is noticed before anything is written past the hole."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from contracts.progress import Reached, SetBack
from sinks.beginnings import Beginnings
from sinks.merge import targets
from sinks.schema.migrate import migrate
from sinks.set_back import is_marked
from sinks.timescale import TimescaleWriter
from tests.sinks.database_rows import bar, batch, select

P = "SELECT partition, first_offset, next_offset, again_from FROM progress ORDER BY partition"


@pytest.fixture
def writer(database: str) -> Iterator[TimescaleWriter]:
    """One that has written 10 records of each of two partitions."""
    migrate(database, ())
    one = TimescaleWriter(database, flow="f", targets=targets(()))
    one.write([batch(bars=[bar(k=p)], next_offset=10, partition=p) for p in (0, 1)])
    yield one
    one.close()


def execute(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(statement.encode())


def beginnings_of(database: str, topic: str) -> Beginnings:
    return Beginnings(database, "f", topic, lambda: migrate(database, ()))


def topic(database: str) -> str:
    return str(select(database, "SELECT DISTINCT topic FROM progress")[0][0])


@pytest.mark.parametrize(
    "loss", ["UPDATE progress SET next_offset = 4 WHERE partition = 1", "DELETE FROM progress WHERE partition = 1"]
)
def test_by_the_next_flush_also_over_the_same_connection(database: str, writer: TimescaleWriter, loss: str) -> None:
    execute(database, loss)
    writer.write([batch(bars=[bar(k=3)], next_offset=11)])  # of the partition that has lost nothing
    with pytest.raises(SetBack, match=r"\[1\] from record [04] to 9"):
        writer.write([batch(bars=[bar(k=4)], next_offset=12, partition=1)])
    assert select(database, "SELECT count(*) FROM bars_ohlcv") == [(3,)]
    assert not is_marked(database, "f")  # a snapshot may know enough


def test_by_a_new_connection_of_a_writer_that_has_nothing_to_write_for_what_is_lost(
    database: str, writer: TimescaleWriter
) -> None:
    execute(database, "UPDATE progress SET next_offset = 4 WHERE partition = 1")
    writer.close()
    with pytest.raises(SetBack, match=r"\[1\] from record 4 to 9"):
        writer.write([batch(bars=[bar(k=3)], next_offset=11)])
    assert select(database, "SELECT count(*) FROM bars_ohlcv") == [(2,)]


def test_by_another_writer_that_takes_over_what_was_acknowledged(database: str, writer: TimescaleWriter) -> None:
    known, name = writer.reached, topic(database)
    TimescaleWriter(database, flow="f", targets=targets(())).resume(known)
    execute(database, "UPDATE progress SET next_offset = 4 WHERE partition = 1")
    with pytest.raises(SetBack, match=r"\[1\] from record 4 to 9"):
        TimescaleWriter(database, flow="f", targets=targets(())).resume(known)
    assert is_marked(database, "f")
    assert select(database, P) == [(0, 0, 10, None), (1, 0, 4, 4)]
    beginnings = beginnings_of(database, name)
    assert (beginnings.known, beginnings.has_begun) == ({0: Reached(0, 10), 1: Reached(0, 4)}, True)
    beginnings.begin(1, 0)
    assert not is_marked(database, "f")


def test_an_empty_database_learns_where_the_flow_began(database: str, writer: TimescaleWriter) -> None:
    known = {source: Reached(3, at.next_offset) for source, at in writer.reached.items()}
    known |= {(topic(database), 2): Reached(8, 8)}  # of which nothing has been written yet
    execute(database, "DELETE FROM progress")
    with pytest.raises(SetBack):
        TimescaleWriter(database, flow="f", targets=targets(())).resume(known)
    assert select(database, P) == [(0, 3, 3, 3), (1, 3, 3, 3), (2, 8, 8, None)]


def test_a_writer_that_was_replaced_is_behind_and_no_database_has_gone_back(
    database: str, writer: TimescaleWriter
) -> None:
    other = TimescaleWriter(database, flow="f", targets=targets(()))
    other.write([batch(next_offset=20)])
    writer.write([batch(bars=[bar(k=5)], next_offset=15)])
    writer.write([batch(next_offset=25)])
    other.write([batch(next_offset=22)])
    other.close()
    assert select(database, "SELECT next_offset FROM progress WHERE partition = 0") == [(25,)]


def test_where_a_flow_began_is_written_down_once(database: str) -> None:
    for offset in (7, 9):
        beginnings_of(database, "t").begin(0, offset)  # for the first of them there are no tables yet
    beginnings = beginnings_of(database, "t")
    assert (beginnings.known, beginnings.has_begun) == ({0: Reached(7, 7)}, False)
