"""Reads DBN, Databento's binary format, into columns that have the names of its fields.

Records of one schema have one size, so that a block of them is an array of structs, each field of which is a column.
Prices are whole numbers of 1e-9, and become the nearest floats; sides and actions are letters, as in Databento's CSV.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.databento.books import with_books
from connectors.databento.metadata import Metadata, dbn, read_metadata
from connectors.files.errors import FileError
from connectors.files.layout import Layout
from connectors.files.opening import Opened
from connectors.files.pieces import Columns

_UNKNOWN_PRICE: Final = 2**63 - 1
_UNKNOWN_TIME: Final = 2**64 - 1
_EXACT: Final = 2**53  # whole numbers up to here are floats
_SCALE: Final = 1_000_000_000
_WORDS_BYTES: Final = 4  # of which `length` counts

# By schema, the class of its records, which says how they are laid out.
_RECORDS: Final = {
    "trades": "TradeMsg",
    "tbbo": "MBP1Msg",
    "mbp-1": "MBP1Msg",
    "mbp-10": "MBP10Msg",
    "ohlcv-1s": "OHLCVMsg",
    "ohlcv-1m": "OHLCVMsg",
    "ohlcv-1h": "OHLCVMsg",
    "ohlcv-1d": "OHLCVMsg",
}
PRESETS: Final = {
    "dbn-trades": ("trades",),
    "dbn-quotes": ("mbp-1", "tbbo"),
    "dbn-books": ("mbp-10",),
    "dbn-bars": ("ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d"),
}
_LETTERS: Final = pl.Series([chr(code) if 32 < code < 127 else None for code in range(256)], dtype=pl.String)

_Structs = npt.NDArray[Any]


def read_dbn(file: Opened, layout: Layout, rows: int) -> Iterator[Columns]:
    """Yields a file in pieces of about so many rows.

    Raises:
        FileError: it is not DBN, its schema is not one of those that are known, or it lacks a column.
    """
    with file.stream() as stream:
        metadata = read_metadata(file.name, stream)
        kind = _record(file.name, metadata)
        first = 1
        for records in _blocks(file.name, stream, _struct(kind, metadata), rows):
            frame = _columns(records, kind, metadata)
            if metadata.schema == "trades":
                frame = frame.with_columns(repeat_id=_repeats(records))
            elif metadata.schema in PRESETS["dbn-books"]:
                frame = with_books(frame)
            places = layout.chosen(file.name, frame.columns)
            values = [frame.to_series(place).alias(name) for name, place in places.items()]
            numbers = pl.int_range(first, first + frame.height, eager=True)
            first += frame.height
            yield Columns(numbers, pl.DataFrame(values)).where(_has_price(frame, metadata))


def preset_of(file: Opened) -> str:
    """The preset for a DBN file.

    Raises:
        FileError: it is not DBN, or its schema is not one of those that are known.
    """
    with file.stream() as stream:
        metadata = read_metadata(file.name, stream)
    _record(file.name, metadata)
    return next(preset for preset, schemas in PRESETS.items() if metadata.schema in schemas)


def _has_price(frame: pl.DataFrame, metadata: Metadata) -> pl.Series | None:
    """Which quotes have a price: an empty book is none. None: all rows have what they need."""
    if metadata.schema not in PRESETS["dbn-quotes"]:
        return None
    return frame["bid_px_00"].is_not_null() | frame["ask_px_00"].is_not_null()


def _record(name: str, metadata: Metadata) -> Any:
    """The class of a file's records."""
    if metadata.schema not in _RECORDS:
        found = "records of several schemas" if metadata.schema is None else f"the schema {metadata.schema}"
        raise FileError(f"{name} has {found}: those that can be read are {', '.join(_RECORDS)}")
    return getattr(dbn(name), _RECORDS[metadata.schema])


def _struct(kind: Any, metadata: Metadata) -> np.dtype[Any]:
    fields = [*kind._dtypes, *([("ts_out", "u8")] if metadata.has_sent_times else [])]
    return np.dtype([(name, form) for name, form in fields])


