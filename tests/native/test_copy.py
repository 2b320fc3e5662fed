from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing.parametric import column, dataframes

from native.copy_binary import copy_binary
from sinks.copy import copy_into

_TIMES: st.SearchStrategy[datetime] = st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1))
_TEXTS: st.SearchStrategy[str] = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
_COLUMNS: dict[str, tuple[pl.DataType | type[pl.DataType], str, st.SearchStrategy[object] | None]] = {
    "small": (pl.Int32, "integer", None),
    "large": (pl.Int64, "bigint", None),
    "number": (pl.Float64, "double precision", None),
    "words": (pl.String, "text", _TEXTS),
    "at": (pl.Datetime("us"), "timestamptz", _TIMES),
    "meta": (pl.Binary, "jsonb", st.sampled_from([b"\1{}", b"\1null", b'\1{"a": [1, "b"]}'])),
}
_FRAMES = dataframes(
    [column(name, dtype=dtype, strategy=values, allow_null=True) for name, (dtype, _, values) in _COLUMNS.items()]
)


@pytest.fixture
def table(database: str) -> Iterator[psycopg.Cursor]:
    with psycopg.connect(database, options="-c timezone=UTC") as connection, connection.cursor() as cursor:
        columns = ", ".join(f"{name} {kind}" for name, (_, kind, _) in _COLUMNS.items())
        cursor.execute(f"CREATE TEMP TABLE target ({columns}, place serial)".encode())
        yield cursor


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(frame=_FRAMES, first=st.integers(0, 5))
def test_what_is_sent_is_what_the_table_holds(table: psycopg.Cursor, frame: pl.DataFrame, first: int) -> None:
    sent = frame[first:]
    table.execute("TRUNCATE target")
    copy_into(table, "target", sent)
    names = ", ".join(name if name != "meta" else "meta::text" for name in _COLUMNS)
    stored = table.execute(f"SELECT {names} FROM target ORDER BY place".encode()).fetchall()
    assert [_comparable(row) for row in stored] == [_comparable(row) for row in sent.iter_rows()]


def _comparable(row: tuple[Any, ...]) -> list[Any]:
    return [_plain(value) for value in row]


def _plain(value: Any) -> Any:
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case float():
            return value.hex()  # so that -0.0 is not 0.0
        case bytes():
            return value[1:].decode()  # after the version of the form of jsonb
        case datetime() if value.tzinfo is None:
            return value.replace(tzinfo=UTC)
    return value


def test_a_frame_without_rows_is_a_valid_stream(table: psycopg.Cursor) -> None:
    copy_into(table, "target", pl.DataFrame(schema={"small": pl.Int32, "words": pl.String}))
    assert table.execute("SELECT count(*) FROM target").fetchone() == (0,)


def test_frames_put_together_of_several_are_sent_whole() -> None:
    parts = [pl.DataFrame({"words": [f"w{i}", None], "number": [i / 3, None]}) for i in range(3)]
    assert bytes(copy_binary(pl.concat(parts))) == bytes(copy_binary(pl.concat(parts).rechunk()))
