"""Plain envelopes of one type, many at once: a scan in place of an object for each, at a fifth of the cost.

What is not plain, or may violate a contract, is left to `codec.envelopes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from codec.envelope_rows import Bytes, dedupe_keys
from codec.message_keys import CHECKSUM_BYTES, checksum_rows
from codec.scanned_columns import read_long, texts, with_nulls
from contracts.columns import TableColumn
from contracts.envelope import CARRIED, ENVELOPE_V1, stored_columns
from contracts.fields import Field
from contracts.message import MessageType
from contracts.record import Records
from native.json_fields import CHOICE, CHOICES, INTEGER, NUMBER, TEXT, TIME, Part, Scanner
from native.json_scan import Found, scan
from native.memory import gather
from native.sha256 import digests_at

_PAYLOAD: Final = "payload"
_ANY_TIME: Final = 2**62  # how far an event may be ahead of its record
_SCANNED: Final = ("text", "time", "number", "integer")  # kinds of fields; messages that have others are not plain


class Scanned(NamedTuple):
    """The rows of the table of a type, in log order; and the indices of the records that are left."""

    rows: pl.DataFrame
    left: list[int]


@cache
def scanner_of(kind: MessageType) -> Scanner | None:
    """None if messages of this type cannot be scanned: it has rules of its own, or needs fields of other kinds."""
    has_rules = hasattr(kind.struct, "__post_init__") and not kind.one_of
    choices = (sum(isinstance(choice, str) for choice in field.choices) for field in kind.fields)
    if has_rules or any(count > CHOICES for count in choices):
        return None
    if not all(_is_scanned(field) for field in kind.fields if field.required):
        return None
    envelope = Part(
        ENVELOPE_V1.fields,
        only={"event_type": kind.event_type or "", "schema_ref": kind.schema_ref},
        patterned=("checksum",),  # which is compared with that of the payload
        inside={_PAYLOAD: Part(kind.fields)},
    )
    carried = [name for column in CARRIED if (name := column.path[0]) != "event_type"]
    own = [f"{_PAYLOAD}.{field.name}" for field in kind.fields if _is_scanned(field)]
    kept = ["event_time", *(name for name in carried if name != "event_time"), _PAYLOAD, *own]
    try:
        return Scanner(envelope, {name: name for name in kept})
    except ValueError:  # a name is too long
        return None


def _is_scanned(field: Field) -> bool:
    return field.kind in _SCANNED and not field.pattern


def scanned(records: Records, kind: MessageType, scanner: Scanner) -> Scanned:
    """Reads the plain messages of a type."""
    found = scan(records, scanner, _ANY_TIME)
    for name, its_kind in scanner.kinds.items():
        if its_kind == NUMBER:
            read_long(found, name)
    if kind.one_of:
        found.is_plain[:] &= np.logical_or.reduce([found.has(f"{_PAYLOAD}.{name}") for name in kind.one_of])
    rows = np.flatnonzero(found.is_plain)
    addresses, lengths = found.texts(_PAYLOAD)
    hashed = digests_at(addresses[rows], lengths[rows])
    is_right = _have_checksums(found, rows, hashed)
    found.is_plain[rows[~is_right]] = False
    left = np.flatnonzero(~found.is_plain).tolist()
    return Scanned(_frame(kind, found.plain(), hashed[is_right]), left)


def _have_checksums(found: Found, rows: npt.NDArray[np.int64], hashed: Bytes) -> npt.NDArray[np.bool_]:
    """Which messages have the checksum that their envelopes say, if these say one."""
    addresses, lengths = (column[rows] for column in found.texts("checksum"))
    is_right = ~found.has("checksum")[rows]
    sized = np.flatnonzero(lengths == CHECKSUM_BYTES)
    stated = np.empty((len(sized), CHECKSUM_BYTES), np.uint8)
    gather(addresses[sized], lengths[sized], np.arange(len(sized)) * CHECKSUM_BYTES, stated.reshape(-1))
    is_right[sized] = (stated == checksum_rows(hashed[sized])).all(axis=1)
    return is_right


def _frame(kind: MessageType, found: Found, hashed: Bytes) -> pl.DataFrame:
    count = len(found.record)
    name = np.frombuffer((kind.event_type or "").encode(), np.uint8)
    types = np.full(count, name.ctypes.data), np.full(count, len(name))
    sequences = found.has("sequence"), found.integers("sequence")
    keys = dedupe_keys(types, found.texts("source_id"), found.integers("event_time"), sequences, hashed)
    zeros = pl.Series("row", np.zeros(count, np.int64))
    return pl.DataFrame([*_columns(kind, found), keys, pl.Series("offset", found.offset), zeros])


def _columns(kind: MessageType, found: Found) -> Iterator[pl.Series]:
    """Those that are stored, in their order."""
    types = pl.Series("event_type", [kind.event_type], pl.String)
    for number, column in enumerate(stored_columns(kind)):
        if column.name == "event_type":
            yield types.new_from_index(0, len(found.record))
        else:
            path = column.path if number < len(CARRIED) else (_PAYLOAD, *column.path)
            yield _column(kind, found, column, ".".join(path)).alias(column.name)


def _column(kind: MessageType, found: Found, column: TableColumn, name: str) -> pl.Series:
    count = len(found.record)
    match found.scanner.kinds.get(name):
        case int(of) if of == TEXT:
            return texts(name, *found.texts(name))
        case int(of) if of == CHOICE:
            return _chosen(kind, column).gather(found.integers(name))
        case int(of) if of == NUMBER:
            return with_nulls(pl.Series(np.ascontiguousarray(found.numbers(name))), found.has(name))
        case int(of) if of in (TIME, INTEGER):
            whole = pl.Series(np.ascontiguousarray(found.integers(name)))
            return with_nulls(whole.cast(column.dtype), found.has(name))
        case _:
            return pl.Series(name, [None], column.dtype).new_from_index(0, count)


def _chosen(kind: MessageType, column: TableColumn) -> pl.Series:
    """What the numbers of a choice stand for; 0 is none."""
    field = next(field for field in kind.fields if field.name == column.path[0])
    return pl.Series([None, *(choice for choice in field.choices if isinstance(choice, str))], dtype=pl.String)
