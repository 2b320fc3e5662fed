"""Decodes records of envelopes to a frame for each type of message, whose columns are those of the type's table.

An envelope is validated as a whole: its own contract, the checksum, the contract of the message in it. Each record is
decoded once; everything after that works on columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from itertools import chain
from operator import attrgetter
from typing import Any, Final, NoReturn, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from codec.encoding import PayloadCodec
from codec.refused import UNDECODABLE, one_line, refused_record
from codec.timestamps import parse_timestamps
from contracts.batch import NO_REFUSED, MicroBatch, Outcomes
from contracts.columns import TableColumn
from contracts.envelope import CARRIED, DEDUPE_KEY, ENVELOPE_V1, Envelope, stored_columns
from contracts.errors import MdpError
from contracts.event_rules import CONTRACT
from contracts.frames import REFUSED
from contracts.headers import decode_headers
from contracts.message import NO_TIME, MessageType
from contracts.payloads.heartbeat import HEARTBEAT_V1
from contracts.record import TOMBSTONE, Fetch, Records, is_packed

_KEY_BYTES: Final = 16
_IDENTITY: Final = np.dtype([("ts", ">i8"), ("has_sequence", "u1"), ("sequence", ">i8"), ("digest", "V32")])

_CHECKSUM: Final = "sha256:"
_DIGEST: Final = "@digest"  # a column of no type of message
_envelope: Final = msgspec.json.Decoder(Envelope).decode

# What of an envelope is compared with what is known, so that its pattern need not be matched.
_COMPARED: Final[dict[str, Any]] = {"event_type": str, "schema_ref": str, "checksum": str | None}


def _without_patterns() -> type[msgspec.Struct]:
    """An envelope whose patterns are not matched, which takes longer than all the rest of decoding it."""
    hints = get_type_hints(Envelope, include_extras=True)
    fields: list[Any] = []
    for one in msgspec.structs.fields(Envelope):
        kind = _COMPARED.get(one.name, hints[one.name])
        fields.append((one.name, kind) if one.required else (one.name, kind, one.default))
    return msgspec.defstruct("Envelope", fields, kw_only=True, gc=False)


_columns: Final = cache(stored_columns)
_lean_envelope: Final = msgspec.json.Decoder(_without_patterns()).decode


@cache
def _decoder(kind: MessageType) -> Callable[[bytes | msgspec.Raw], Any]:
    return msgspec.json.Decoder(kind.struct).decode


@dataclass(frozen=True, slots=True)
class EnvelopeDecoder:
    """Turns fetches of envelopes into micro-batches, whose results are frames by the tables of their types.

    Rows of one message have one `dedupe_key`: 16 bytes of a hash over event_type, source_id, event_time, sequence and
    the checksum of the payload, which holds all else, such as the symbol.

    Attributes:
        kinds: the types that are stored, by their references.
        payloads: opens records that are packed, or point to a blob.
    """

    kinds: Mapping[str, MessageType]
    payloads: PayloadCodec

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch from at least one fetch. It never raises, whatever the topic contains.

        Raises:
            MdpError: a blob store does not answer.
        """
        parts: list[_Part] = []
        for fetch in fetches:  # each while its records are in the cache
            parts.append(_Part(fetch.records, self.kinds, self.payloads))
        frames = {
            table: _joined(parts, table) for table in dict.fromkeys(table for part in parts for table in part.frames)
        }
        rejects = pl.concat([part.rejects for part in parts])
        return MicroBatch(
            topic=fetch.topic,
            partition=fetch.partition,
            next_offset=fetch.next_offset,
            read_at=fetch.read_at,
            results=frames,
            rejects=rejects,
            outcomes=Outcomes(
                accepted=sum(frame.height for frame in frames.values()),
                rejected=rejects.height,
                heartbeat=sum(part.heartbeats for part in parts),
            ),
            ingested=Counter(chain.from_iterable(frame["source_id"].to_list() for frame in frames.values())),
        )


