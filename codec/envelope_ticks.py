"""Plain trades and quotes in envelopes, as the declarations of the envelope and of its payload have them."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from codec.ticks import TickFormat
from contracts.binary import BinaryColumn
from contracts.envelope import ENVELOPE_V1, checksum
from contracts.market_prices import MarketPrice, read_type
from native.json_fields import Part, Scanner
from native.json_scan import Found
from native.memory import gather

# The columns of EVENTS that are fields of the envelope as they are.
OF_ENVELOPE: Final = {"provider": "source_id", "seq": "sequence", "event_id": "event_id"}

_CHECKSUM_BYTES: Final = len(checksum(b""))

# By price, which field of the payload is kept as what, and what has to be there for it.
_KEPT: Final[dict[MarketPrice, dict[str, str]]] = {
    "trade": {"c": "payload.price", "v": "payload.size", "side": "payload.side"},  # the first of the sides is BUY
    "bid": {"c": "payload.bid"},
    "ask": {"c": "payload.ask"},
    "mid": {"c": "payload.mid", "bid": "payload.bid", "ask": "payload.ask"},
}
_NEEDED: Final[dict[MarketPrice, tuple[str, ...]]] = {"trade": (), "bid": ("bid",), "ask": ("ask",), "mid": ()}


@cache
def envelope_ticks(price: MarketPrice) -> TickFormat:
    """Envelopes of the type that has this price, each a tick."""
    kind = read_type(price)
    envelope = Part(
        ENVELOPE_V1.fields,
        only={"event_type": kind.event_type or "", "schema_ref": kind.schema_ref},
        patterned=("checksum",),  # which is compared with that of the payload
        inside={"payload": Part(kind.fields, required=_NEEDED[price])},
    )
    kept = {
        "src_ts": "event_time",
        **OF_ENVELOPE,
        "symbol": "payload.symbol",
        "checksum": "checksum",
        "payload": "payload",
        **_KEPT[price],
    }
    return TickFormat(Scanner(envelope, kept), partial(_settle, with_mid=price == "mid"))


def _settle(found: Found, values: BinaryColumn, *, with_mid: bool) -> None:
    _compare_checksums(found, values)
    if with_mid:
        _fill_mids(found)


def _fill_mids(found: Found) -> None:
    """Computes mids that are not given; a quote that has none is not a tick."""
    (mid, has_mid), (bid, has_bid), (ask, has_ask) = (
        (found.numbers(name), found.has(name)) for name in ("c", "bid", "ask")
    )
    np.copyto(mid, (bid + ask) / 2, where=~has_mid)
    found.is_plain[:] &= has_mid | (has_bid & has_ask)


def _compare_checksums(found: Found, values: BinaryColumn) -> None:
    """Leaves messages to the general decoder that have another checksum than their payload."""
    rows = np.flatnonzero(found.is_plain & found.has("checksum"))
    if not len(rows):
        return
    (stated, lengths), (addresses, sizes) = (found.texts(name) for name in ("checksum", "payload"))
    is_sized = lengths[rows] == _CHECKSUM_BYTES
    found.is_plain[rows[~is_sized]] = False
    rows = rows[is_sized]
    starts = addresses[rows] - values.data.ctypes.data
    ends = starts + sizes[rows]
    data = values.data.data
    actual = "".join([checksum(data[start:end]) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])
    texts = _gathered(stated[rows])
    found.is_plain[rows] = (texts == np.frombuffer(actual.encode(), np.uint8).reshape(texts.shape)).all(axis=1)


def _gathered(addresses: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The bytes of checksums, a row of them each."""
    stated = np.empty((len(addresses), _CHECKSUM_BYTES), np.uint8)
    lengths, starts = np.full(len(addresses), _CHECKSUM_BYTES), np.arange(len(addresses)) * _CHECKSUM_BYTES
    gather(addresses, lengths, starts, stated.reshape(-1))
    return stated
