"""Decodes records of envelopes to a frame for each type of message, whose columns are those of the type's table.

An envelope is validated as a whole: its own contract, the checksum, the contract of the message in it. Each record is
decoded once; everything after that works on columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from codec.encoding import PayloadCodec
from codec.envelope_rows import Bytes, Pile, rows_of
from codec.envelope_scan import scanned, scanner_of
from codec.message_keys import checksum_texts
from codec.refused import UNDECODABLE, one_line, refused_record
from contracts.batch import NO_REFUSED, MicroBatch, Outcomes
from contracts.envelope import ENVELOPE_V1, Envelope, checksum
from contracts.errors import MdpError
from contracts.event_rules import CONTRACT
from contracts.frames import REFUSED
from contracts.headers import decode_headers
from contracts.message import NO_TIME, MessageType
from contracts.payloads.heartbeat import HEARTBEAT_V1
from contracts.record import TOMBSTONE, Fetch, Records, is_packed
from native.sha256 import digests

_LOOKED_AT: Final = 4  # records

# What of an envelope is compared with what is known, so that its pattern need not be matched.
_COMPARED: Final[dict[str, Any]] = {"event_type": str, "schema_ref": str, "checksum": str | None}


_HINTS: Final = get_type_hints(Envelope, include_extras=True)


def _without_patterns() -> type[msgspec.Struct]:
    """An envelope whose patterns are not matched, which takes longer than all the rest of decoding it."""
    fields: list[Any] = []
    for one in msgspec.structs.fields(Envelope):
        kind = _COMPARED.get(one.name, _HINTS[one.name])
        fields.append((one.name, kind) if one.required else (one.name, kind, one.default))
    return msgspec.defstruct("Envelope", fields, kw_only=True, gc=False)


_envelope: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(_without_patterns()).decode


def _check_patterns(envelope: Any) -> None:
    """Raises ValidationError: a text has not the form that it is to have; of a field that comes twice, the last."""
    for name in _COMPARED:
        try:
            msgspec.convert(getattr(envelope, name), _HINTS[name])
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(f"{error} - at `$.{name}`") from None


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


class _Part:
    """Records that are decoded.

    Attributes:
        frames: of each type, by its table.
        heartbeats: how many of the records say only how far the time of a source has come.
        rejects: a REFUSED frame of the records that hold no valid message, in log order.
    """

    def __init__(self, records: Records, kinds: Mapping[str, MessageType], payloads: PayloadCodec) -> None:
        self._records, self._kinds, self._payloads = records, kinds, payloads
        self._piles: dict[str, Pile] = {}
        self._streams: dict[tuple[str, str], Pile] = {}  # by schema_ref and event_type, which are valid
        self._broken: dict[int, tuple[str, str]] = {}  # by record: reason and error
        kind = self._first_kind()
        scanner = None if kind is None else scanner_of(kind)
        if kind is None or scanner is None:
            self._read(enumerate(records.values.to_list()))
        else:
            plain, left = scanned(records, kind, scanner)
            self._read((index, records.values[index]) for index in left)
        heartbeats = self._piles.pop(HEARTBEAT_V1.schema_ref, None)
        self.heartbeats = 0 if heartbeats is None else self._count(heartbeats)
        self.frames = {str(pile.kind.table): self._frame(pile) for pile in self._piles.values()}
        if kind is not None and scanner is not None and plain.height:
            rest = self.frames.get(str(kind.table))
            self.frames[str(kind.table)] = plain if rest is None else pl.concat([plain, rest]).sort("offset")
        self.rejects = self._refused()

    def _first_kind(self) -> MessageType | None:
        """The type of one of the first messages, which most of them are of."""
        for raw in self._records.values[:_LOOKED_AT]:
            with suppress(Exception):
                return self._kinds[_envelope(raw or b"").schema_ref]
        return None

    def _read(self, records: Iterable[tuple[int, bytes | None]]) -> None:
        """In one loop, as a call for each record would cost as much as its payload."""
        streams, is_any_packed = self._streams, bool(self._records.packed)
        for index, raw in records:
            try:
                value = self._opened(index, raw) if is_any_packed or raw is None else raw
                envelope: Any = _envelope(value)
                pile = streams.get((envelope.schema_ref, envelope.event_type)) or self._stream(envelope)
                try:
                    message = pile.decode(envelope.payload)
                    # Of ASCII without escapes, texts have as many bytes as characters, and no NUL.
                    if not value.isascii() or b"\\" in value:
                        _check_texts(pile.kind, envelope, message)
                except Exception:
                    _check_sum(envelope)  # what is wrong with the envelope comes first
                    raise
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

    def _stream(self, envelope: Any) -> Pile:
        """The pile for the first message of a stream.

        Raises:
            ValidationError: its envelope violates the contract, or its type is not stored.
        """
        _check_patterns(envelope)
        ref = envelope.schema_ref
        kind = HEARTBEAT_V1 if ref == HEARTBEAT_V1.schema_ref else self._kinds.get(ref)
        if kind is None:
            raise msgspec.ValidationError(f"schema_ref names a type that is not known, or not stored: {ref}")
        if ref not in self._piles:
            self._piles[ref] = Pile(kind)
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

    def _frame(self, pile: Pile) -> pl.DataFrame:
        """The rows of a type; messages with a malformed time, or with the checksum of another, are refused."""
        records = np.array(pile.records, np.int64)
        hashed = digests(pile.payloads)
        rows, flawed = rows_of(pile, hashed, self._records.offsets[records], self._compared(pile, hashed))
        for name, is_wrong in flawed.items():
            self._refuse(records[is_wrong], f"{name} {NO_TIME}")
        return rows

    def _count(self, pile: Pile) -> int:
        """How many messages have their own checksum, or none."""
        return int(self._compared(pile, digests(pile.payloads)).sum())

    def _compared(self, pile: Pile, hashed: Bytes) -> npt.NDArray[np.bool_]:
        """Which messages have the checksum that their envelopes say, if these say one; the others are refused."""
        given, found = [envelope.checksum for envelope in pile.envelopes], checksum_texts(hashed)
        is_right = np.ones(len(given), np.bool_)
        if given != found and any(given):
            for place, (one, other) in enumerate(zip(given, found, strict=True)):
                if one is not None and one != other:
                    is_right[place] = False
                    self._refuse_sum(pile.records[place])
        return is_right

    def _refuse_sum(self, index: int) -> None:
        try:
            _check_sum(_envelope(self._opened(index, self._records.values[index])))
        except msgspec.ValidationError as error:
            self._broken[index] = CONTRACT, one_line(error)

    def _refuse(self, records: npt.NDArray[np.int64], why: str) -> None:
        for index in records.tolist():
            self._broken.setdefault(index, (CONTRACT, why))

    def _refused(self) -> pl.DataFrame:
        if not self._broken:
            return NO_REFUSED
        rows = [refused_record(self._records, index, *why) for index, why in sorted(self._broken.items())]
        return pl.DataFrame(rows, schema=REFUSED, orient="row")


def _check_sum(envelope: Any) -> None:
    """Raises ValidationError: the checksum is none, or of another payload."""
    if envelope.checksum is not None and envelope.checksum != checksum(envelope.payload):
        _check_patterns(envelope)
        raise msgspec.ValidationError("checksum is not that of the payload")


def _check_texts(kind: MessageType, envelope: Envelope, message: Any) -> None:
    """Raises ValidationError: a text is too long in bytes, or holds a NUL."""
    flaw = ENVELOPE_V1.flaw(envelope) or kind.flaw(message)
    if flaw is not None:
        raise msgspec.ValidationError(flaw)
