"""Arrow records of every type, seeded: in columns that are read and in others, with good, bad and late rows."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from contracts.record import ARROW
from tests.codec.stored_records import NOW_MS, Stored, with_odd_places

NOW = NOW_MS * 1_000_000
HOUR = 3_600 * 10**9
MOST_ROWS = 6

Maker = Callable[[list[Any]], pa.Array]
TypeMaker = Callable[[random.Random, int], pa.DataType]  # whose depth is at most so much

_UNITS = ["s", "ms", "us", "ns"]
_LEAVES: list[pa.DataType] = [
    *(pa.null(), pa.bool_(), pa.string(), pa.large_string(), pa.string_view()),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.float16(), pa.float32(), pa.float64(), pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)),
    *(pa.decimal32(5, 2), pa.decimal64(12), pa.decimal128(30, 4), pa.decimal256(60)),
    *(pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    *(pa.timestamp(unit, zone) for unit in _UNITS for zone in (None, "UTC", "Europe/Berlin", "nowhere")),
    *(pa.duration(unit) for unit in _UNITS),
    pa.month_day_nano_interval(),
]  # fmt: skip
_INDICES = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64()]
_TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
_NUMBERS = [pa.float64(), pa.float32(), pa.float16(), pa.int64(), pa.int32(), pa.uint64(), pa.decimal128(30, 4)]
_TIMES = [pa.timestamp(unit, zone) for unit in _UNITS for zone in ("UTC", "Asia/Tokyo", None)]

# What each row of a record is meant to be, and what of a plain tick is changed for that.
_GOOD: dict[str, Any] = {}
_BAD: list[dict[str, Any]] = [{"c": None}, {"v": -1.0}, {"kind": "rumour"}, {"symbol": None}, {"src_ts": NOW + HOUR}]
_LATE: dict[str, Any] = {"src_ts": NOW - HOUR}


@dataclass(frozen=True, slots=True)
class Typed:
    """A record, and what it holds; None where that cannot be read."""

    stored: Stored
    table: pa.Table | None


def records(seed: int, count: int) -> Iterator[Typed]:
    """So many records, a few of each schema."""
    chance = random.Random(seed)
    while count > 0:
        makers = _makers(chance)
        for _ in range(min(chance.randrange(1, 12), count)):
            count -= 1
            payload = _written(chance, _table(chance, makers))
            if chance.random() < 0.1:
                payload = with_odd_places(payload, chance.randrange(1, 8))
            if chance.random() < 0.1:
                payload = _damaged(chance, payload)
            yield Typed(Stored(payload, ARROW), _read_back(payload))


def _read_back(payload: bytes) -> pa.Table | None:
    """Not all that is written can be read, or comes back as it was: dictionaries of dictionaries do not."""
    try:
        table = pa.ipc.open_stream(payload).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return table


def _damaged(chance: random.Random, payload: bytes) -> bytes:
    damaged = bytearray(payload)
    for _ in range(chance.choice([1, 1, 4])):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    return bytes(damaged)


def _makers(chance: random.Random) -> dict[str, Maker]:
    """How each column of a schema is made of the values of its rows."""
    made = {name: _read(chance, name) for name in _row(chance, 0)}
    others = [chance.choice(["o", "interval"])] if chance.random() < 0.1 else []
    others += [f"extra {place}" for place in range(chance.randrange(3))]
    return made | {name: _unread(chance, _any_type(chance, 3)) for name in others}


def _table(chance: random.Random, makers: Mapping[str, Maker]) -> pa.Table:
    rows = [_row(chance, number) for number in range(chance.randrange(1, MOST_ROWS))]
    return pa.table({name: make([row.get(name) for row in rows]) for name, make in makers.items()})


def _row(chance: random.Random, number: int) -> dict[str, Any]:
    plain = {
        "provider": "feed",
        "symbol": chance.choice(["SPY", "OPTION251024C00425000"]),
        "kind": "tick",
        "src_ts": NOW,
        "c": 1.5,
        "v": 2.0,
        "seq": number,
        "event_id": f"{chance.getrandbits(64):x}",
        "ver": 1,
    }
    return plain | chance.choice([_GOOD, _GOOD, chance.choice(_BAD), _LATE])


def _unread(chance: random.Random, kind: pa.DataType) -> Maker:
    return lambda values: array(chance, kind, len(values))


def _read(chance: random.Random, name: str) -> Maker:
    """Mostly of a type that holds the values."""
    if chance.random() < 0.02:
        return _unread(chance, _any_type(chance, 2))
    if name == "src_ts":
        kind = chance.choice(_TIMES) if chance.random() < 0.2 else pa.timestamp("ns", "UTC")
        factor = 10 ** (9 - 3 * _UNITS.index(kind.unit))
        return lambda values: pa.array([value // factor for value in values], pa.int64()).cast(kind)
    if name in ("c", "v", "seq", "ver"):
        usual, others = (pa.float64(), _NUMBERS) if name in "cv" else (pa.int64(), _INDICES)
        kind = chance.choice(others) if chance.random() < 0.1 else usual
        return lambda values: pa.array(values, usual).cast(kind, safe=False)
    kind = chance.choice([*_TEXTS, pa.string(), pa.string()])
    if chance.random() < 0.6:
        return lambda values: pa.array(values, kind)
    places = chance.choice(_INDICES)
    return lambda values: pa.DictionaryArray.from_arrays(pa.array(range(len(values)), places), pa.array(values, kind))


def _any_type(chance: random.Random, depth: int) -> pa.DataType:
    if depth == 0 or chance.random() < 0.4:
        return chance.choice(_LEAVES)
    return chance.choice(_NESTED)(chance, depth - 1)


def _of_any_type(make: Callable[[pa.DataType], pa.DataType]) -> TypeMaker:
    return lambda chance, depth: make(_any_type(chance, depth))


_NESTED: list[TypeMaker] = [
    *map(_of_any_type, (pa.list_, pa.large_list, pa.list_view, pa.large_list_view)),
    lambda chance, depth: pa.list_(_any_type(chance, depth), chance.randrange(3)),
    lambda chance, depth: pa.struct({name: _any_type(chance, depth) for name in "ab"[: chance.randrange(3)]}),
    lambda chance, depth: pa.map_(chance.choice(_TEXTS), _any_type(chance, depth)),
    *[lambda chance, depth: pa.dictionary(chance.choice(_INDICES), _any_type(chance, depth))] * 3,
    lambda chance, depth: pa.run_end_encoded(pa.int32(), _any_type(chance, depth)),
    lambda chance, depth: pa.sparse_union([pa.field(name, _any_type(chance, depth)) for name in "ab"]),
    lambda chance, depth: pa.dense_union([pa.field(name, _any_type(chance, depth)) for name in "ab"]),
    lambda chance, _: chance.choice([pa.uuid(), pa.json_(), pa.bool8(), pa.opaque(pa.int8(), "thing", "somebody")]),
]


def array(chance: random.Random, kind: pa.DataType, count: int) -> pa.Array:
    """So many values of a type."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, array(chance, kind.storage_type, count))
    if pa.types.is_dictionary(kind):
        values = array(chance, kind.value_type, chance.randrange(1, 4))
        places = [chance.choice([None, *range(len(values))]) for _ in range(count)]
        return pa.DictionaryArray.from_arrays(pa.array(places, kind.index_type), values)
    if pa.types.is_run_end_encoded(kind):
        return pa.RunEndEncodedArray.from_arrays(
            pa.array(range(1, count + 1), pa.int32()), array(chance, kind.value_type, count)
        )
    if pa.types.is_struct(kind):
        children = [array(chance, kind.field(place).type, count) for place in range(kind.num_fields)]
        mask = pa.array([chance.random() < 0.2 for _ in range(count)], pa.bool_())
        if not children:
            return pa.array([None if is_null else {} for is_null in mask.to_pylist()], kind)
        return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)
    if pa.types.is_union(kind):
        return _union(chance, kind, count)
    if kind.num_fields:
        return _list(chance, kind, count)
    return _leaf(chance, kind, count)


