"""Arrow records are read from their bytes where they are like one that was opened, with the same result."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.arrow_ticks import ArrowReader
from contracts.batch import MicroBatch
from contracts.event import TIME_BOUND
from contracts.record import ARROW
from native import arrow_layout, arrow_scan
from tests.codec.mutations import damaged
from tests.codec.stored_records import MAX_FUTURE, NOW_MS, Stored, decode, fetch, stream
from tests.kernels import Signatures, compiled

NOW = NOW_MS * 1_000_000
COUNT = 19
SYMBOLS = ["SPY", "S", "EXACTLY12BYT", "OPTION251024C00425000", "S" * 256]
NUMBERS = [0, 1, -1, 4, 7, 8, COUNT, COUNT + 1, 2**31, 2**31 - 1, 2**32, 2**40, 2**62, 2**63 - 1, -(2**63), -8]


def ticks(**changed: pa.Array | list[Any] | None) -> pa.Table:
    """Plain ones but for what is changed; None for a column that is not there."""
    columns: dict[str, Any] = {
        "provider": ["feed"] * COUNT,
        "symbol": [SYMBOLS[row % len(SYMBOLS)] for row in range(COUNT)],
        "kind": ["tick"] * COUNT,
        "interval": [None, *["tick"] * (COUNT - 1)],
        "src_ts": pa.array(NOW + np.arange(COUNT), pa.timestamp("ns", "UTC")),
        "ingest_ts": pa.array(NOW + np.arange(COUNT), pa.timestamp("us", "UTC")),
        "o": pa.array([None] * COUNT, pa.float64()),
        "c": np.linspace(1, 2, COUNT),
        "v": np.arange(COUNT) * 1.0,
        "seq": np.arange(COUNT),
        "event_id": [f"feed|{row}|{'x' * row}" for row in range(COUNT)],
        "flag": [True, None] * (COUNT // 2) + [False],
    } | changed
    return pa.table({name: column for name, column in columns.items() if column is not None})


def late(nanoseconds: int, row: int = 3) -> pa.Array:
    """Times of which one lies so far ahead of the records' own."""
    times = [NOW] * COUNT
    times[row] += nanoseconds
    return pa.array(times, pa.timestamp("ns", "UTC"))


def replaced(values: list[Any], row: int, value: Any) -> list[Any]:
    return [*values[:row], value, *values[row + 1 :]]