def _joined(parts: Sequence[_Part], table: str) -> pl.DataFrame:
    return pl.concat([part.frames[table] for part in parts if table in part.frames])


class _Pile:
    """Messages of one type, in log order: for each the index of its record, its envelope and its payload's digest."""

    def __init__(self, kind: MessageType) -> None:
        self.kind = kind
        self.decode = _decoder(kind)
        self.records: list[int] = []
        self.envelopes: list[Any] = []
        self.messages: list[Any] = []
        self.digests: list[bytes] = []


class _Part:
    """Records that are decoded.

    Attributes:
        frames: of each type, by its table.
        heartbeats: how many of the records say only how far the time of a source has come.
        rejects: a REFUSED frame of the records that hold no valid message, in log order.
    """

    def __init__(self, records: Records, kinds: Mapping[str, MessageType], payloads: PayloadCodec) -> None:
        self._records, self._kinds, self._payloads = records, kinds, payloads
        self._piles: dict[str, _Pile] = {}
        self._streams: dict[tuple[str, str], _Pile] = {}  # by schema_ref and event_type, which are valid
        self._broken: dict[int, tuple[str, str]] = {}  # by record: reason and error
        self._read()
        heartbeats = self._piles.pop(HEARTBEAT_V1.schema_ref, None)
        self.heartbeats = 0 if heartbeats is None else len(heartbeats.records)
        self.frames = {str(pile.kind.table): self._frame(pile) for pile in self._piles.values()}
        self.rejects = self._refused()

    def _read(self) -> None:
        """In one loop, as a call for each record would cost as much as its payload."""
        streams, is_any_packed = self._streams, bool(self._records.packed)
        for index, raw in enumerate(self._records.values.to_list()):
            try:
                value = self._opened(index, raw) if is_any_packed or raw is None else raw
                envelope: Any = _lean_envelope(value)
                payload = envelope.payload
                pile = streams.get((envelope.schema_ref, envelope.event_type)) or self._stream(value, envelope)
                digest = sha256(payload).digest()
                if envelope.checksum is not None and envelope.checksum != _CHECKSUM + digest.hex():
                    _refuse_checksum(value)
                message = pile.decode(payload)
                # Of ASCII without escapes, texts have as many bytes as characters, and no NUL.
                if not value.isascii() or b"\\" in value:
                    _check_texts(pile.kind, envelope, message)
            except MdpError:
                raise
            except msgspec.ValidationError as error:
                self._broken[index] = CONTRACT, one_line(error)
            except Exception as error:
                self._broken[index] = UNDECODABLE, one_line(error)
            else:
                pile.records.append(index)
                pile.envelopes.append(envelope)
                pile.messages.append(message)
                pile.digests.append(digest)

    def _stream(self, value: bytes, envelope: Any) -> _Pile:
        """The pile for the first message of a stream.

        Raises:
            ValidationError: its envelope violates the contract, or its type is not stored.
        """
        _envelope(value)
        ref = envelope.schema_ref
        kind = HEARTBEAT_V1 if ref == HEARTBEAT_V1.schema_ref else self._kinds.get(ref)
        if kind is None:
            raise msgspec.ValidationError(f"schema_ref names a type that is not known, or not stored: {ref}")
        if ref not in self._piles:
            self._piles[ref] = _Pile(kind)
        self._streams[ref, envelope.event_type] = self._piles[ref]
        return self._piles[ref]

    def _opened(self, index: int, value: bytes | None) -> bytes:
        """The payload of a record that may be packed, or point to a blob."""
        if value is None:
            raise ValueError(TOMBSTONE)
        if not is_packed(value):
            return value
        headers = self._records.packed.get(int(self._records.offsets[index]), [])
        return self._payloads.decode(value, decode_headers(headers))

    def _frame(self, pile: _Pile) -> pl.DataFrame:
        """The rows of a type; messages with a malformed time are refused."""
        records = np.array(pile.records, np.int64)
        columns = _series(pile)
        is_valid = np.ones(len(records), np.bool_)
        for column in _columns(pile.kind):
            if column.type == "timestamptz":
                texts = columns[column.name]
                columns[column.name] = times = parse_timestamps(texts)
                if times.null_count() > texts.null_count():
                    is_time = (times.is_not_null() | texts.is_null()).to_numpy()
                    self._refuse(records[~is_time], f"{'.'.join(column.path)} {NO_TIME}")
                    is_valid &= is_time
        columns["offset"] = pl.Series(self._records.offsets[records])
        columns["row"] = pl.Series(np.zeros(len(records), np.int64))
        rows = pl.DataFrame([column.alias(name) for name, column in columns.items()])
        if not is_valid.all():
            rows = rows.filter(is_valid)
        keys = _keys(rows)
        return rows.drop(_DIGEST).insert_column(len(_columns(pile.kind)), keys)

    def _refuse(self, records: npt.NDArray[np.int64], why: str) -> None:
        for index in records.tolist():
            self._broken.setdefault(index, (CONTRACT, why))

    def _refused(self) -> pl.DataFrame:
        if not self._broken:
            return NO_REFUSED
        rows = [refused_record(self._records, index, *why) for index, why in sorted(self._broken.items())]
        return pl.DataFrame(rows, schema=REFUSED, orient="row")


