"""Converts cells of any type to the type of a field without loss: a value that does not fit is a flaw of its row."""

from __future__ import annotations

from typing import Final

import polars as pl

from connectors.files.times import Typed, flaws, nothing

_WHOLE: Final = r"^([+-]?\d+)(?:\.0*)?$"


def as_type(column: pl.Series, wanted: pl.DataType) -> Typed:
    """Returns `column` as strings, whole numbers or finite numbers, null where a cell has none."""
    if wanted == pl.String:
        return _texts(column)
    return _whole_numbers(column) if wanted.is_integer() else _numbers(column)


def _texts(column: pl.Series) -> Typed:
    """Strings; symbols and ids that are whole numbers are written as such, a struct as its JSON."""
    if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String), flaws(column.is_null() & False, "")
    if isinstance(column.dtype, pl.Struct):
        return column.struct.json_encode(), flaws(column.is_null() & False, "")
    return nothing(column, pl.String), flaws(column.is_not_null(), f"{column.name} is a {column.dtype}, not text")


def _numbers(column: pl.Series) -> Typed:
    numbers = nothing(column, pl.Float64)
    if _holds_numbers(column):
        numbers = _stripped(column).cast(pl.Float64, strict=False)
        numbers = numbers.set(~numbers.is_finite().fill_null(value=True), None)
    return numbers, flaws(numbers.is_null() & column.is_not_null(), f"{column.name} is not a finite number")


def _whole_numbers(column: pl.Series) -> Typed:
    numbers = nothing(column)
    if column.dtype == pl.String:
        numbers = _stripped(column).str.extract(_WHOLE).cast(pl.Int64, strict=False)
    elif _holds_numbers(column):
        numbers = column.cast(pl.Int64, strict=False)
        numbers = numbers.set((numbers != column).fill_null(value=False), None)
    return numbers, flaws(numbers.is_null() & column.is_not_null(), f"{column.name} is not a whole number of 64 bits")


def _holds_numbers(column: pl.Series) -> bool:
    """Whether the column is numeric; booleans and times are not."""
    return column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)


def _stripped(column: pl.Series) -> pl.Series:
    return column.str.strip_chars() if column.dtype == pl.String else column