def in_batches(table: pa.Table, rows: int) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def by_polars(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    frame = pl.DataFrame(pl.from_arrow(table))
    frame.write_ipc_stream(sink, compat_level=pl.CompatLevel.oldest())
    return sink.getvalue()


PLAIN = {
    "as it is": stream(ticks()),
    "one row": stream(ticks().slice(5, 1)),
    "a part of it": stream(ticks().slice(5, 9)),
    "several batches": in_batches(ticks(), 7),
    "by Polars": by_polars(ticks()),
    "no seq": stream(ticks(seq=None)),
    "no event_id": stream(ticks(event_id=None)),
    "only what has to be there": stream(ticks().select(["v", "c", "src_ts", "kind", "symbol", "provider"])),
    "long texts": stream(ticks().cast(pa.schema([
        pa.field(field.name, pa.large_string() if pa.types.is_string(field.type) else field.type)
        for field in ticks().schema
    ]))),
    "the earliest time": stream(ticks(src_ts=late(-NOW - TIME_BOUND))),
    "the latest time": stream(ticks(src_ts=late(MAX_FUTURE))),
    **{f"times in {unit}": stream(ticks(src_ts=late(0).cast(pa.timestamp(unit, "Asia/Tokyo"), safe=False)))
       for unit in ("us", "ms", "s")},
    "at the bounds": stream(ticks(c=[1e15, -1e15] + [-0.0] * (COUNT - 2), v=[1e18, 5e-324] + [-0.0] * (COUNT - 2))),
}  # fmt: skip

OTHERS = {
    "no rows": stream(ticks().slice(0, 0)),
    "no end": stream(ticks())[:-8],
    "more after the end": stream(ticks()) + bytes(8),
    "cut": stream(ticks())[:-100],
    "a bar": stream(ticks(kind=replaced(["tick"] * COUNT, 3, "bar"))),
    "kinds that add up": stream(ticks(kind=replaced(replaced(["tick"] * COUNT, 3, "tic"), 4, "ktick"))),
    "an empty symbol": stream(ticks(symbol=replaced(["SPY"] * COUNT, 3, ""))),
    "too long a symbol": stream(ticks(symbol=replaced(["SPY"] * COUNT, 3, "S" * 257))),
    "a NUL": stream(ticks(provider=replaced(["feed"] * COUNT, COUNT - 1, "fee\0"))),
    "no ASCII": stream(ticks(symbol=replaced(["SPY"] * COUNT, COUNT - 1, "é"))),
    "no UTF-8": stream(ticks(interval=["tick"] * (COUNT - 1) + ["IWM"])).replace(b"IWM", b"\xff\xfe\xfd"),
    "a null symbol": stream(ticks(symbol=replaced(["SPY"] * COUNT, 3, None))),
    "a null event_id": stream(ticks(event_id=replaced(["e"] * COUNT, 3, None))),
    "a null seq": stream(ticks(seq=pa.array(replaced([1] * COUNT, 3, None), pa.int64()))),
    "a null price": stream(ticks(c=replaced([1.0] * COUNT, 3, None))),
    "no number": stream(ticks(c=replaced([1.0] * COUNT, 3, float("nan")))),
    "too large": stream(ticks(c=replaced([1.0] * COUNT, 3, np.nextafter(1e15, 2e15)))),
    "too large a size": stream(ticks(v=replaced([1.0] * COUNT, 3, np.nextafter(1e18, 2e18)))),
    "below zero": stream(ticks(v=replaced([1.0] * COUNT, 3, -5e-324))),
    "too far ahead": stream(ticks(src_ts=late(MAX_FUTURE + 1))),
    "out of bounds": stream(ticks(src_ts=late(-NOW - TIME_BOUND - 1))),
    "seconds that do not fit": stream(
        ticks(src_ts=pa.array([2**62] * COUNT, pa.int64()).cast(pa.timestamp("s", "UTC")))
    ),
    "times without a zone": stream(ticks(src_ts=late(0).cast(pa.timestamp("ns")))),
    "a version": stream(ticks(ver=[1] * COUNT)),
    "whole prices": stream(ticks(c=[1] * COUNT)),
    "a dictionary": stream(ticks(symbol=pa.array(["SPY"] * COUNT).dictionary_encode())),
    "lists": stream(ticks(more=[[1]] * COUNT)),
    "no prices": stream(ticks(c=None)),
}


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    arrow_layout._known.clear()
    yield
    arrow_layout._known.clear()


def opened(payload: bytes) -> MicroBatch:
    """What becomes of a record of which nothing is known."""
    arrow_layout._known.clear()
    return decode(Stored(payload, ARROW))


def is_scanned(payload: bytes) -> bool:
    records = fetch([Stored(payload, ARROW)]).records
    return ArrowReader(records, MAX_FUTURE).scan([0]) == []


def same(one: MicroBatch, other: MicroBatch) -> bool:
    return one.events.equals(other.events) and one.rejects.equals(other.rejects)


@pytest.mark.parametrize("payload", PLAIN.values(), ids=PLAIN)
def test_a_plain_stream_is_read_alike_either_way(payload: bytes) -> None:
    first = opened(payload)
    assert is_scanned(payload)
    again = decode(Stored(payload, ARROW))
    assert same(again, first)
    assert first.events.height
    assert first.rejects.is_empty()
    assert again.events.with_columns(pl.col(pl.String) + "").equals(first.events)  # its texts are sound inside too


@pytest.mark.parametrize("payload", OTHERS.values(), ids=OTHERS)
def test_what_is_not_plain_is_left_to_others(payload: bytes) -> None:
    first = opened(payload)
    assert not is_scanned(payload)
    decode(Stored(stream(ticks()), ARROW))
    assert not is_scanned(payload)
    assert same(decode(Stored(payload, ARROW)), first)


def test_one_record_that_is_not_plain_leaves_its_neighbours_as_they_are() -> None:
    payloads = [PLAIN["as it is"], OTHERS["below zero"], PLAIN["several batches"], OTHERS["cut"], PLAIN["no seq"]]
    records = [Stored(payload, ARROW) for payload in payloads]
    first, again = decode(*records), decode(*records)
    assert same(again, first)
    assert again.events.group_by("offset", maintain_order=True).len().rows() == [
        (0, COUNT), (1, COUNT - 1), (2, COUNT), (4, COUNT)
    ]  # fmt: skip
    assert again.rejects.select("offset", "row").rows() == [(1, 3), (3, 0)]


def test_a_stream_that_is_laid_out_in_another_way_is_learned_anew() -> None:
    plain = PLAIN["as it is"]
    start = len(arrow_layout.schema_of(plain))
    length = int.from_bytes(plain[start + 4 : start + 8], "little")
    message = (length + 8).to_bytes(4, "little") + plain[start + 8 : start + 8 + length] + bytes(8)
    other = plain[: start + 4] + message + plain[start + 8 + length :]
    decode(Stored(plain, ARROW))
    assert not is_scanned(other)
    decode(Stored(other, ARROW))
    assert is_scanned(other)
    assert not is_scanned(plain)
    assert same(decode(Stored(other, ARROW)), opened(plain))


def first_scan() -> tuple[Signatures, Signatures]:
    """After the imports; and when records have come and were scanned."""
    imported = compiled(arrow_scan)
    for _ in range(2):
        decode(*(Stored(payload, ARROW) for payload in PLAIN.values()))
    return imported, compiled(arrow_scan)


def test_nothing_is_compiled_while_records_come() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        imported, ended = fresh.submit(first_scan).result()
    assert imported["_fill"]
    assert ended == imported


def test_only_so_many_layouts_are_kept() -> None:
    for number in range(100):
        decode(Stored(stream(ticks().append_column(f"more{number}", pa.array([1] * COUNT))), ARROW))
    assert is_scanned(stream(ticks().append_column("more99", pa.array([1] * COUNT))))
    assert not is_scanned(stream(ticks().append_column("more0", pa.array([1] * COUNT))))


@settings(max_examples=400)
@given(st.sampled_from(list(PLAIN.values())), st.integers(0, 2**32), st.booleans())
def test_damage_has_the_same_consequences_either_way(payload: bytes, seed: int, is_in_numbers: bool) -> None:
    """Numbers are those of batches, which say where buffers are, and those in buffers, which say where texts are."""
    chance = random.Random(seed)
    hurt = with_other_numbers(chance, payload) if is_in_numbers else damaged(chance, payload)
    by_itself = opened(hurt)
    arrow_layout._known.clear()
    decode(Stored(payload, ARROW))
    assert same(decode(Stored(hurt, ARROW)), by_itself)


def with_other_numbers(chance: random.Random, payload: bytes) -> bytes:
    data = bytearray(payload)
    start = len(arrow_layout.schema_of(payload))
    for _ in range(chance.choice([1, 1, 2, 4])):
        width, form = chance.choice([(8, "<q"), (8, "<q"), (4, "<i")])
        at = start + width * chance.randrange((len(data) - start) // width)
        number = struct.unpack_from(form, data, at)[0] + chance.choice(NUMBERS)
        data[at : at + width] = (number if chance.random() < 0.5 else chance.choice(NUMBERS)).to_bytes(
            16, "little", signed=True
        )[:width]
    return bytes(data)


def test_a_time_is_judged_by_the_clock_of_its_own_record() -> None:
    payload = stream(ticks(src_ts=late(MAX_FUTURE)))
    opened(payload)
    for milliseconds, height in ((NOW_MS, COUNT), (NOW_MS - 1, COUNT - 1), (-1, COUNT)):
        batch = decode(Stored(payload, ARROW), Stored(payload, ARROW, milliseconds=milliseconds))
        assert batch.events.filter(offset=1).height == height
        assert batch.events.filter(offset=0).height == COUNT
