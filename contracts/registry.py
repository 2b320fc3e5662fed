"""The registry of message types: the project's own, and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import msgspec

from contracts.bar import BAR_V1
from contracts.envelope import ENVELOPE_V1, Envelope, payload_of, stored_columns
from contracts.event import EVENT_V1
from contracts.fields import ContractError
from contracts.message import SCHEMAS, MessageType
from contracts.payloads.calendar import CALENDAR_V1
from contracts.payloads.connector_position import CONNECTOR_POSITION_V1
from contracts.payloads.gap import GAP_V1
from contracts.payloads.gex_levels import GEX_LEVELS_V1
from contracts.payloads.heartbeat import HEARTBEAT_V1
from contracts.payloads.news import NEWS_V1
from contracts.payloads.orderbook import ORDERBOOK_V1
from contracts.payloads.quotes import QUOTES_V2
from contracts.payloads.replay_request import REPLAY_REQUEST_V1
from contracts.payloads.replay_status import REPLAY_STATUS_V1
from contracts.payloads.risk_greeks import RISK_GREEKS_V1
from contracts.payloads.trades import TRADES_V2
from contracts.signal import SIGNAL_V1
from contracts.suggestions import did_you_mean

ENTRY_POINTS: Final = "mdp.contracts"

OWN: Final = (
    EVENT_V1,
    BAR_V1,
    SIGNAL_V1,
    ENVELOPE_V1,
    TRADES_V2,
    QUOTES_V2,
    ORDERBOOK_V1,
    GEX_LEVELS_V1,
    NEWS_V1,
    CALENDAR_V1,
    RISK_GREEKS_V1,
    REPLAY_REQUEST_V1,
    HEARTBEAT_V1,
    REPLAY_STATUS_V1,
    GAP_V1,
    CONNECTOR_POSITION_V1,
)


@cache
def message_types() -> Mapping[str, MessageType]:
    """All types by their ids, such as trades/v2.

    Raises:
        ContractError: a type is declared twice, or an installed one cannot be imported or is not a `MessageType`.
    """
    known: dict[str, tuple[str, MessageType]] = {}
    for owner, kind in _declared():
        if kind.id in known:
            raise ContractError(f"message type {kind.id} is declared twice: by {known[kind.id][0]} and by {owner}")
        if kind.event_type is not None:
            stored_columns(kind)  # raises if it cannot be stored
        known[kind.id] = owner, kind
    return {name: kind for name, (_, kind) in known.items()}


def stored_types() -> dict[str, MessageType]:
    """The types that come in envelopes and are stored, by their references.

    Raises:
        ContractError: two of them have one table.
    """
    found = {kind.schema_ref: kind for kind in message_types().values() if kind.event_type and kind.table}
    owners: dict[str | None, MessageType] = {}
    for kind in found.values():
        other = owners.setdefault(kind.table, kind)
        if other is not kind:
            raise ContractError(f"{other.id} and {kind.id} have one table, {kind.table}: give each its own")
    return found


def message_type(name: str) -> MessageType:
    """The type of an id, trades/v2, or of a reference, utp://schemas/trades/v2.

    Raises:
        ContractError: there is none.
    """
    types = message_types()
    found = types.get(name.removeprefix(SCHEMAS))
    if found is None:
        remedy = did_you_mean(name.removeprefix(SCHEMAS), types) or f"; there are {', '.join(types)}"
        raise ContractError(f"no message type is called {name[:200]!r}{remedy}")
    return found


def open_envelope(data: bytes | memoryview) -> tuple[Envelope, Any]:
    """An envelope and the message in it.

    Raises:
        msgspec.ValidationError: one of them violates its contract, or the message's type is unknown.
        msgspec.DecodeError: it is not JSON.
    """
    envelope: Envelope = ENVELOPE_V1.decode(data)
    kind = message_types().get(envelope.schema_ref.removeprefix(SCHEMAS))
    if kind is None:
        raise msgspec.ValidationError(f"schema_ref names a type that is not known: {envelope.schema_ref}")
    return envelope, payload_of(envelope, kind)


def _declared() -> Iterator[tuple[str, MessageType]]:
    """The owner of each declaration, and the type."""
    yield from (("mdp", kind) for kind in OWN)
    for entry in entry_points(group=ENTRY_POINTS):
        owner = entry.dist.name if entry.dist is not None else entry.value
        yield owner, _loaded(entry, owner)


def _loaded(entry: EntryPoint, owner: str) -> MessageType:
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as error:
        raise ContractError(f"message type {entry.name} of {owner}: cannot import {entry.value}: {error}") from error
    if not isinstance(kind, MessageType):
        raise ContractError(f"message type {entry.name} of {owner}: {entry.value} is no MessageType")
    return kind
