"""Arrow records are read many at once, and what becomes of one is the same whatever comes with it."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.batch import MicroBatch
from contracts.record import ARROW
from tests.codec.event_cases import BROKEN, GOOD
from tests.codec.stored_records import (
    BAR,
    DECODER,
    HEARTBEAT,
    NOW_MS,
    SECOND,
    TICK,
    Stored,
    as_arrow,
    as_json,
    decode,
    fetch,
    stream,
    with_odd_places,
)

TICKS = pa.Table.from_pylist([TICK | {"symbol": symbol, "event_id": symbol * 5} for symbol in ("SPY", "QQQ", "IWM")])
AT = pa.array([NOW_MS * 1_000_000 + 5 * SECOND + late for late in (0, 1, -1)])


def changed(**columns: Any) -> pa.Table:
    for name, values in columns.items():
        at = TICKS.schema.get_field_index(name)
        table = TICKS if at < 0 else TICKS.drop_columns([name])
        return table.append_column(name, pa.array(values) if isinstance(values, list) else values)
    return TICKS


STREAMS = [
    *(stream(table) for table in (
        TICKS,
        TICKS.slice(1),
        TICKS.slice(0, 0),
        TICKS.drop_columns(["event_id"]),
        TICKS.drop_columns(["c"]),
        TICKS.drop_columns(["src_ts"]),
        TICKS.select(["c"]),
        pa.table({"unknown": [1, 2]}),
        pa.table({}),
        changed(provider=["feed", None, ""]),
        changed(symbol=["SPY", "A\0B", "S" * 257]),
        changed(symbol=TICKS.column("symbol").combine_chunks().dictionary_encode()),
        changed(event_id=[None, "e", ""]),
        changed(kind=["tick", "bar", "heartbeat"]),
        changed(kind=["tick", None, "kick"]),
        changed(kind=["tick", "ticks", "tic"]),
        changed(c=[1.0, None, float("nan")]),
        changed(c=[1, 2, 10**15 + 1]),
        changed(v=[-0.0, -1.0, 1e18]),
        changed(v=[1e18, 1.0, 1.0000001e18]),
        changed(src_ts=AT.cast(pa.timestamp("ns", "UTC"))),
        changed(src_ts=AT),
        changed(src_ts=pa.array([1, None, 2**63 - 1]).cast(pa.timestamp("ms", "UTC"))),
        changed(seq=pa.array([1, None, 2**64 - 1], pa.uint64())),
        changed(ver=[1, 2, None]),
        changed(ver=["1", "1", "1"]),
        changed(interval=[1, 2, 3]),
        pa.Table.from_pylist([BAR, BAR | {"h": 1.0}, HEARTBEAT]),
    )),
    with_odd_places(stream(TICKS), 3),
    stream(TICKS)[:-200],
    stream(TICKS).replace(b"IWM", b"\xff\xfe\xfd"),
    b"\xff\xff\xff\xff junk",
]  # fmt: skip


def alone(records: list[Stored]) -> MicroBatch:
    """All records, one fetch for each."""
    for place, record in enumerate(records):
        record.place = place
    return DECODER.decode_all(fetch([record]) for record in records)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from([NOW_MS, -1, NOW_MS - 9_000])), max_size=12), st.data()
)
def test_what_becomes_of_a_record_does_not_depend_on_its_neighbours(
    streams: list[tuple[bytes, int]], data: st.DataObject
) -> None:
    records = [as_json(TICK), *(Stored(payload, ARROW, milliseconds=time) for payload, time in streams), as_json(BAR)]
    records = data.draw(st.permutations(records))
    by_itself, together = alone(records), decode(*records)
    assert together.events.equals(by_itself.events)
    assert together.rejects.equals(by_itself.rejects)
    assert together.outcomes == by_itself.outcomes


def test_every_record_is_read_where_it_may_be_and_its_rows_stay_in_order() -> None:
    records = [Stored(payload, ARROW) for payload in (*STREAMS, *reversed(STREAMS))]
    batch = decode(*records)
    rows = pl.concat([batch.events.select("offset", "row"), batch.rejects.select("offset", "row")])
    assert rows.unique().height == rows.height
    for found in (batch.events, batch.rejects):
        assert found.select("offset", "row").rows() == sorted(found.select("offset", "row").rows())
    for part in batch.events.partition_by("offset"):
        assert part["record"].to_list() == part["offset"].to_list()


@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.string_view()])
def test_among_plain_ticks_each_row_is_judged_by_the_contract(text: pa.DataType) -> None:
    cases = [(TICK | change, error) for change, error in BROKEN] + [(TICK | change, "") for change in GOOD]
    names = list(
        dict.fromkeys(name for event, _ in cases for name in event if name not in ("more", "ingest_ts", "ver"))
    )
    events = [{name: event.get(name) for name in names} for case, _ in cases for event in (TICK, case)]
    table = pa.Table.from_pylist(events)
    wanted = pa.schema([(field.name, text if pa.types.is_string(field.type) else field.type) for field in table.schema])
    batch = decode(as_arrow(table.cast(wanted)))
    broken = [2 * case + 1 for case, (_, error) in enumerate(cases) if error]
    assert batch.rejects["row"].to_list() == broken
    assert batch.rejects["error"].to_list() == [error for _, error in cases if error]
    assert batch.events["row"].to_list() == sorted({*range(len(events))} - {*broken})


@pytest.mark.parametrize("shift", range(1, 8))
def test_columns_may_lie_anywhere(shift: int) -> None:
    batch = decode(Stored(with_odd_places(stream(TICKS), shift), ARROW), as_arrow(TICKS))
    assert batch.events.drop("record", "offset").head(3).equals(batch.events.drop("record", "offset").tail(3))
    assert batch.rejects.is_empty()


def test_records_of_one_schema_that_is_wrong_are_each_refused() -> None:
    wrong = changed(interval=[1, 2, 3])
    batch = decode(as_arrow(wrong), as_arrow(TICKS), as_arrow(wrong))
    assert batch.rejects.select("offset", "error").rows() == [
        (offset, "column interval is int64, not large_string") for offset in (0, 2)
    ]
    assert batch.events["offset"].to_list() == [1] * 3


def test_the_same_dictionary_need_not_come_again() -> None:
    """Each record has its own numbers for the same texts."""
    orders = [["SPY", "QQQ", "IWM"], ["IWM", "SPY", "QQQ"]]
    records = [as_arrow(changed(symbol=pa.array(order).dictionary_encode())) for order in orders]
    assert decode(*records).events["symbol"].to_list() == orders[0] + orders[1]
