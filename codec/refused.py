"""Refused rows with their original bytes: for the DLQ, or for the late topic.

A row of an Arrow record is written alone, so that a redrive does not send its neighbours again. If a record has too
many such rows, or they would be too large, or one cannot be extracted, the whole record is written once and names its
refused rows: so any record can be refused, at a size little above its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from codec.stubs import Body
from contracts.budgets import ALONE_ROWS, ALONE_TIMES, RECORD_ROWS, WHOLE_BYTES
from contracts.frames import REFUSED
from contracts.headers import PACKING
from contracts.record import ARROW, JSON, MSGPACK, Records, header_texts, is_arrow

_Ints = npt.NDArray[np.int64]
_Payloads = Sequence[bytes | None]

UNDECODABLE: Final = "undecodable"  # the reason of records that are none of a form that is known

_MOST_BYTES: Final = RECORD_ROWS // 8 + 1  # of a bit for each row


class _Leaving(NamedTuple):
    """The output for a record.

    Attributes:
        first: the index of its first row among all refused rows.
        height: its number of refused rows.
        bodies: one for each row, or one for all of them.
        rows: the refused rows, if one body stands for several.
    """

    first: int
    height: int
    bodies: Sequence[Body]
    rows: bytes | None = None


class Sources(NamedTuple):
    """The records that rows are of, by their index.

    Attributes:
        payloads: their values.
        traces: their headers `traceparent`; empty if nothing is known of them.
        keys: without them, the symbols of rows stand for them.
    """

    payloads: _Payloads
    traces: _Payloads = ()
    keys: _Payloads | None = None

    def trace(self, record: int) -> bytes | None:
        return self.traces[record] if len(self.traces) else None


def refused_rows(rows: pl.DataFrame, sources: Sources, why: pl.DataFrame, times: pl.Series) -> pl.DataFrame:
    """A REFUSED frame of `rows` (record, offset, row, symbol), with `why` (reason, error) and the time of each."""
    keys = sources.keys
    leaving = list(_leaving(rows, sources.payloads, keys))
    places = [one.first + number for one in leaving for number in range(len(one.bodies))]
    bodies = [body for one in leaving for body in one.bodies]
    rows, why, times = rows[places], why[places], times[places]
    return pl.DataFrame(
        {
            "offset": rows["offset"],
            "row": rows["row"],
            "reason": why["reason"],
            "error": _errors_of(why["error"], leaving),
            "content_type": [_sniffed_type(body.value) for body in bodies],
            "key": rows["symbol"].cast(pl.Binary) if keys is None else [body.key for body in bodies],
            "value": [body.value for body in bodies],
            "rows": [one.rows for one in leaving for _ in one.bodies],
            "stub": [body.stub for body in bodies],
            "time": times,
            "trace": [sources.trace(record) for record in rows["record"]],
            "packing": [None] * len(bodies),
        },
        schema=REFUSED,
    )


def refused_record(records: Records, at: int, reason: str, error: str) -> tuple[object, ...]:
    """A row of a REFUSED frame for a whole record."""
    body = Body.of(records.keys[at], records.values[at])
    return (
        *(int(records.offsets[at]), 0, reason, error, records.content_type(at)),
        *(body.key, body.value, None, body.stub),
        *(records.time(at), records.traces[at], _packing(records.packed.get(int(records.offsets[at]), ()))),
    )


def _packing(headers: Iterable[tuple[str, str | bytes | None]]) -> bytes | None:
    """The headers that say how a value is packed, or where it lies, as JSON; None without any."""
    found = {name: value for name, value in header_texts(list(headers)).items() if name in PACKING}
    return msgspec.json.encode(found) if found else None


def one_line(error: Exception) -> str:
    """The error as valid text for a header, as it may quote invalid text of the sender."""
    line = " ".join(str(error).split())[:500] or type(error).__name__
    return line.encode("utf-8", "replace").decode()


def row_set(rows: _Ints) -> bytes:
    """A bitmap of a record's rows up to the last of `rows`, most significant bit first, set for `rows`."""
    bits = np.zeros(int(rows[-1]) + 1, np.bool_)
    bits[rows] = True
    return np.packbits(bits).tobytes()


def rows_in(bits: bytes) -> _Ints:
    """The inverse of `row_set`; of an untrusted bitmap, only rows that a record can have."""
    return np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8, min(len(bits), _MOST_BYTES))))


def count_rows(refused: pl.DataFrame) -> int:
    """The number of log rows in a REFUSED frame."""
    if not refused.height:  # as in nearly every batch
        return 0
    sets = refused["rows"].drop_nulls()
    return refused.height - len(sets) + sum(len(rows_in(bits)) for bits in sets)


def _leaving(rows: pl.DataFrame, payloads: _Payloads, keys: _Payloads | None) -> Iterator[_Leaving]:
    records, numbers = rows["record"].to_numpy(), rows["row"].to_numpy()
    firsts = np.flatnonzero(np.diff(records, prepend=-1))
    for first, end in zip(firsts.tolist(), [*firsts[1:].tolist(), len(records)], strict=True):
        record, its_rows = int(records[first]), numbers[first:end]
        payload, key = payloads[record], None if keys is None else keys[record]
        if payload is None or not is_arrow(payload):
            yield _Leaving(first, 1, [Body.of(key, payload)])
        elif alone := _alone(payload, key, its_rows):
            yield _Leaving(first, len(alone), [Body(key, value) for value in alone])
        else:
            yield _Leaving(first, len(its_rows), [Body.of(key, payload)], row_set(its_rows))


def _alone(payload: bytes, key: bytes | None, rows: _Ints) -> Sequence[bytes] | None:
    """A stream with only that row for each of `rows`; None if that is impossible, or too large."""
    from codec import arrow_rows  # noqa: PLC0415 - PyArrow costs a fifth of a start, and most topics hold no Arrow

    if len(rows) > ALONE_ROWS:
        return None
    key_bytes = len(key or b"")
    room = ALONE_TIMES * (len(payload) + key_bytes) - len(rows) * key_bytes
    try:
        alone = arrow_rows.rows_alone(payload, rows.tolist(), room)
    except Exception:  # the sender may have used any types
        return None
    if alone and max(map(len, alone)) + key_bytes > WHOLE_BYTES:
        return None  # a stub can only refer to what the log holds, the whole record
    return alone


def _errors_of(errors: pl.Series, leaving: Sequence[_Leaving]) -> pl.Series:
    """The error of each row, or of the first of those that share a record."""
    heights = pl.Series([one.height if one.rows else 1 for one in leaving for _ in one.bodies])
    if (heights == 1).all():
        return errors
    told = pl.select(pl.format("{} (the first of {} rows)", errors, heights)).to_series()
    return told.zip_with(heights > 1, errors)


def _sniffed_type(payload: bytes | None) -> str:
    """The content type of a decodable value: a map in msgpack starts with a byte that is invalid in JSON."""
    if is_arrow(payload):
        return ARROW
    return MSGPACK if payload is not None and payload[:1] >= b"\x80" else JSON
