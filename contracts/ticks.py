"""The fast path: JSON ticks that keep the contract by their very types, many at once.

What is not as plain as that is not judged here, but left to the rules of `contracts.event`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from contracts.batch import NO_EVENTS
from contracts.event import MAX_MAGNITUDE, MAX_TEXT_BYTES, Int64, in_time
from contracts.frames import EVENTS
from contracts.ids import with_event_ids
from contracts.record import Record, offsets, timestamps
from contracts.timestamps import parse_texts

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_BYTES // 4)]  # UTF-8: at most 4 bytes each
_Price = Annotated[float, msgspec.Meta(ge=-MAX_MAGNITUDE, le=MAX_MAGNITUDE)]
_Size = Annotated[float, msgspec.Meta(ge=0, le=MAX_MAGNITUDE)]
_Ints = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


class Tick(msgspec.Struct, gc=False, kw_only=True):
    """What most records are. A decoder is quickest when fields come in this order, which is that of the contract."""

    ver: Literal[1] = 1
    provider: _Text
    symbol: _Text
    kind: Literal["tick"]
    src_ts: str
    c: _Price
    v: _Size
    seq: Int64 | None = None
    event_id: _Text | None = None


_decode: Final = msgspec.json.Decoder(Tick).decode
_TEXTS: Final = ("provider", "symbol", "event_id")
_SAME: Final = [  # in all ticks
    pl.Series(name, [value], EVENTS[name])
    for name, value in {"row": 0, "kind": "tick", "o": None, "h": None, "l": None}.items()
]


class TickReader:
    """Takes the plain ticks out of the fetches of one micro-batch.

    Args:
        max_future_ns: how far a tick's time may lie ahead of its record's timestamp.
    """

    def __init__(self, max_future_ns: int) -> None:
        self._max_future_ns = max_future_ns
        self._columns: list[dict[str, pl.Series]] = []

    def read(self, records: Sequence[Record], payloads: Sequence[bytes | None], start: int) -> list[int]:
        """Takes in what it can, `start` being the first one's place among all payloads; the indices of all others."""
        ticks, others = _decoded(payloads)
        if not ticks:
            return others
        rows = np.delete(np.arange(len(payloads)), others)
        chosen = [records[row] for row in rows.tolist()] if others else records
        columns = _fields(ticks)
        times, is_plain = parse_texts([tick.src_ts for tick in ticks])
        is_plain &= in_time(times, timestamps(chosen), self._max_future_ns) & _without_nul(columns)
        places = {"record": rows + start, "offset": offsets(chosen), "src_ts": times}
        if not is_plain.all():
            others = sorted([*others, *rows[~is_plain].tolist()])
            columns = {name: list(compress(values, is_plain)) for name, values in columns.items()}
            places = {name: values[is_plain] for name, values in places.items()}
        self._columns.append(
            {name: pl.Series(name, values, EVENTS[name]) for name, values in (columns | places).items()}
        )
        return others

    def frame(self) -> pl.DataFrame:
        """All ticks so far, as EVENTS in the order of the log."""
        if not self._columns:
            return NO_EVENTS
        columns = self._columns[0] if len(self._columns) == 1 else _joined(self._columns)
        count = len(columns["record"])
        columns |= {column.name: column.new_from_index(0, count) for column in _SAME}
        return with_event_ids(pl.DataFrame({name: columns[name] for name in EVENTS}))


def _joined(parts: Sequence[dict[str, pl.Series]]) -> dict[str, pl.Series]:
    return {name: pl.concat([part[name] for part in parts], rechunk=True) for name in parts[0]}


def _decoded(payloads: Sequence[bytes | None]) -> tuple[list[Tick], list[int]]:
    """The ticks, and the indices of payloads that are none."""
    ticks: list[Tick] = []
    others: list[int] = []
    rest = map(_decode, payloads)  # type: ignore[arg-type]
    while True:
        try:
            ticks.extend(rest)  # keeps what it got before an error, and can be taken up again after it
        except Exception:
            others.append(len(ticks) + len(others))
        else:
            return ticks, others


def _fields(ticks: Sequence[Tick]) -> dict[str, list[Any]]:
    # A comprehension for each field: a tuple per event would cost three times as much.
    return {
        "provider": [tick.provider for tick in ticks],
        "symbol": [tick.symbol for tick in ticks],
        "c": [tick.c for tick in ticks],
        "v": [tick.v for tick in ticks],
        "seq": [tick.seq for tick in ticks],
        "event_id": [tick.event_id for tick in ticks],
    }


def _without_nul(columns: dict[str, list[Any]]) -> _Bools:
    is_clean = np.ones(len(columns["symbol"]), np.bool_)
    for name in _TEXTS:
        if "\0" in _all_of(columns[name]):
            is_clean &= np.array(["\0" not in (text or "") for text in columns[name]])
    return is_clean


def _all_of(texts: Sequence[str | None]) -> str:
    try:
        return "".join(texts)  # type: ignore[arg-type]
    except TypeError:  # some are missing
        return "".join(filter(None, texts))
