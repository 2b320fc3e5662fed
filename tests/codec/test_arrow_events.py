"""Arrow records carry many events: each is judged alone, and comes back alone when it is rejected."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.budgets import RECORD_ROWS
from contracts.record import ARROW
from tests.codec.event_cases import BROKEN, GOOD
from tests.codec.stored_records import (
    BAR,
    HEARTBEAT,
    SECOND,
    TICK,
    Stored,
    as_arrow,
    as_json,
    as_msgpack,
    decode,
    stream,
)

AT = 1_761_314_521 * SECOND  # 2025-10-24T14:02:01Z
NAMES = ("provider", "symbol", "kind", "interval", "src_ts", "o", "h", "l", "c", "v", "seq", "event_id")


def full(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event.get(name) for name in NAMES}


def ticks(count: int, **columns: Any) -> pa.Table:
    plain = {name: [value] * count for name, value in TICK.items()} | {"event_id": [f"e{i}" for i in range(count)]}
    return pa.table(plain | {"src_ts": pa.array([AT] * count, pa.timestamp("ns", "UTC"))} | columns)


def rejected(record: Stored) -> list[tuple[int, str, str]]:
    return decode(record).rejects.select("row", "reason", "error").rows()


def test_all_three_formats_make_the_same_events() -> None:
    events = [TICK | change for change in GOOD if change.get("kind") != "heartbeat"] + [HEARTBEAT, BAR]
    events = [event | {"event_id": "given"} for event in events]
    one_by_one = [
        decode(*map(encoded, events)).events.drop("record", "offset", "row") for encoded in (as_json, as_msgpack)
    ]
    together = decode(as_arrow([full(event) for event in events])).events.drop("record", "offset", "row")
    assert one_by_one[0].equals(one_by_one[1])
    assert one_by_one[0].equals(together)


def test_nulls_in_a_column_that_must_not_have_any_cost_their_rows_alone() -> None:
    events = pa.Table.from_pylist([full(TICK | {"kind": None}), full(TICK)])
    strict = pa.schema([field.with_nullable(False) for field in events.schema])
    batch = decode(as_arrow(pa.Table.from_arrays(events.columns, schema=strict)))
    assert batch.rejects.select("row", "error").rows() == [(0, "kind is missing")]
    assert batch.events["row"].to_list() == [1]


def test_a_bad_row_is_rejected_alone_and_comes_as_a_batch_of_one() -> None:
    rows = [row for change, _ in BROKEN for row in (full(TICK | change), full(BAR))]
    batch = decode(as_json(TICK), as_arrow(rows), as_json(TICK))
    assert batch.rejects.select("reason", "error").rows() == [("contract", error) for _, error in BROKEN]
    assert batch.rejects["row"].to_list() == list(range(0, len(rows), 2))
    assert set(batch.rejects["content_type"]) == {ARROW}
    alone = [pa.ipc.open_stream(io.BytesIO(value)).read_all().to_pylist() for value in batch.rejects["value"]]
    assert alone == [[row] for row in rows[::2]]
    places = batch.events.select("offset", "row").rows()
    assert places == [(0, 0), *((1, row) for row in range(1, len(rows), 2)), (2, 0)]
    again = decode(*(Stored(value, ARROW) for value in batch.rejects["value"]))
    assert again.rejects.select("error").equals(batch.rejects.select("error"))


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("zone", ["UTC", "+02:00", "Europe/Berlin"])
def test_aware_timestamps_of_every_unit_are_read(unit: str, factor: int, zone: str) -> None:
    times = pa.array([AT // SECOND * factor, None], pa.int64()).cast(pa.timestamp(unit, zone))
    batch = decode(as_arrow(ticks(2, src_ts=times)))
    assert batch.events["src_ts"].to_list() == [AT]
    assert batch.rejects["error"].to_list() == ["src_ts is missing"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("wrong", [2**63 - 1, -(2**63), -(2**63) + 1])
def test_a_timestamp_out_of_range_costs_no_neighbour(unit: str, wrong: int) -> None:
    right = AT // SECOND * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([right, wrong, right], pa.int64()).cast(pa.timestamp(unit, "UTC"))
    batch = decode(as_arrow(ticks(3, src_ts=times)))
    assert batch.events["row"].to_list() == [0, 2]
    assert batch.rejects["reason"].to_list() == ["contract"]
    assert "64-bit nanoseconds" in batch.rejects["error"][0]


@pytest.mark.parametrize(
    "columns",
    [
        {"symbol": pa.array(["SPY"] * 2).dictionary_encode()},
        {"symbol": pa.array(["SPY"] * 2, pa.large_string())},
        {"symbol": pa.array(["SPY"] * 2, pa.string_view())},
        {"symbol": pa.chunked_array([["SPY"], ["SPY"]])},
        {"src_ts": pa.array(["2025-10-24T14:02:01Z"] * 2).dictionary_encode()},
        {"c": pa.array([425, 426], pa.int16())},
        {"c": pa.array([425, 2**39], pa.uint64()), "v": pa.array([1.5, 2.5], pa.float32())},
        {"c": pa.array(np.array([1.5, 2.5], np.float16))},
        {"seq": pa.array([1, 255], pa.uint8())},
        {"seq": pa.array([None, None]), "o": pa.array([None, None])},
        {"ver": pa.array([1, 1], pa.int8())},
        {"ver": pa.array([1, None])},
        {"extra": pa.array([[1], [2]])},
    ],
)
def test_columns_of_many_types_are_read(columns: dict[str, Any]) -> None:
    batch = decode(as_arrow(ticks(2, **columns)))
    assert batch.rejects["error"].to_list() == []
    assert batch.events.height == 2


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"c": pa.array(["1.0"] * 2)}, "column c is string, not double"),
        ({"c": pa.array([True] * 2)}, "column c is bool, not double"),
        ({"seq": pa.array([1.0] * 2)}, "column seq is double, not int64"),
        ({"symbol": pa.array([1] * 2)}, "column symbol is int64, not large_string"),
        ({"symbol": pa.array([b"SPY"] * 2)}, "column symbol is binary, not large_string"),
        ({"src_ts": pa.array([AT] * 2)}, "column src_ts is int64, neither text nor a timestamp"),
        ({"src_ts": pa.array([AT] * 2, pa.timestamp("ns"))}, "column src_ts is a timestamp without a time zone"),
    ],
)
def test_a_column_of_a_wrong_type_costs_the_record(columns: dict[str, Any], error: str) -> None:
    record = as_arrow(ticks(2, **columns))
    batch = decode(as_json(TICK), record, as_arrow(ticks(2)))
    assert batch.rejects.select("offset", "row", "reason", "error").rows() == [(1, 0, "undecodable", error)]
    assert batch.rejects["value"].to_list() == [record.payload]
    assert batch.events["offset"].to_list() == [0, 2, 2]


def test_values_that_the_schema_of_events_cannot_hold_cost_their_row() -> None:
    beyond = 2**64 - 1
    columns = {"seq": pa.array([1, beyond, 3, 4, beyond], pa.uint64()), "ver": pa.array([1, 1, 2, None, None])}
    assert rejected(as_arrow(ticks(5, **columns))) == [
        (1, "contract", "seq is beyond 64 bits with a sign"),
        (2, "contract", "ver is not 1"),
        (4, "contract", "seq is beyond 64 bits with a sign"),
    ]


def test_a_row_is_judged_by_the_timestamp_of_its_record() -> None:
    times = pa.array([AT + 5 * SECOND, AT + 5 * SECOND + 1], pa.timestamp("ns", "UTC"))
    assert [(row, reason) for row, reason, _ in rejected(as_arrow(ticks(2, src_ts=times)))] == [(1, "future")]


def test_ids_are_derived_from_offset_and_row() -> None:
    batch = decode(as_json(TICK), as_arrow(ticks(2, event_id=pa.array([None, None], pa.string()))))
    assert [event_id.rpartition("|")[2] for event_id in batch.events["event_id"][1:]] == ["@1.0", "@1.1"]


def test_a_stream_of_several_batches_counts_its_rows_on() -> None:
    sink, table = io.BytesIO(), ticks(5)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    batch = decode(Stored(sink.getvalue(), ARROW))
    assert batch.events["row"].to_list() == [0, 1, 2, 3, 4]


def test_a_stream_without_rows_or_without_columns_holds_nothing() -> None:
    batch = decode(as_arrow(ticks(0)), as_arrow(pa.table({})), as_json(TICK))
    assert (batch.events["offset"].to_list(), batch.rejects.height) == ([2], 0)


def test_columns_that_are_missing_are_missing_in_every_row() -> None:
    assert [error for *_, error in rejected(as_arrow(ticks(2).select(["symbol", "c"])))] == ["kind is missing"] * 2


def test_a_name_twice_is_refused() -> None:
    table = ticks(1)
    twice = pa.Table.from_arrays([*table.columns, table.column("c")], [*table.column_names, "c"])
    assert rejected(as_arrow(twice))[0][2] == "the Arrow schema names a column twice"


def test_a_stream_may_not_claim_rows_without_end() -> None:
    nothing = pa.table({"kind": pa.nulls(RECORD_ROWS + 1)})
    record = as_arrow(nothing)
    assert record.payload is not None
    assert len(record.payload) < 1_000
    assert f"rows, more than {RECORD_ROWS}" in rejected(record)[0][2]


def test_invalid_utf8_costs_the_record_and_not_the_flow() -> None:
    payload = stream(ticks(2, symbol=pa.array(["UNIQUE", "SPY"]))).replace(b"UNIQUE", b"\xff\xfe\xfd\xfc\xfb\xfa")
    batch = decode(Stored(payload, ARROW), as_json(TICK))
    assert batch.rejects.select("offset", "reason").rows() == [(0, "undecodable")]
    assert batch.events["offset"].to_list() == [1]


VALID = stream(ticks(3))
TINY = stream(pa.table({"kind": pa.array(["tick", None]), "c": pa.array([1.0, None]), "seq": pa.array([1, 2])}))


@given(
    st.sampled_from([VALID, TINY]),
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=4),
    st.data(),
)
def test_a_mutilated_stream_never_raises(payload: bytes, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    mutilated = bytearray(payload)
    for place, value in changes:
        mutilated[place % len(payload)] = value
    end = data.draw(st.just(len(payload)) | st.integers(0, len(payload)))
    batch = decode(as_json(TICK), Stored(bytes(mutilated[:end]), ARROW), as_json(TICK))
    assert {0, 2} <= set(batch.events["offset"])
    whole_record = batch.rejects["reason"].to_list() == ["undecodable"]
    rows = sorted([*batch.events.filter(offset=1)["row"], *batch.rejects["row"]])
    assert whole_record or rows == list(range(len(rows)))
