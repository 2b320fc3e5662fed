"""Conditions of rules: row-wise true-or-false SQL expressions, compiled to Polars.

Allowed are numbers, the known names, arithmetic, comparisons, AND, OR, NOT, IN, BETWEEN, IS NULL, CASE and the
functions abs, sign, round, floor, ceil, sqrt, cbrt, pow, exp, ln, log, coalesce, nullif, greatest and least. All names
are 64-bit floats. A condition that evaluates to null is false. 0/0 is NaN, which compares as greater than every number:
write `x / nullif(volume, 0)` to get null instead.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from contracts.condition_words import QUERY_WORDS
from contracts.errors import MdpError
from contracts.suggestions import did_you_mean

_MAX_LENGTH: Final = 1_000
# While parsing a subquery, Polars opens the files that it reads, so a subquery must not reach the parser.
_QUERY: Final = re.compile(rf"\b(?:{'|'.join(QUERY_WORDS)})\b", re.IGNORECASE)
_LITERALS: Final = frozenset({"Boolean", "Decimal", "Null"})
_FUNCTIONS: Final = frozenset(
    {"Abs", "Ceil", "Coalesce", "Exp", "Floor", "Log", "MaxHorizontal", "MinHorizontal", "Sign"}
    | {"Boolean.IsNotNull", "Boolean.IsNull", "Boolean.Not", "Pow.Cbrt", "Pow.Generic", "Pow.Sqrt"}
    | {"Sql.IsIn.nulls_equal", "Sql.Round.decimals", "Sql.ToFloat"}
    | {
        f"Sql.Binary.{operator}"
        for operator in ("Plus", "Minus", "Mul", "Div", "Rem", "Eq", "Lt", "LtEq", "Gt", "GtEq")
    }
)


class ConditionError(MdpError):
    """The condition is invalid; the message is one line that says why."""


def compile_condition(condition: str, names: Sequence[str]) -> pl.Expr:
    """Compile to a boolean expression, never null, over Float64 columns `names`.

    Raises:
        ConditionError: `condition` is not SQL, not computed row by row, uses an unknown name, or is not boolean.

    """
    expression = _parse(condition, names)
    _require_row_wise(expression)
    _require_known(expression, names, condition)
    _require_boolean(expression, names)
    return expression.fill_null(value=False)


def _parse(condition: str, names: Sequence[str]) -> pl.Expr:
    if len(condition) > _MAX_LENGTH:
        raise ConditionError(f"the condition is longer than {_MAX_LENGTH} characters")
    if word := _QUERY.search(condition):
        raise ConditionError(f"{word[0]!r} is not allowed: a condition cannot hold a query")
    try:
        return pl.sql_expr(condition)
    except pl.exceptions.PolarsError as error:
        raise ConditionError(f"not a condition: {_first_line(error)}{_quoting(condition, names)}") from error


def _quoting(condition: str, names: Sequence[str]) -> str:
    """A hint to quote a name that is a reserved word of SQL, if the condition contains one."""
    words = [name for name in names if re.search(rf'(?<!["\w]){re.escape(name)}(?!["\w])', condition)]
    taken = next((word for word in words if not _is_column(word)), None)
    return "" if taken is None else f'; {taken} is also a word of SQL: write it as "{taken}"'


def _is_column(word: str) -> bool:
    """Whether an unquoted name is parsed as a column."""
    try:
        return pl.sql_expr(f"{word} > 1").meta.root_names() == [word]
    except pl.exceptions.PolarsError:
        return False


def _require_row_wise(expression: pl.Expr) -> None:
    """Refuse every operation that is not known to use one row only.

    An allowlist, because nothing else is safe: a window function preserves the number of rows, so a trial cannot
    distinguish it from arithmetic, and now() is a literal once it is parsed.
    """
    try:
        pending: list[Any] = [json.loads(expression.meta.serialize(format="json"))]
    except RecursionError as error:
        raise ConditionError("the condition is nested too deeply") from error
    while pending:
        operands = _operands(node := pending.pop())
        if operands is None:
            raise ConditionError(f"{_path(node)} is not allowed: a condition uses the values of one row only")
        pending.extend(operands)


def _operands(node: Any) -> list[Any] | None:
    """List the inputs of an allowed operation; None for any other."""
    match node:
        case {"BinaryExpr": {"left": left, "right": right}}:
            return [left, right]
        case {"Ternary": {"predicate": predicate, "truthy": truthy, "falsy": falsy}}:
            return [predicate, truthy, falsy]
        case {"Function": {"input": list(inputs), "function": function}} if _path(function) in _FUNCTIONS:
            return inputs
        case {"Cast": {"expr": inner, "dtype": {"Literal": "Boolean"}}}:  # the operand of NOT
            return [inner]
    return [] if _is_leaf(node) else None


def _is_leaf(node: Any) -> bool:
    match node:
        case {"Column": str()} | {"Literal": {"Dyn": _} | {"Series": _}}:
            return True
        case {"Literal": {"Scalar": {**value}}}:
            return value.keys() <= _LITERALS
    return False


def _path(node: Any) -> str:
    """The name of a node: {"Sql": {"Binary": "Div"}} is Sql.Binary.Div."""
    if isinstance(node, dict) and "Function" in node:
        return _path(node["Function"]["function"])
    parts: list[str] = []
    while isinstance(node, dict) and len(node) == 1 and len(parts) < 3 and "Column" not in node:
        ((part, node),) = node.items()
        parts.append(part)
    return ".".join([*parts, node] if isinstance(node, str) else parts)


def _require_known(expression: pl.Expr, names: Sequence[str], condition: str) -> None:
    used = dict.fromkeys(expression.meta.root_names())
    if not used:
        raise ConditionError(f"the condition uses no feature{_quoting(condition, names)}; known: {', '.join(names)}")
    if unknown := [name for name in used if name not in names]:
        meant = did_you_mean(unknown[0], names)
        raise ConditionError(f"unknown {', '.join(unknown)}{meant}; known: {', '.join(names)}")


def _require_boolean(expression: pl.Expr, names: Sequence[str]) -> None:
    values = pl.Series([None, -1.0, 0.0, 0.5, 1e300, float("inf"), float("nan")], dtype=pl.Float64)
    probe = pl.DataFrame(dict.fromkeys(names, values))
    for frame in (probe, probe.clear()):
        try:
            result = frame.select(expression).to_series()
        except pl.exceptions.PolarsError as error:
            raise ConditionError(f"cannot be computed: {_first_line(error)}") from error
        if result.dtype != pl.Boolean or len(result) != len(frame):
            raise ConditionError(f"evaluates to {result.dtype}, not to true or false: compare it with something")


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
