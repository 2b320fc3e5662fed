"""The names of what is in a record, as its headers say them.

A canonical type has a reference, `utp://schemas/trades/v2`, and so a name for headers, `utp.trades.v2`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ROOT: Final = "utp://schemas/"
_PREFIX: Final = "utp."


class SchemaName(NamedTuple):
    """A type of payload: its name, and its version as Semantic Versioning."""

    fqdn: str
    version: str


def fqdn_of(schema_ref: str) -> str:
    """`utp.gex.levels.v1` of `utp://schemas/gex/levels/v1`.

    Raises:
        ValueError: it is no reference.
    """
    if not schema_ref.startswith(ROOT):
        raise ValueError(f"{schema_ref!r} does not begin with {ROOT}")
    return _PREFIX + schema_ref.removeprefix(ROOT).replace("/", ".")


def schema_ref_of(fqdn: str) -> str:
    """The reference of a canonical type by its name in headers.

    Raises:
        ValueError: it is none of a canonical type.
    """
    if not fqdn.startswith(_PREFIX):
        raise ValueError(f"{fqdn!r} does not begin with {_PREFIX}")
    return ROOT + fqdn.removeprefix(_PREFIX).replace(".", "/")


EVENT: Final = SchemaName(fqdn_of("utp://schemas/events/v1"), "1.0.0")
STORE_ROW: Final = SchemaName("mdp.store_row.v1", "1.0.0")  # of a table, as JSON
DLQ_MARK: Final = SchemaName("mdp.dlq_mark.v1", "1.0.0")  # that an event was sent again
BAR: Final = SchemaName(fqdn_of("utp://schemas/bars/v1"), "1.0.0")
SIGNAL: Final = SchemaName(fqdn_of("utp://schemas/signals/v1"), "1.0.0")
