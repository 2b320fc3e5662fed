"""Reads the fields of the rows of one file: from a column of the same name, or as a map says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from connectors.files import cells
from connectors.files.layout import KEY, label
from connectors.files.maps import FileMap, MapError, SourceConfig
from connectors.files.targets import Target
from connectors.files.times import DayTimes, Times, TimeUnit, Typed, WrittenTimes, no_flaws

_FIXED = {True: "true", False: "false"}


class Found(NamedTuple):
    """What was read of a field.

    Attributes:
        values: of each row, null where it has none.
        wrong: the flaw of each cell, or null.
        column: the cells as they were.
    """

    values: pl.Series
    wrong: pl.Series
    column: pl.Series


@dataclass(frozen=True, slots=True)
class FieldReader:
    """Reads one field.

    Attributes:
        field: the column of the frame that it fills.
        take: its cells, out of the columns of the file.
        convert: cells to values.
        times: what reads them if they are times.
    """

    field: str
    take: Callable[[pl.DataFrame], pl.Series]
    convert: Callable[[pl.Series], Typed]
    times: Times | None = None

    def read(self, columns: pl.DataFrame) -> Found:
        """The values of some rows."""
        column = self.take(columns)
        values, wrong = self.convert(column)
        return Found(values.alias(self.field), wrong, column)


class Zones(NamedTuple):
    """What the command line says about times: the unit of numeric ones, the zone of those without one."""

    unit: TimeUnit | None
    zone: str | None


def plain_reader(name: str, dtype: pl.DataType, zones: Zones, *, is_time: bool) -> FieldReader:
    """Reads the column of a field's own name."""
    times = Times(name, zones.unit, zones.zone) if is_time else None
    convert = times.read if times is not None else lambda column: cells.as_type(column, dtype)
    return FieldReader(name, lambda columns: columns[name], convert, times)


def mapped_readers(columns: FileMap, target: Target, file: str, zones: Zones) -> list[FieldReader]:
    """Reads the fields that a map names, and those that all rows have in common.

    Args:
        columns: the map.
        target: what it leads to.
        file: the name of the file.
        zones: for times of which the map says nothing.

    Raises:
        MapError: the name of the file does not hold what the map finds there.
    """
    readers = [
        _mapped(word, source, target, file, zones)
        for word, source in columns.columns.items()
        if target.is_read(target.fields[word])
    ]
    constants = [
        FieldReader(field, _constant(field, value), lambda column: (column, no_flaws(column)))
        for field, value in target.constants.items()
    ]
    return readers + constants


def numbers_of(columns: FileMap, target: Target) -> dict[str, str]:
    """The columns that are wanted as numbers alone, and whether as whole ones: times are, unless written otherwise."""
    found: dict[str, set[str]] = {}
    for word, source in columns.columns.items():
        field = target.fields[word]
        if isinstance(source.column, str | int) and target.is_read(field):
            found.setdefault(label(source.column), set()).add(_number_of(source, target.schema[field]))
    return {name: kinds.pop() for name, kinds in found.items() if len(kinds) == 1 and "" not in kinds}


def _number_of(source: SourceConfig, dtype: pl.DataType) -> str:
    if source.values is not None or source.format is not None:
        return ""
    return "number" if dtype.is_float() else "whole" if dtype.is_integer() and source.scale is None else ""


def _mapped(word: str, source: SourceConfig, target: Target, file: str, zones: Zones) -> FieldReader:
    field = target.fields[word]
    times = _times(word, source, file, zones) if field in target.times else None
    convert = times.read if times is not None else _conversion(source, target.schema[field])
    choices = target.choices.get(field)
    if choices:
        convert = _with_choices(convert, choices)
    return FieldReader(field, _taken(word, source, file), convert, times)


def _taken(word: str, source: SourceConfig, file: str) -> Callable[[pl.DataFrame], pl.Series]:
    """The cells of a field, called by its word, as messages are to name it."""
    if isinstance(source.column, list):
        texts = [pl.col(label(one)).cast(pl.String) for one in source.column]
        return lambda columns: columns.select(pl.concat_str(texts, separator=" ").alias(word)).to_series()
    if source.key is not None or source.column is not None:
        name = KEY if source.column is None else label(source.column)
        return lambda columns: columns[name].alias(word)
    return _constant(word, source.value if source.file is None else _in_name(word, "file", source.file, file))


def _constant(name: str, value: Any) -> Callable[[pl.DataFrame], pl.Series]:
    one = pl.Series(name, [value])
    return lambda columns: one.new_from_index(0, columns.height)


def _in_name(word: str, key: str, pattern: str, file: str) -> str:
    found = re.search(pattern, file)
    if found is None or not found[1]:
        raise MapError(f"columns.{word}.{key}: {pattern} finds nothing in the name {file}")
    return found[1]


def _times(word: str, source: SourceConfig, file: str, zones: Zones) -> Times:
    zone = source.zone or zones.zone
    if source.format is not None:
        return WrittenTimes(word, source.format, zone)
    if source.day is not None and source.unit is not None:
        day = _in_name(word, "day", source.day, file)
        try:
            return DayTimes(word, source.unit, zone, day)
        except ValueError:
            raise MapError(f"columns.{word}.day: {day} in the name {file} is not a day as YYYYMMDD") from None
    return Times(word, source.unit or zones.unit, zone)


def _conversion(source: SourceConfig, dtype: pl.DataType) -> Callable[[pl.Series], Typed]:
    if source.scale is not None:
        scale = source.scale
        return lambda column: cells.scaled(column, scale)
    if source.values is not None:
        words = {_word(one): None if value is None else _word(value) for one, value in source.values.items()}
        ignoring_case = any(isinstance(one, bool) for one in source.values)
        return lambda column: _translated(column, words, dtype, ignoring_case=ignoring_case)
    return lambda column: cells.as_type(column, dtype)


def _word(value: object) -> str:
    """A word as cells have it: files write true in many ways."""
    return _FIXED[value] if isinstance(value, bool) else str(value)


def _translated(column: pl.Series, words: dict[str, str | None], dtype: pl.DataType, *, ignoring_case: bool) -> Typed:
    meanings, unknown = cells.translated(column, words, ignoring_case=ignoring_case)
    values, wrong = cells.as_type(meanings, dtype)
    return values, unknown.zip_with(unknown.is_not_null(), wrong)


def _with_choices(convert: Callable[[pl.Series], Typed], choices: Sequence[str | int]) -> Callable[[pl.Series], Typed]:
    def read(column: pl.Series) -> Typed:
        values, wrong = convert(column)
        return cells.chosen(values.alias(column.name), choices, wrong)

    return read
