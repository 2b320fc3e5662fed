"""Who judges the texts of a file: the pipeline's decoder, a type of message, or what carries messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from codec.decode import UNDECODABLE, Decoder
from contracts.bar import BAR_V1
from contracts.envelope import ENVELOPE_V1
from contracts.event import EVENT_V1
from contracts.event_rules import CONTRACT
from contracts.message import MessageType
from contracts.registry import message_type, open_envelope
from contracts.signal import SIGNAL_V1
from mdp.ops.file_records import as_fetch
from mdp.ops.file_rows import Rows

EVENT: Final = "event"
SIGNAL: Final = "signal"
BAR: Final = "bar"
ENVELOPE: Final = "envelope"

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
    if contract is None or contract in (EVENT, SIGNAL):
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
    if type_of(contract) is EVENT_V1:
        batch = decoder.decode(as_fetch("file", rows.texts, time.time_ns() // 1_000_000))
        return list(batch.rejects.select("offset", "reason", "error").iter_rows())
    read: Callable[[bytes], Any] = open_envelope if contract == ENVELOPE else type_of(contract).decode
    found = ((number, _error(read, text)) for number, text in rows.texts)
    return [(number, *error) for number, error in found if error is not None]


def _error(read: Callable[[bytes], Any], text: bytes) -> tuple[str, str] | None:
    """The reason and the error."""
    try:
        read(text)
    except ValueError as error:
        return CONTRACT if isinstance(error, msgspec.ValidationError) else UNDECODABLE, str(error)
    return None
