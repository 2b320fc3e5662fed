"""Whatever types an Arrow record has, each of its rows is accepted or leaves as it came, alone or named by its record.

`FUZZ_RECORDS=1000000 FUZZ_SEED=7 make test ARGS=tests/codec/test_fuzz_arrow.py` goes on for longer, elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice

import polars as pl
import pyarrow as pa

from codec.arrow_rows import take_rows
from codec.output_records import SOURCE_ROWS, refused_records
from codec.refused import count_rows, rows_in
from contracts.schema_names import EVENT
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from tests.codec.arrow_types import Typed, records
from tests.codec.stored_records import TICK, as_json, decode

RECORDS = int(os.environ.get("FUZZ_RECORDS", "1000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH = 200


def test_every_row_is_accepted_or_leaves_as_it_came() -> None:
    found: Counter[str] = Counter()
    coming = records(SEED, RECORDS)
    while typed := list(islice(coming, BATCH)):
        found += outcome(typed)
    assert all(found[name] > RECORDS / 20 for name in ("accepted", "late", "contract", "future", "undecodable")), found


def outcome(typed: list[Typed]) -> Counter[str]:
    """What became of the rows of some records, all of which is accounted for."""
    batch = decode(as_json(TICK), *(one.stored for one in typed))  # a tick that makes an hour ago late
    made = Windows(WindowConfig()).step(batch)
    outcomes = made.outcomes
    assert outcomes.rejected == count_rows(made.rejects)
    assert outcomes.late == count_rows(made.late)
    refused = pl.concat([made.rejects, made.late])
    written = list(refused_records(refused, batch.topic, batch.partition, EVENT))
    assert [(record.value, dict(record.headers).get(SOURCE_ROWS)) for record in written] == refused.select(
        "value", "rows"
    ).rows()
    places = Counter(batch.events.select("offset", "row").rows())
    for offset, row, reason, value, rows in made.rejects.select("offset", "row", "reason", "value", "rows").iter_rows():
        one = typed[offset - 1]
        if reason == "undecodable":
            assert value == one.stored.payload
            places.update((offset, at) for at in range(one.table.num_rows if one.table else 0))
        else:
            places.update((offset, at) for at in its_rows(one, row, value, rows))
    for offset, row, value, rows in made.late.select("offset", "row", "value", "rows").iter_rows():
        assert {(offset, at) for at in its_rows(typed[offset - 1], row, value, rows)} <= places.keys()
    assert set(places.values()) == {1}, SEED
    whole = [(offset, row) for offset, one in enumerate(typed, 1) if one.table for row in range(one.table.num_rows)]
    assert not set(whole) - places.keys(), SEED
    return Counter(made.rejects["reason"]) + Counter(accepted=outcomes.accepted, late=outcomes.late)


def its_rows(one: Typed, row: int, value: bytes, bits: bytes | None) -> list[int]:
    """Which rows of its record a value stands for; it is made of them."""
    if bits is None:
        if one.table is not None:
            assert same(opened(value), one.table.slice(row, 1)), SEED
        return [row]
    assert value == one.stored.payload, SEED
    rows: list[int] = rows_in(bits).tolist()
    assert rows[0] == row
    if one.table is not None:
        assert same(opened(take_rows(value, rows)), pa.concat_tables([one.table.slice(at, 1) for at in rows])), SEED
    return rows


def opened(payload: bytes) -> pa.Table:
    table = pa.ipc.open_stream(payload).read_all()
    table.validate(full=True)
    return table


def same(one: pa.Table, other: pa.Table) -> bool:
    return one.column_names == other.column_names and texts(one) == texts(other)


def texts(table: pa.Table) -> list[list[str]]:
    return [[text(value) for value in column] for column in table.columns]


def text(value: pa.Scalar) -> str:
    """Of any value: those that Python has no equal of are named by what it says about them."""
    try:
        return repr(value.as_py())
    except (ValueError, OverflowError, KeyError) as error:
        return str(error)
