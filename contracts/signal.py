"""Signal v1: what a record on the signals topic holds, for those who read or check it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from contracts.timestamps import parse_timestamp

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00]*$")]


class Signal(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A signal. The pipeline always writes signal_id, interval and adapter; signals of other origin may lack them."""

    provider: _Text
    symbol: _Text
    ts: str
    name: _Text
    value: float
    score: float
    ver: Literal[1]
    signal_id: str | None = None
    interval: str | None = None
    adapter: str | None = None
    meta: dict[str, Any] | None = None


_decoder: Final = msgspec.json.Decoder(Signal)


def decode_signal(payload: bytes) -> Signal:
    """The signal in a JSON text.

    Raises:
        msgspec.ValidationError: a field is missing or not allowed.
        msgspec.DecodeError: it is no JSON.
    """
    signal = _decoder.decode(payload)
    try:
        parse_timestamp(signal.ts)
    except ValueError:
        raise msgspec.ValidationError("ts is not an ISO 8601 time with a zone, within 64-bit nanoseconds") from None
    return signal
