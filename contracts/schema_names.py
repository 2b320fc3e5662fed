"""The names of what is in a record, as its headers say them.

A canonical type has a reference, `utp://schemas/trades/v2`, and so a name for headers, `utp.trades.v2`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from contracts.bar import BAR_V1
from contracts.envelope import ENVELOPE_V1
from contracts.event import EVENT_V1
from contracts.message import SCHEMAS, MessageType
from contracts.signal import SIGNAL_V1

CANONICAL: Final = "utp."  # what the names of canonical types begin with


class SchemaName(NamedTuple):
    """A type of payload: its name, and its version as Semantic Versioning."""

    fqdn: str
    version: str


def fqdn_of(schema_ref: str) -> str:
    """`utp.gex.levels.v1` of `utp://schemas/gex/levels/v1`.

    Raises:
        ValueError: it is no reference.
    """
    if not schema_ref.startswith(SCHEMAS):
        raise ValueError(f"{schema_ref!r} does not begin with {SCHEMAS}")
    return CANONICAL + schema_ref.removeprefix(SCHEMAS).replace("/", ".")


def schema_ref_of(fqdn: str) -> str:
    """The reference of a canonical type by its name in headers.

    Raises:
        ValueError: it is none of a canonical type.
    """
    if not fqdn.startswith(CANONICAL):
        raise ValueError(f"{fqdn!r} does not begin with {CANONICAL}")
    return SCHEMAS + fqdn.removeprefix(CANONICAL).replace(".", "/")


def name_of(kind: MessageType) -> SchemaName:
    """What headers call a type."""
    return SchemaName(fqdn_of(kind.schema_ref), kind.version)


EVENT: Final = name_of(EVENT_V1)
STORE_ROW: Final = SchemaName("mdp.store_row.v1", "1.0.0")  # of a table, as JSON
DLQ_MARK: Final = SchemaName("mdp.dlq_mark.v1", "1.0.0")  # that an event was sent again
RAW: Final = SchemaName("mdp.raw.v1", "1.0.0")  # a message of a venue, as it came
BAR: Final = name_of(BAR_V1)
SIGNAL: Final = name_of(SIGNAL_V1)
ENVELOPE: Final = name_of(ENVELOPE_V1)