def _union(chance: random.Random, kind: pa.DataType, count: int) -> pa.Array:
    codes = pa.array([chance.randrange(2) for _ in range(count)], pa.int8())
    children = [array(chance, kind.field(place).type, count) for place in range(2)]
    if kind.mode == "sparse":
        return pa.UnionArray.from_sparse(codes, children, ["a", "b"])
    return pa.UnionArray.from_dense(codes, pa.array(range(count), pa.int32()), children, ["a", "b"])


def _list(chance: random.Random, kind: pa.DataType, count: int) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        values = array(chance, kind.value_type, count * kind.list_size)
        return pa.Array.from_buffers(kind, count, [None], children=[values])
    ends = np.cumsum([0, *(chance.randrange(3) for _ in range(count))])
    if pa.types.is_map(kind):
        keys = pa.array([f"key {place}" for place in range(ends[-1])], kind.key_type)
        return pa.MapArray.from_arrays(ends.astype(np.int32), keys, array(chance, kind.item_type, int(ends[-1])), kind)
    values = array(chance, kind.value_type, int(ends[-1]))
    makers = {pa.ListType: pa.ListArray, pa.LargeListType: pa.LargeListArray}
    offsets = pa.array(ends, pa.int32() if isinstance(kind, pa.ListType | pa.ListViewType) else pa.int64())
    if type(kind) in makers:
        return makers[type(kind)].from_arrays(offsets, values, type=kind)
    maker = pa.ListViewArray if isinstance(kind, pa.ListViewType) else pa.LargeListViewArray
    lengths = pa.array(np.diff(ends), offsets.type)
    return maker.from_arrays(offsets.slice(0, count), lengths, values, type=kind)


def _leaf(chance: random.Random, kind: pa.DataType, count: int) -> pa.Array:
    """Values of any bits, but for texts and what has to be within bounds to be valid."""
    if pa.types.is_null(kind):
        return pa.nulls(count)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.array([chance.choice([None, "", "é", "a text that is no short one"]) for _ in range(count)], kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.array([chance.choice([None, b"", b"\xff" * 20]) for _ in range(count)], kind)
    if pa.types.is_decimal(kind):
        return pa.array([chance.choice([None, 0, -123]) for _ in range(count)], kind)
    if pa.types.is_time(kind) or pa.types.is_date(kind):
        return (
            pa.array([chance.choice([None, 0]) for _ in range(count)], pa.int64())
            .cast(pa.int32() if kind.bit_width == 32 else pa.int64())
            .cast(kind)
        )
    width = (kind.bit_width * count + 7) // 8
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(chance.randbytes(width))])


def _written(chance: random.Random, table: pa.Table) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=chance.choice([None, None, "zstd", "lz4"]))
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chance.choice([None, 1, 2]))
    return sink.getvalue()
