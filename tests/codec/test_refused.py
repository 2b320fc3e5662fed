"""What does not pass leaves as it came: a row of an Arrow record alone where it can, else named by its record."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codec.arrow_rows import take_rows
from codec.refused import count_rows, row_set, rows_in
from contracts.record import ARROW
from features.bars.window_config import WindowConfig
from features.bars.windows import Windows
from tests.codec.stored_records import NOW_MS, TICK, Stored, as_arrow, as_json, decode, stream, with_odd_places

NOW = NOW_MS * 1_000_000
COUNT = 5
BAD, LATE = 1, 3
LONG = "a text that is too long for a view to hold"


def by_polars(**columns: Any) -> bytes:
    """Ticks as Polars writes them by default, texts as views and categories by their places; one is bad, one late."""
    times = [NOW] * COUNT
    times[LATE] -= 3_600 * 10**9
    plain = {name: [value] * COUNT for name, value in TICK.items()} | {
        "v": [-1.0 if row == BAD else 1.0 for row in range(COUNT)],
        "event_id": [f"{LONG} {row}" for row in range(COUNT)],
        "src_ts": pl.Series(times).cast(pl.Datetime("ns", "UTC")),
    }
    sink = io.BytesIO()
    pl.DataFrame(plain | columns).write_ipc_stream(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"symbol": pl.Series(["SPY"] * COUNT, dtype=pl.Categorical)},
        {"kind": pl.Series(["tick"] * COUNT, dtype=pl.Enum(["tick", "bar"]))},
        {"venue": pl.Series(["here"] * COUNT, dtype=pl.Enum(["here", "there", LONG * 100]))},
        {"tags": pl.Series([["a"]] * COUNT, dtype=pl.List(pl.Categorical))},
        {"pair": pl.Series([{"base": "BTC"}] * COUNT, dtype=pl.Struct({"base": pl.Enum(["BTC"])}))},
        {"raw": pl.Series([b"bytes"] * COUNT)},
        {"levels": pl.Series([[1.0, 2.0]] * COUNT, dtype=pl.Array(pl.Float64, 2))},
        {"price": pl.Series([1] * COUNT, dtype=pl.Decimal(20, 4))},
    ],
)
def test_what_polars_writes_is_read_and_its_rows_leave_alone(columns: dict[str, Any]) -> None:
    payload = by_polars(**columns)
    batch = decode(as_json(TICK | {"event_id": "first"}), Stored(payload, ARROW))
    made = Windows(WindowConfig()).step(batch)
    assert made.rejects.select("offset", "row", "error").rows() == [(1, BAD, "v is negative")]
    assert made.late.select("offset", "row").rows() == [(1, LATE)]
    assert made.outcomes.accepted == 1 + COUNT - 2
    whole = pl.read_ipc_stream(payload)
    for frame, row in ((made.rejects, BAD), (made.late, LATE)):
        alone = frame["value"][0]
        assert pl.read_ipc_stream(alone).rows() == whole[row].rows()
        assert len(alone) < len(payload)
        assert decode(Stored(alone, ARROW)).outcomes.rejected == (row == BAD)


@pytest.mark.parametrize("values", [pa.array(["x"], pa.string_view()), pa.array([[1]]), pa.array([{"a": 1}])])
def test_a_column_that_nobody_reads_may_have_a_dictionary_of_any_type(values: pa.Array) -> None:
    extra = pa.DictionaryArray.from_arrays(pa.array([0, None, 0], pa.int8()), values)
    batch = decode(as_arrow(ticks(3, v=[1.0, -1.0, -1.0], extra=extra)))
    alone = [pa.ipc.open_stream(value).read_all().column("extra").to_pylist() for value in batch.rejects["value"]]
    assert alone == [[None], values.to_pylist()]


@pytest.mark.parametrize("shift", range(8))
def test_dictionaries_of_dictionaries_at_odd_places_end_no_process(shift: int) -> None:
    inner = pa.DictionaryArray.from_arrays(pa.array([0, 1, 1], pa.uint64()), pa.array([1, 2], pa.timestamp("ms")))
    outer = pa.DictionaryArray.from_arrays([0, 1, 0], pa.ListArray.from_arrays([0, 1, 3], inner))
    payload = with_odd_places(stream(ticks(3, extra=outer, v=[-1.0] * 3)), shift)
    rejects = decode(Stored(payload, ARROW)).rejects
    assert set(rejects["reason"]) == {"undecodable" if shift else "contract"}


def test_a_record_that_leaves_for_many_rows_names_them() -> None:
    is_bad = [row % 3 == 1 for row in range(900)]
    record = as_arrow(ticks(900, v=[-1.0 if bad else 1.0 for bad in is_bad]))
    batch = decode(as_json(TICK), record)
    (refused,) = batch.rejects.rows(named=True)
    assert (refused["offset"], refused["row"], refused["value"]) == (1, 1, record.payload)
    assert refused["error"] == "v is negative (the first of 300 rows)"
    assert rows_in(refused["rows"]).tolist() == list(range(1, 900, 3))
    assert (count_rows(batch.rejects), batch.outcomes.rejected, batch.events.height) == (300, 300, 601)
    again = decode(Stored(take_rows(refused["value"], rows_in(refused["rows"])), ARROW))
    assert (again.events.height, again.outcomes.rejected) == (0, 300)


def test_late_rows_of_one_record_leave_together_too() -> None:
    record = as_arrow(ticks(900, src_ts=pa.array([NOW - 3_600 * 10**9] * 900, pa.timestamp("ns", "UTC"))))
    made = Windows(WindowConfig()).step(decode(as_json(TICK), record))
    assert made.late.select("row", "value").rows() == [(0, record.payload)]
    assert (made.outcomes.late, rows_in(made.late["rows"][0]).tolist()) == (900, list(range(900)))


def ticks(count: int, **columns: Any) -> pa.Table:
    plain = {name: [value] * count for name, value in TICK.items()} | {"event_id": [f"e{row}" for row in range(count)]}
    return pa.table(plain | columns)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_a_set_of_rows_is_read_as_it_was_written(rows: set[int]) -> None:
    assert rows_in(row_set(np.array(sorted(rows)))).tolist() == sorted(rows)


@given(st.sets(st.integers(0, 8), min_size=1))
def test_some_rows_of_a_record_are_taken_in_their_order(rows: set[int]) -> None:
    table = ticks(9, extra=pa.array([[row] for row in range(9)]))
    record = as_arrow(table)
    taken = pa.ipc.open_stream(take_rows(record.payload or b"", sorted(rows))).read_all()
    assert taken.to_pylist() == [table.to_pylist()[row] for row in sorted(rows)]
