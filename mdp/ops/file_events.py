"""Events from files, to send."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from connectors.files.errors import FileError
from connectors.files.maps import FileMap
from connectors.files.reader import Reading, Remark, names_of, read
from connectors.files.times import TimeUnit
from contracts.event import NEEDED_BY_TICKS, WIRE
from transports.outgoing import UNCHECKED, outgoing, with_disorder


@dataclass(frozen=True, slots=True)
class EventFiles:
    """Files of events: rows with columns, or lines of JSON, which are sent unchanged, valid or not.

    Attributes:
        paths: the files, which are merged by time.
        unit, zone, remark, columns: see `Reading`.
    """

    paths: Sequence[Path]
    unit: TimeUnit | None = None
    zone: str | None = None
    remark: Remark = field(default=lambda _: None)
    columns: FileMap | None = None

    def rows(self) -> Iterator[pl.DataFrame]:
        """Yields all rows as OUTGOING frames.

        Raises:
            FileError: a file cannot be read, lacks a column, or has a value that is impossible in an event.
        """
        newest: int | None = None
        for frame in readable(self.paths, self.reading):
            chunk, newest = with_disorder(outgoing(frame.drop("file", "row"), UNCHECKED), newest)
            yield chunk

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        if self.columns is not None:
            return Reading.of_map(self.columns, self.unit, self.zone, self.remark)
        return Reading(WIRE, NEEDED_BY_TICKS, unit=self.unit, zone=self.zone, remark=self.remark)


def readable(paths: Sequence[Path], reading: Reading) -> Iterator[pl.DataFrame]:
    """Yields the rows of files, which all can be read.

    Raises:
        FileError: a file cannot be read, or a row of it, of which the first one is named.
    """
    for frame in read(paths, reading):
        _refuse_flaws(frame, paths, reading)
        yield frame.drop("flaw", "cell")


def _refuse_flaws(frame: pl.DataFrame, paths: Sequence[Path], reading: Reading) -> None:
    if frame["flaw"].null_count() == frame.height:
        return
    file, row, flaw, cell = frame.filter(pl.col("flaw").is_not_null()).select("file", "row", "flaw", "cell").row(0)
    there = "" if cell is None else f", but {cell!r}"
    raise FileError(f"{names_of(paths, reading)[file]}, row {row}: {flaw}{there}")
