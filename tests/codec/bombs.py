"""Records that are small and would become large: in memory, in the DLQ, or in the time that they take."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from contracts.record import ARROW, MSGPACK
from native.flatbuffer import Table
from tests.codec.stored_records import TICK, Stored, stream

MEGABYTE = 1_000_000
LONG = "S" * 4_000


def ticks(count: int, **columns: pa.Array) -> pa.Table:
    """Plain ones but for `columns`, in few bytes when they are compressed."""
    plain = {name: pa.repeat(value, count) for name, value in TICK.items()}
    return pa.table(plain | {"src_ts": pa.repeat(pa.scalar(0, pa.timestamp("ns", "UTC")), count)} | columns)


def compressed(table: pa.Table, codec: str = "zstd") -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def coded(text: object, count: int, kind: pa.DataType | None = None) -> pa.Array:
    """One text, and many places that refer to it."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text], kind))


def views(count: int, length: int = 4_000) -> pa.Array:
    """Views of one text each."""
    view = struct.pack("<i4sii", length, b"SSSS", 0, 0)
    return pa.Array.from_buffers(
        pa.string_view(), count, [None, pa.py_buffer(view * count), pa.py_buffer(b"S" * length)]
    )


def same_buffers(columns: int) -> bytes:
    """Columns that are all the same bytes of the stream, compressed."""
    table = pa.table({str(place): np.zeros(MEGABYTE // 8) for place in range(columns)})
    payload = bytearray(compressed(table))
    at = 8 + int.from_bytes(payload[4:8], "little")
    batch = Table.root(bytes(payload), at + 8).table(2)
    assert batch is not None
    count, start = batch.vector(2) or (0, 0)
    payload[start : start + 16 * count] = payload[start : start + 32] * columns
    return bytes(payload)


def grown_dictionaries(batches: int, size: int) -> bytes:
    """Each batch has a dictionary of all that was in the one before it, and a text more."""
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="zstd", emit_dictionary_deltas=True)
    texts = [f"{place}{'x' * size}" for place in range(batches)]
    with pa.ipc.new_stream(sink, pa.schema({"x": pa.dictionary(pa.int32(), pa.string())}), options=options) as writer:
        for place in range(batches):
            writer.write(
                pa.record_batch(
                    {"x": pa.DictionaryArray.from_arrays(pa.array([place], pa.int32()), texts[: place + 1])}
                )
            )
    return sink.getvalue()


def referring_batches(batches: int, size: int) -> bytes:
    """Batches that all refer to one dictionary, which is looked at for each of them."""
    sink, column = io.BytesIO(), coded("x" * size, 1)
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, pa.schema({"x": column.type}), options=options) as writer:
        for _ in range(batches):
            writer.write(pa.record_batch({"x": column}))
    return sink.getvalue()


def empty_batches(count: int) -> bytes:
    sink, table = io.BytesIO(), ticks(0)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(count):
            writer.write_batch(
                pa.RecordBatch.from_arrays([pa.array([], kind) for kind in table.schema.types], schema=table.schema)
            )
    return sink.getvalue()


def _arrow(payload: Callable[[], bytes]) -> Callable[[], Stored]:
    return lambda: Stored(payload(), ARROW)


BOMBS: dict[str, Callable[[], Stored]] = {
    "a long text in a dictionary, half a million times": _arrow(
        lambda: compressed(ticks(500_000, symbol=coded(LONG, 500_000)))
    ),
    "a long text in a dictionary": _arrow(lambda: compressed(ticks(200_000, symbol=coded(LONG, 200_000)))),
    "a long text of a view in a dictionary": _arrow(
        lambda: compressed(ticks(200_000, kind=coded(LONG, 200_000, pa.string_view())))
    ),
    "texts as long as they may be, in every column": _arrow(
        lambda: compressed(
            ticks(200_000, **{name: coded("S" * 256, 200_000) for name in ("provider", "symbol", "event_id")})
        )
    ),
    "views of one text": _arrow(lambda: compressed(pa.table({"symbol": views(2_500_000)}))),
    "views of one text, in fewer rows": _arrow(lambda: compressed(ticks(200_000, symbol=views(200_000)))),
    "views of a longer text that nobody reads": _arrow(
        lambda: compressed(ticks(200_000, extra=views(200_000, 16 * MEGABYTE)))
    ),
    "views in lists": _arrow(
        lambda: compressed(ticks(1, extra=pa.ListArray.from_arrays([0, 2_000_000], views(2_000_000))))
    ),
    "zeros, compressed": _arrow(lambda: compressed(pa.table({"c": np.zeros(265_000_000)}))),
    "zeros, compressed otherwise": _arrow(lambda: compressed(pa.table({"c": np.zeros(26_500_000)}), "lz4")),
    "zeros in a list": _arrow(
        lambda: compressed(ticks(1, extra=pa.ListArray.from_arrays([0, 60_000_000], np.zeros(60_000_000))))
    ),
    "columns that are the same bytes": _arrow(lambda: same_buffers(300)),
    "dictionaries that grow": _arrow(lambda: grown_dictionaries(400, 2_000)),
    "batches that refer to one dictionary": _arrow(lambda: referring_batches(3_000, 50 * MEGABYTE)),
    "batches without rows": _arrow(lambda: empty_batches(1_500)),
    "a long name": _arrow(lambda: stream(pa.table({"x" * 100_000: pa.nulls(10_000)}))),
    "a long name, and few rows": _arrow(lambda: stream(pa.table({"x" * 100_000: pa.nulls(100)}))),
    "many names": _arrow(lambda: stream(pa.table({f"{place}": pa.nulls(100) for place in range(8_000)}))),
    "rows of nulls": _arrow(lambda: stream(pa.table({"x": pa.nulls(1_000_000)}))),
    "as many rows of nulls as there may be": _arrow(lambda: stream(pa.table({"x": pa.nulls(250_000)}))),
    "one run for all rows": _arrow(
        lambda: stream(pa.table({"x": pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), ["x"])}))
    ),
    "lists of nothing": _arrow(
        lambda: stream(pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.nulls(2**31 - 1), 2**31 - 1)}))
    ),
    "digits": lambda: Stored(b'{"c":' + b"1" * MEGABYTE + b"}"),
    "digits after the point": lambda: Stored(b'{"c":0.' + b"1" * MEGABYTE + b"}"),
    "digits of a number that has to be whole": lambda: Stored(b'{"seq":' + b"1" * MEGABYTE + b"}"),
    "a long text": lambda: Stored(b'{"symbol":"' + b"S" * MEGABYTE + b'"}'),
    "escapes": lambda: Stored(b'{"symbol":"' + b"\\u0001" * (MEGABYTE // 6) + b'"}'),
    "fields": lambda: Stored(b"{" + b'"x":1,' * (MEGABYTE // 6) + b'"x":1}'),
    "depth": lambda: Stored(b'{"x":' * (MEGABYTE // 5)),
    "depth in an array": lambda: Stored(b'{"x":' + b"[" * MEGABYTE),
    "depth in MessagePack": lambda: Stored(b"\x81\xa1x" * (MEGABYTE // 3), MSGPACK),
    "a long array in MessagePack": lambda: Stored(b"\x81\xa1x\xdd\xff\xff\xff\xff", MSGPACK),
    "a long content type": lambda: Stored(b"x", "x" * MEGABYTE),
}
