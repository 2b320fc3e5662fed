"""Who judges the texts of a file: the pipeline's decoder, a type of message, or what carries messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from codec.decode import Decoder
from codec.encoding import PayloadCodec
from codec.refused import UNDECODABLE
from contracts.bar import BAR_V1
from contracts.envelope import ENVELOPE_V1
from contracts.event import EVENT_V1
from contracts.event_rules import CONTRACT
from contracts.golden import read_golden
from contracts.headers import HeaderError
from contracts.message import SCHEMAS, MessageType
from contracts.record import JSON
from contracts.registry import message_type, message_types, open_envelope
from contracts.schema_names import CANONICAL, schema_ref_of
from contracts.signal import SIGNAL_V1
from mdp.ops.file_records import as_fetch
from mdp.ops.file_rows import Rows

EVENT: Final = "event"
SIGNAL: Final = "signal"
BAR: Final = "bar"
ENVELOPE: Final = "envelope"
GOLDEN: Final = "golden envelope"

Problem = tuple[int, str, str]  # number of the row, reason, error

_NAMED: Final = {EVENT: EVENT_V1, SIGNAL: SIGNAL_V1, BAR: BAR_V1, ENVELOPE: ENVELOPE_V1}


def type_of(contract: str) -> MessageType:
    """The type of what is called an event, a signal, a bar or an envelope, or by the id of its type.

    Raises:
        ContractError: there is none.
    """
    return _NAMED[contract] if contract in _NAMED else message_type(contract)


def types_of(contract: str | None) -> Sequence[MessageType]:
    """What a file may have columns of, where it has columns: without a contract those of events and of signals."""
    if contract is None or contract in (EVENT, SIGNAL, GOLDEN):
        return EVENT_V1, SIGNAL_V1
    return (type_of(contract),)


def contract_of(rows: Rows) -> str:
    """What the first row that can be read looks like."""
    for _, text in rows.texts:
        try:
            first: Any = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            continue
        return _looks_like(first.keys()) if isinstance(first, dict) else EVENT
    return EVENT


def _looks_like(names: Any) -> str:
    if {"topic", "headers"} <= names:
        return GOLDEN
    if "envelope_version" in names or {"schema_ref", "payload"} <= names:
        return ENVELOPE
    if "signal_id" in names or {"name", "value", "ts"} <= names:
        return SIGNAL
    return BAR if "window_start" in names else EVENT


def problems(contract: str, rows: Rows, decoder: Decoder) -> list[Problem]:
    """What is wrong with the rows.

    Raises:
        ContractError: there is no such contract.
    """
    if contract in _CARRIERS:
        read = _CARRIERS[contract]
    elif type_of(contract) is EVENT_V1:
        batch = decoder.decode(as_fetch("file", rows.texts, time.time_ns() // 1_000_000))
        return list(batch.rejects.select("offset", "reason", "error").iter_rows())
    else:
        read = type_of(contract).decode
    found = ((number, _error(read, text)) for number, text in rows.texts)
    return [(number, *error) for number, error in found if error is not None]


def _open_golden(data: bytes) -> None:
    """Raises ValueError: the record is not what its headers say, or breaks its contract."""
    golden = read_golden(data)
    headers = golden.message_headers()
    if headers.blob_ref is not None or headers.content_type != JSON or not headers.schema_fqdn.startswith(CANONICAL):
        return  # the payload lies elsewhere, or is of somebody else's type
    payload, ref = PayloadCodec().decode(golden.value, headers), schema_ref_of(headers.schema_fqdn)
    kind = message_types().get(ref.removeprefix(SCHEMAS))
    if kind is None:
        raise msgspec.ValidationError(f"schema_fqdn names a type that is not known: {headers.schema_fqdn}")
    if kind.event_type is None:
        kind.decode(payload)
    elif open_envelope(payload)[0].schema_ref != ref:
        raise msgspec.ValidationError(f"the payload's schema_ref is another than {ref}, which its headers name")


_CARRIERS: Final[dict[str, Callable[[bytes], Any]]] = {ENVELOPE: open_envelope, GOLDEN: _open_golden}


def _error(read: Callable[[bytes], Any], text: bytes) -> tuple[str, str] | None:
    """The reason and the error."""
    try:
        read(text)
    except ValueError as error:
        return CONTRACT if isinstance(error, msgspec.ValidationError | HeaderError) else UNDECODABLE, str(error)
    return None
