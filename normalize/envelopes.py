"""What mappings make to envelopes: validated, with ids and checksums that follow from what they hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import polars as pl

from codec.message_keys import checksums, idempotency_keys, message_ids
from codec.messages import flaws
from codec.timestamps import parse_texts
from contracts.fields import ContractError
from contracts.message import MessageType
from contracts.schema_names import name_of
from contracts.timestamps import format_timestamps
from contracts.values import MAX_TEXT_BYTES
from normalize.envelope_text import EnvelopeText, arrival_texts, meta_texts
from normalize.feed import Arrivals, Feed
from normalize.keys import Keys
from normalize.rows import Columns
from normalize.values import MOST_NS

_LENGTH: Final = len("2025-10-28T07:14:29.312000Z")  # no other time of this length ends with a Z
_NO_TIME: Final = "event_time is missing, or is not an ISO 8601 time with a zone, within 64-bit nanoseconds"
_NO_ID: Final = f"event_id is not a text of 1 to {MAX_TEXT_BYTES} bytes without NUL"

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Accepted:
    """Messages of one type, as columns of one length.

    Attributes:
        kind: their type.
        records: the index of the raw message that each comes from.
        numbers: which of the messages in there.
        times: when it happened, nanoseconds since the epoch.
        sequences: the source's own numbers.
        keys: of its record: the symbol, if it has one.
        partition_keys: by what it is in order.
        event_ids: the source's own id, or else the message id.
        message_ids: UUIDv7, the same in every run.
        dedupe_keys: the same for messages that say the same.
        values: the envelope as JSON.
    """

    kind: MessageType
    records: list[int]
    numbers: list[int]
    times: list[int]
    sequences: list[int | None]
    keys: list[str]
    partition_keys: list[str]
    event_ids: list[str]
    message_ids: list[str]
    dedupe_keys: list[str]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)


class Envelopes:
    """Makes envelopes of one type and one feed.

    Raises:
        ContractError: the type is sent without envelopes.
    """

    def __init__(self, kind: MessageType, feed: Feed) -> None:
        if kind.event_type is None:
            raise ContractError(f"{kind.id} is sent without an envelope, so that nothing is mapped to it")
        self._kind: Final = kind
        self._event_type: Final = kind.event_type
        self._source_id: Final = feed.source_id
        self._fqdn = name_of(kind).fqdn
        self._keys = Keys(kind)
        self._text = EnvelopeText(kind, feed)
        self._list: Any = list[kind.struct]  # type: ignore[name-defined]

    def of(
        self, found: Columns, records: list[int], numbers: list[int], arrivals: Arrivals
    ) -> tuple[Accepted, dict[int, str]]:
        """The envelopes of all messages that keep the contract; and by the places of the others, why they do not.

        Args:
            found: what a mapping has made; those with errors are left out.
            records: the index of the raw message of each.
            numbers: which of the messages in there.
            arrivals: of the raw messages.
        """
        messages, errors = self._validated(found)
        times = _times(found.times, errors)
        _check_ids(found.own_ids, errors)
        payloads = [b"" if message is None else _encode(message) for message in messages]
        errors |= flaws(self._kind, messages, payloads)
        valid = _Valid(records, numbers, messages, payloads, times, found.times, found.sequences, found.own_ids)
        if wrong := errors.keys() | found.errors.keys():
            valid = valid.without(wrong)
        broken = {at: error for at, error in errors.items() if at not in found.errors}
        return self._accepted(valid, arrivals), broken

    def _validated(self, found: Columns) -> tuple[list[Any], dict[int, str]]:
        """The messages, None in place of each that is none, and why. All are tried at once, as few are wrong."""
        messages, errors = list(found.fields), dict[int, str]()
        fields = {at: one for at, one in enumerate(messages) if type(one) is dict}
        try:
            made = msgspec.convert(list(fields.values()), self._list, strict=False)
        except msgspec.ValidationError:
            made = [self._one(at, one, errors) for at, one in fields.items()]
        for at, message in zip(fields, made, strict=True):
            messages[at] = message
        return messages, errors

    def _one(self, at: int, fields: dict[str, Any], errors: dict[int, str]) -> Any:
        try:
            return msgspec.convert(fields, self._kind.struct, strict=False)
        except msgspec.ValidationError as error:
            errors[at] = str(error)
            return None

    def _accepted(self, valid: _Valid, arrivals: Arrivals) -> Accepted:
        keys, messages, sequences = self._keys, valid.messages, valid.sequences
        times, times_ns = _texts(valid.times, valid.given_times), valid.times.to_list()
        sums = checksums(valid.payloads)
        orders = [time if number is None else str(number) for number, time in zip(sequences, times, strict=True)]
        subjects = keys.subjects(messages)
        dedupe_keys = idempotency_keys(self._event_type, self._source_id, subjects, orders, sums)
        ids = message_ids(times_ns, self._fqdn, dedupe_keys)
        event_ids = [own or derived for own, derived in zip(valid.own_ids, ids, strict=True)]
        partition_keys = keys.partition_keys(messages, event_ids)
        values = self._text.of(
            own_ids=valid.own_ids,
            message_ids=ids,
            sequences=sequences,
            times=times,
            arrivals=arrival_texts(valid.records, arrivals),
            checksums=sums,
            payloads=valid.payloads,
            metas=meta_texts(valid.records, arrivals),
        )
        return Accepted(
            kind=self._kind,
            records=valid.records,
            numbers=valid.numbers,
            times=times_ns,
            sequences=sequences,
            keys=keys.record_keys(subjects, partition_keys),
            partition_keys=partition_keys,
            event_ids=event_ids,
            message_ids=ids,
            dedupe_keys=dedupe_keys,
            values=values,
        )


class _Valid(NamedTuple):
    """Messages, as columns."""

    records: list[int]
    numbers: list[int]
    messages: list[Any]
    payloads: list[bytes]
    times: pl.Series
    given_times: list[Any]
    sequences: list[int | None]
    own_ids: list[Any]

    def without(self, places: Collection[int]) -> _Valid:
        left = [at for at in range(len(self.messages)) if at not in places]
        chosen: list[Any] = [
            column.gather(left) if isinstance(column, pl.Series) else [column[at] for at in left] for column in self
        ]
        return _Valid(*chosen)


def _times(given: Sequence[Any], errors: dict[int, str]) -> pl.Series:
    """Nanoseconds since the epoch of each message; 0 and an error for those without."""
    if set(map(type, given)) == {int} and min(given) >= -MOST_NS and max(given) <= MOST_NS:
        return pl.Series(given, dtype=pl.Int64)
    times, is_time = parse_texts([time if isinstance(time, str) else None for time in given])
    if not is_time.all():
        for at in np.flatnonzero(~is_time).tolist():
            time = given[at]
            if type(time) is int and -MOST_NS <= time <= MOST_NS:
                times[at] = time
            else:
                times[at] = 0
                errors.setdefault(at, _NO_TIME)
    return pl.Series(times)


def _texts(times: pl.Series, given: Sequence[Any]) -> list[str]:
    """Times as envelopes have them: as many venues write them, too."""
    are_as_long = set(map(type, given)) == {str} and set(map(len, given)) == {_LENGTH}
    if are_as_long and set("".join(given)[_LENGTH - 1 :: _LENGTH]) == {"Z"}:
        return list(given)
    return format_timestamps(times).to_list()


def _check_ids(own_ids: Sequence[Any], errors: dict[int, str]) -> None:
    if set(map(type, own_ids)) <= {NoneType}:
        return
    for at, own in enumerate(own_ids):
        if own is not None and not (isinstance(own, str) and _is_text(own)):
            errors.setdefault(at, _NO_ID)


def _is_text(text: str) -> bool:
    return 0 < len(text.encode("utf-8", "replace")) <= MAX_TEXT_BYTES and "\0" not in text
