"""What is read of a file: which columns, and how their cells are delimited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.files.errors import FileError
from connectors.files.maps import TIME, Column, FileMap
from contracts.suggestions import did_you_mean

KEY = "*"  # the label of the column with the name that `*` in `each` stands for


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns to read.

    Attributes:
        columns: their names, or numbers from 1.
        is_mapped: a map names them, so that all have to be there, and JSON is taken apart into cells; without it, those
            are read that are there, and JSON is passed on as it is.
        delimiter: between the cells of CSV; None: as its name says.
        header: whether the first line of CSV is one; None: if columns have names, or the first cell of the time has no
            digit.
        time: the column of the time, where it has a number.
        each: the steps to the rows in a JSON document; empty: it is an array of them, or one in each line.
        keys: whether the name that `*` in them stands for is a column, too.
        numbers: the columns that are wanted as numbers alone: `number`, or `whole` for whole ones.
    """

    columns: tuple[Column, ...]
    is_mapped: bool = False
    delimiter: str | None = None
    header: bool | None = None
    time: int | None = None
    each: tuple[str, ...] = ()
    keys: bool = False
    numbers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: FileMap, numbers: Mapping[str, str]) -> Layout:
        """What a map reads."""
        time = columns.columns[TIME].column
        return cls(
            columns=columns.read,
            numbers=numbers,
            is_mapped=True,
            delimiter=columns.delimiter,
            header=columns.header,
            time=time if isinstance(time, int) else None,
            each=tuple(columns.each.split(".")) if columns.each else (),
            keys=any(source.key for source in columns.columns.values()),
        )

    def is_header(self, first: Sequence[str]) -> bool:
        """Whether the first line of a CSV file is a header."""
        if self.header is not None or not self.is_mapped:
            return self.header is not False
        if self.time is None or any(isinstance(column, str) for column in self.columns):
            return True
        cell = first[self.time - 1] if self.time <= len(first) else ""
        return not any(sign.isdigit() for sign in cell)

    def chosen(self, name: str, present: Sequence[str] | int) -> dict[str, int]:
        """What the columns are called from here on, and their places in a file.

        Args:
            name: of the file.
            present: the names of its columns, or their number where they have none.

        Raises:
            FileError: a column is missing, or is there twice.
        """
        names = [label(number) for number in range(1, present + 1)] if isinstance(present, int) else present
        places: dict[str, list[int]] = {}
        for place, one in enumerate(names):
            places.setdefault(one.strip(), []).append(place)
        found: dict[str, int] = {}
        for column in self.columns:
            if isinstance(column, int) and column <= len(names):
                found[label(column)] = column - 1
            elif isinstance(column, str) and column in places:
                if len(places[column]) > 1:
                    raise FileError(f"{name} has two columns {column}: remove one of them")
                found[column] = places[column][0]
            elif self.is_mapped:
                raise FileError(_lacks(name, column, list(places)))
        if not found and self.columns:
            there = f"it has {', '.join(names)[:200]}" if names else "it is empty"
            raise FileError(f"{name} has none of the columns {', '.join(map(str, self.columns))}: {there}")
        return found


def label(column: Column) -> str:
    """What a column is called in frames and messages."""
    return f"column {column}" if isinstance(column, int) else column


def _lacks(name: str, column: Column, present: Sequence[str]) -> str:
    if isinstance(column, int):
        return f"{name} has {len(present)} columns, and the map reads column {column}"
    nearest = did_you_mean(column, present)
    return f"{name} has no column {column}" + (nearest or f": it has {', '.join(present)[:200]}")
