"""What files are read as: rows of columns with the format's types, or texts of records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

LONGEST_LINE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows with those of the wanted columns that the file has, of any types, and their row numbers in the file."""

    numbers: pl.Series
    values: pl.DataFrame
    broken: tuple[tuple[int, str], ...] = ()  # rows that could not be read at all, and why

    @property
    def height(self) -> int:
        """How many rows could be read."""
        return len(self.numbers)

    def joined(self, after: Columns) -> Columns:
        """These rows, and those of the same file that come after them."""
        numbers, values = pl.concat([self.numbers, after.numbers]), pl.concat([self.values, after.values])
        return Columns(numbers, values, self.broken + after.broken)

    def where(self, is_wanted: pl.Series | None) -> Columns:
        """Those of the rows; all of them without a choice."""
        if is_wanted is None or is_wanted.all():
            return self
        return Columns(self.numbers.filter(is_wanted), self.values.filter(is_wanted), self.broken)

    def split(self, rows: int) -> tuple[Columns, Columns]:
        """The first rows, at least one, and the others."""
        numbers, last = self.numbers.head(rows), self.numbers[rows - 1]
        before = tuple(one for one in self.broken if one[0] < last)
        return (
            Columns(numbers, self.values.head(rows), before),
            Columns(self.numbers.slice(rows), self.values.slice(rows), self.broken[len(before) :]),
        )


@dataclass(frozen=True, slots=True)
class Texts:
    """Records as JSON texts, valid or not, and their line numbers."""

    numbers: list[int]
    texts: list[bytes]


Piece = Columns | Texts


def sized(pieces: Iterator[Columns], rows: int) -> Iterator[Columns]:
    """The same rows in pieces of so many, or fewer where types change or the file ends; one without rows if all are."""
    held, is_first = next(pieces, None), True
    if held is None:
        return
    for piece in pieces:
        if held.values.schema == piece.values.schema:
            held = held.joined(piece)
        else:
            if held.height or held.broken:
                yield held
                is_first = False
            held = piece
        while held.height >= rows:
            full, held = held.split(rows)
            yield full
            is_first = False
    if is_first or held.height or held.broken:
        yield held