def _blocks(name: str, stream: IO[bytes], struct: np.dtype[Any], rows: int) -> Iterator[_Structs]:
    """Yields blocks of records. Those of one sequence are together, so that they can be told apart."""
    held = np.empty(0, struct)
    while data := stream.read(rows * struct.itemsize):
        if len(data) % struct.itemsize:
            data += stream.read(struct.itemsize - len(data) % struct.itemsize)
        if len(data) % struct.itemsize:
            raise FileError(f"{name} ends within a record")
        records = np.frombuffer(data, struct)
        if not (records["length"] == struct.itemsize // _WORDS_BYTES).all():
            raise FileError(f"{name} has records of another length than its schema")
        records = np.concatenate([held, records]) if len(held) else records
        end = _last_begin(records)
        held = records[end:]
        if end:
            yield records[:end]
    if len(held):
        yield held


def _last_begin(records: _Structs) -> int:
    """Where the last records of one sequence begin."""
    if "sequence" not in (records.dtype.names or ()):
        return len(records)
    others = np.flatnonzero(records["sequence"] != records["sequence"][-1])
    return int(others[-1]) + 1 if len(others) else 0


def _columns(records: _Structs, kind: Any, metadata: Metadata) -> pl.DataFrame:
    prices, times = set(kind._price_fields), set(kind._timestamp_fields)
    names = [name for name in records.dtype.names or () if name not in ("length", "ts_out") and name[0] != "_"]
    columns = [_column(name, records[name], is_price=name in prices, is_time=name in times) for name in names]
    instruments = records["instrument_id"].astype(np.int64)
    by_day = "ts_recv" if "ts_recv" in names else "ts_event"  # as Databento chooses the day of a symbol
    symbols = metadata.symbols_of(instruments, records[by_day].astype(np.int64)).alias("symbol")
    own = [pl.Series("dataset", [metadata.dataset]).new_from_index(0, len(records)), symbols]
    interval = str(metadata.schema).removeprefix("ohlcv-")
    return pl.DataFrame([*columns, *own, pl.Series("interval", [interval]).new_from_index(0, len(records))])


def _column(name: str, values: npt.NDArray[Any], *, is_price: bool, is_time: bool) -> pl.Series:
    if is_price:
        return prices_of(values).alias(name)
    if values.dtype.kind == "S":
        return _LETTERS.gather(pl.Series(np.ascontiguousarray(values).view(np.uint8))).alias(name)
    if is_time:
        known = values != _UNKNOWN_TIME
        return pl.Series(name, values.astype(np.int64)).set(pl.Series(~known), None)
    return pl.Series(name, values.astype(np.int64))


def prices_of(fixed: npt.NDArray[np.int64]) -> pl.Series:
    """Prices of whole numbers of 1e-9: the nearest floats, null where there is none."""
    prices = fixed / _SCALE  # is rounded once, as both are floats
    unknown = fixed == _UNKNOWN_PRICE
    large = np.flatnonzero((np.abs(fixed) > _EXACT) & ~unknown)
    if len(large):
        prices[large] = [int(one) / _SCALE for one in fixed[large]]
    return pl.Series(prices).set(pl.Series(unknown), None)


def _repeats(records: _Structs) -> pl.Series:
    """Ids of trades that have the sequence of the one before, and its instrument: all but the first of each."""
    times, sequences, instruments = records["ts_event"], records["sequence"], records["instrument_id"]
    is_same = sequences[1:] == sequences[:-1]
    found: list[str | None] = [None] * len(records)
    if not is_same.any():
        return pl.Series(found, dtype=pl.String)
    runs = np.concatenate([[0], np.cumsum(~is_same)])
    near = np.flatnonzero(np.concatenate([is_same, [False]]) | np.concatenate([[False], is_same]))
    seen: dict[tuple[int, int], int] = {}
    for place in near.tolist():
        instrument = int(instruments[place])
        count = seen.get((int(runs[place]), instrument), 0)
        seen[int(runs[place]), instrument] = count + 1
        if count:
            found[place] = f"{instrument}.{times[place]}.{sequences[place]}.{count}"
    return pl.Series(found, dtype=pl.String)