def _refuse_checksum(value: bytes) -> NoReturn:
    """Raises ValidationError: the checksum is none, or of another payload."""
    _envelope(value)
    raise msgspec.ValidationError("checksum is not that of the payload")


def _check_texts(kind: MessageType, envelope: Envelope, message: Any) -> None:
    """Raises ValidationError: a text is too long in bytes, or holds a NUL."""
    flaw = ENVELOPE_V1.flaw(envelope) or kind.flaw(message)
    if flaw is not None:
        raise msgspec.ValidationError(flaw)


def _series(pile: _Pile) -> dict[str, pl.Series]:
    """The stored columns, times still as texts, and the digests."""
    carried, columns = len(CARRIED), _columns(pile.kind)
    found = {column.name: _cells(column, pile.envelopes) for column in columns[:carried]}
    found |= {column.name: _cells(column, pile.messages) for column in columns[carried:]}
    return found | {_DIGEST: pl.Series(_DIGEST, pile.digests, pl.Binary)}


def _cells(column: TableColumn, owners: Sequence[Any]) -> pl.Series:
    values = list(map(_getter(column), owners))
    if column.type == "jsonb":
        values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
    dtype = pl.String() if column.type == "timestamptz" else column.dtype
    return pl.Series(column.name, values, dtype)


def _getter(column: TableColumn) -> Any:
    first, *rest = column.path
    return partial(_part, attrgetter(first), attrgetter(*rest)) if rest else attrgetter(first)


def _part(owner: Any, part: Any, message: Any) -> Any:
    """A field of a struct in a message, which may be missing."""
    struct = owner(message)
    return None if struct is None else part(struct)


def _keys(rows: pl.DataFrame) -> pl.Series:
    """The dedupe_key of each row, over its names, each followed by a NUL, which they cannot hold, and its numbers."""
    cells = np.empty(rows.height, _IDENTITY)
    cells["ts"], cells["has_sequence"] = rows["ts"].to_numpy(), rows["sequence"].is_not_null().to_numpy()
    cells["sequence"] = rows["sequence"].fill_null(0).to_numpy()
    cells["digest"] = np.frombuffer(b"".join(rows[_DIGEST].to_list()), cells.dtype["digest"])
    rest, size = cells.tobytes(), cells.dtype.itemsize
    names = (rows["event_type"] + "\0" + rows["source_id"] + "\0").cast(pl.Binary).to_list()
    places = range(0, len(rest), size)
    keys = [sha256(name + rest[at : at + size]).digest()[:_KEY_BYTES] for name, at in zip(names, places, strict=True)]
    return pl.Series(DEDUPE_KEY, keys, pl.Binary)
