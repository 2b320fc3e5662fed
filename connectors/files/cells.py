"""Converts cells of any type to the type of a field without loss: a value that does not fit is a flaw of its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

import numpy as np
import polars as pl

from connectors.files.times import Typed, flaws, no_flaws, nothing

_WHOLE: Final = r"^([+-]?\d+)(?:\.0*)?$"
_EXACT: Final = 2.0**53  # whole numbers up to here are floats


def as_type(column: pl.Series, wanted: pl.DataType) -> Typed:
    """Returns `column` as strings, whole numbers or finite numbers, null where a cell has none."""
    if wanted.is_nested():
        return _nested(column, wanted)
    if wanted == pl.String:
        return _texts(column)
    return _whole_numbers(column) if wanted.is_integer() else _numbers(column)


def _texts(column: pl.Series) -> Typed:
    """Strings; symbols and ids that are whole numbers are written as such, a struct as its JSON."""
    if column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        return column.cast(pl.String), no_flaws(column)
    if isinstance(column.dtype, pl.Struct):
        return column.struct.json_encode(), no_flaws(column)
    return nothing(column, pl.String), flaws(column.is_not_null(), f"{column.name} is a {column.dtype}, not text")


def _nested(column: pl.Series, wanted: pl.DataType) -> Typed:
    if column.dtype == wanted:
        return column, no_flaws(column)
    return nothing(column, wanted), flaws(column.is_not_null(), f"{column.name} is a {column.dtype}, not {wanted}")


def _numbers(column: pl.Series) -> Typed:
    if column.dtype == pl.Float64 and column.is_finite().all():
        return column, no_flaws(column)
    numbers = nothing(column, pl.Float64)
    if _holds_numbers(column):
        numbers = _stripped(column).cast(pl.Float64, strict=False)
        numbers = numbers.set(~numbers.is_finite().fill_null(value=True), None)
    return numbers, flaws(numbers.is_null() & column.is_not_null(), f"{column.name} is not a finite number")


def _whole_numbers(column: pl.Series) -> Typed:
    if column.dtype == pl.Int64:
        return column, no_flaws(column)
    numbers = nothing(column)
    if column.dtype == pl.String:
        numbers = _whole_texts(_stripped(column))
    elif _holds_numbers(column):
        numbers = column.cast(pl.Int64, strict=False)
        numbers = numbers.set((numbers != column).fill_null(value=False), None)
    return numbers, flaws(numbers.is_null() & column.is_not_null(), f"{column.name} is not a whole number of 64 bits")


def _whole_texts(texts: pl.Series) -> pl.Series:
    """Whole numbers of texts; only those that are not just digits take the way through an expression."""
    numbers = texts.cast(pl.Int64, strict=False)
    if numbers.null_count() == texts.null_count():
        return numbers
    return numbers.fill_null(texts.str.extract(_WHOLE).cast(pl.Int64, strict=False))


def _holds_numbers(column: pl.Series) -> bool:
    """Whether the column is numeric; booleans and times are not."""
    return column.dtype.is_numeric() or column.dtype in (pl.String, pl.Null)


def _stripped(column: pl.Series) -> pl.Series:
    return column.str.strip_chars() if column.dtype == pl.String else column


def translated(column: pl.Series, words: Mapping[str, str | None], *, ignoring_case: bool) -> Typed:
    """What stands for each word; a word without a meaning is a flaw."""
    if column.dtype.is_nested():
        return nothing(column, pl.String), flaws(column.is_not_null(), f"{column.name} is a {column.dtype}, not a word")
    texts = column.cast(pl.String).str.strip_chars()
    if ignoring_case:
        texts = texts.str.to_lowercase()
    found = texts.replace_strict(list(words), list(words.values()), default=None, return_dtype=pl.String)
    is_known = texts.is_in(list(words)).fill_null(value=True)
    return found, flaws(~is_known, f"{column.name} is none of {', '.join(words)}")


def chosen(values: pl.Series, choices: Sequence[str | int], wrong: pl.Series) -> Typed:
    """The values that are among the few choices; others are flaws, beside those that there are."""
    is_other = ~values.is_in(list(choices)).fill_null(value=True)
    if not is_other.any():
        return values, wrong
    allowed = f"{values.name} is none of {', '.join(map(str, choices))}"
    return values.set(is_other, None), wrong.set(is_other, allowed)


def scaled(column: pl.Series, scale: float) -> Typed:
    """Numbers times the scale, rounded once: 29 by 0.01 is 0.29, and so are whole numbers of any size."""
    numbers, wrong = as_type(column, pl.Float64())
    numerator, denominator = Decimal(repr(scale)).as_integer_ratio()
    # Polars multiplies by the reciprocal, which is rounded itself.
    products = np.divide(numbers.fill_null(0.0).to_numpy() * numerator, denominator)
    large = np.flatnonzero((numbers.abs() * numerator >= _EXACT).fill_null(value=False).to_numpy())
    if len(large):
        whole = as_type(column.gather(large), pl.Int64())[0].to_list()
        for place, one in zip(large.tolist(), whole, strict=True):
            if one is not None:
                products[place] = one * numerator / denominator
    return pl.Series(column.name, products).set(numbers.is_null(), None), wrong
