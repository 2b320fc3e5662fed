"""What a DBN file says of itself: its schema, its dataset, and which symbols its instruments have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from connectors.files.errors import FileError

NS_PER_DAY: Final = 86_400_000_000_000
_PREFIX: Final = 8  # DBN, the version, and the length of what follows
_MAGIC: Final = b"DBN"
_MOST_BYTES: Final = 256 << 20

_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A symbol of an instrument, on the days begin ≤ day < end since the epoch."""

    begin: int
    end: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The head of a DBN file.

    Attributes:
        dataset: such as GLBX.MDP3.
        schema: such as trades; None: records of several.
        has_sent_times: whether each record ends with the time at which it was sent.
        symbols: by instrument, its symbols in order.
    """

    dataset: str
    schema: str | None
    has_sent_times: bool
    symbols: Mapping[int, tuple[Interval, ...]] = field(default_factory=dict)

    def symbols_of(self, instruments: _Ints, times: _Ints) -> pl.Series:
        """The symbol of each record, by the UTC day of its time; null where the file has none.

        Args:
            instruments: the ids.
            times: nanoseconds since the epoch.
        """
        days = times // NS_PER_DAY
        if days.min() == days.max():
            return self._on_day(instruments, int(days[0]))
        found = np.empty(len(days), object)
        for day in np.unique(days).tolist():
            places = np.flatnonzero(days == day)
            found[places] = self._on_day(instruments[places], day).to_list()
        return pl.Series(found.tolist(), dtype=pl.String)

    def _on_day(self, instruments: _Ints, day: int) -> pl.Series:
        known, places = np.unique(instruments, return_inverse=True)
        names = [self._name(int(one), day) for one in known]
        return pl.Series(names, dtype=pl.String).gather(pl.Series(places))

    def _name(self, instrument: int, day: int) -> str | None:
        intervals = self.symbols.get(instrument, ())
        return next((one.symbol for one in intervals if one.begin <= day < one.end), None)


def read_metadata(name: str, stream: IO[bytes]) -> Metadata:
    """Reads the head of a DBN file, so that the stream is at its first record.

    Raises:
        FileError: it is no DBN, or the decoder is not installed.
    """
    decoder = dbn(name)
    prefix = stream.read(_PREFIX)
    length = int.from_bytes(prefix[4:8], "little")
    if len(prefix) < _PREFIX or not prefix.startswith(_MAGIC) or length > _MOST_BYTES:
        raise FileError(f"{name} is not DBN of version 1 or later")
    try:
        found = decoder.Metadata.decode(prefix + stream.read(length))
    except Exception as error:  # the decoder's errors have no common base
        raise FileError(f"{name} cannot be read as DBN: {' '.join(str(error).split())[:200]}") from None
    schema = None if found.schema is None else str(found.schema)
    return Metadata(found.dataset, schema, bool(found.ts_out), _symbols(found))


def dbn(name: str) -> Any:
    """The decoder.

    Raises:
        FileError: it is not installed.
    """
    try:
        import databento_dbn  # noqa: PLC0415 - an extra
    except ImportError:
        raise FileError(f"{name} is DBN, whose decoder is not installed: pip install 'mdp[databento]'") from None
    return databento_dbn


def _symbols(found: Any) -> dict[int, tuple[Interval, ...]]:
    """By instrument: mappings lead from what was asked for to ids, or from ids to symbols."""
    by_id: dict[int, list[Interval]] = {}
    for asked, intervals in found.mappings.items():
        for one in intervals:
            for instrument, symbol in _pairs(str(found.stype_in), asked, str(one["symbol"])):
                span = (_day(one["start_date"]), _day(one["end_date"]))
                by_id.setdefault(instrument, []).append(Interval(*span, symbol))
    return {one: tuple(sorted(intervals, key=lambda each: each.begin)) for one, intervals in by_id.items()}


def _pairs(asked_by: str, asked: str, mapped: str) -> Iterator[tuple[int, str]]:
    instrument, symbol = (asked, mapped) if asked_by == "instrument_id" else (mapped, asked)
    if instrument.isdigit():
        yield int(instrument), symbol


def _day(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000 // NS_PER_DAY
