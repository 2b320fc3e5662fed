"""Adapter `rules`: a signal wherever a condition on the features of one window holds.

The rules file is a YAML list of rules; `emit` and `symbols` may be left out:

    - name: rsi_overbought
      condition: rsi > 70       # see inference.conditions
      signal: -1.0              # the signal's value
      score: 0.7
      emit: edge                # every (the default): each window in which it holds; edge: when it turns true
      symbols: [SPY, AAPL]      # the default: all
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts import frames
from inference.conditions import ConditionError, compile_condition
from inference.config import InferenceConfigError
from inference.evaluator import no_signals, signals

_SUBJECT: Final = ("provider", "symbol")
_BAR_VALUES: Final = pl.col(frames.BAR_VALUES).cast(pl.Float64)

Finite = Annotated[float, Field(allow_inf_nan=False)]


class RuleConfig(BaseModel):
    """One entry of the rules file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    condition: str
    signal: Finite
    score: Finite
    emit: Literal["every", "edge"] = "every"
    symbols: Annotated[tuple[str, ...], Field(min_length=1)] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to run: `holds` is boolean, never null, over a features frame with Float64 values."""

    name: str
    holds: pl.Expr
    value: float
    score: float
    on_edge: bool


def load_rules(file: Path, features: Sequence[str]) -> tuple[Rule, ...]:
    """Load the rules of `file`, whose conditions may use `features` and the bar's values.

    Raises:
        InferenceConfigError: one line that names the file, the rule and what is wrong with it.

    """
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(_entries(file), start=1):
        rule = _rule(file, number, entry, (*features, *frames.BAR_VALUES))
        if rule.name in rules:
            raise InferenceConfigError(f"{file}: rule {number}: there is already a rule named {rule.name!r}")
        rules[rule.name] = rule
    return tuple(rules.values())


def _entries(file: Path) -> list[Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InferenceConfigError(f"{file}: cannot read the rules: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InferenceConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, list):
        raise InferenceConfigError(f"{file}: expected a list of rules, each with name, condition, signal and score")
    return content


def _rule(file: Path, number: int, entry: Any, names: Sequence[str]) -> Rule:
    try:
        config = TypeAdapter(RuleConfig).validate_python(entry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("", *first["loc"]))
        raise InferenceConfigError(f"{file}: rule {number}{where}: {first['msg']}") from error
    try:
        holds = compile_condition(config.condition, names)
    except ConditionError as error:
        raise InferenceConfigError(f"{file}: rule {config.name!r}: {error}") from error
    if config.symbols is not None:
        holds &= pl.col("symbol").is_in(config.symbols)
    return Rule(config.name, holds, config.signal, config.score, on_edge=config.emit == "edge")


class RulesEvaluator:
    """Evaluates all rules on all rows of a frame at once.

    For rules on an edge it remembers, per provider and symbol, whether each held at the symbol's latest row. A symbol
    that stays away for `span_ns` is forgotten: when it comes back, a condition that holds has just turned true.
    """

    name: Final = "rules"

    def __init__(self, rules: Sequence[Rule], span_ns: int) -> None:
        self._conditions = [rule.holds.alias(f"holds {rule.name}") for rule in rules]
        self._names = pl.Series([rule.name for rule in rules], dtype=pl.String)
        self._values = pl.Series([rule.value for rule in rules], dtype=pl.Float64)
        self._scores = pl.Series([rule.score for rule in rules], dtype=pl.Float64)
        self._on_edge = np.array([rule.on_edge for rule in rules], dtype=np.bool_)
        self._edges = [f"holds {rule.name}" for rule in rules if rule.on_edge]
        self._span_ns = span_ns
        self._memory = self._forget()

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Signals in the order of the rows, and of the rules where several hold in one row."""
        if features.is_empty() or not self._conditions:
            return no_signals()
        holds = features.with_columns(_BAR_VALUES).select(self._conditions)
        emits = holds.to_numpy(writable=True)
        if self._edges:
            emits[:, self._on_edge] &= self._turned(features.select(*_SUBJECT, "ts", *holds.select(self._edges)))
        rows, rules = np.nonzero(emits)
        return signals(features[rows], name=self._names[rules], value=self._values[rules], score=self._scores[rules])

    def _turned(self, now: pl.DataFrame) -> NDArray[np.bool_]:
        """Where a condition may have just turned true: it did not hold at the symbol's row before, if there is one."""
        seen = pl.concat([self._memory, now])
        before = seen.with_row_index("at").select(pl.col("at").shift().over(_SUBJECT)).to_series()
        ts, ts_before = seen["ts"], seen["ts"].gather(before)
        remembered = (ts - ts_before < self._span_ns).fill_null(value=False).to_numpy()
        held = seen.select(pl.col(self._edges).gather(before).fill_null(value=False)).to_numpy()
        self._memory = self._latest(seen)
        turned: NDArray[np.bool_] = ~(held & remembered[:, np.newaxis])
        return turned[len(seen) - len(now) :]

    def _latest(self, seen: pl.DataFrame) -> pl.DataFrame:
        """Each symbol's last row, without those too old to matter to any later row of their provider."""
        recent = pl.col("ts") > pl.col("ts").max().over("provider") - self._span_ns
        return seen.unique(_SUBJECT, keep="last", maintain_order=True).filter(recent)

    def _forget(self) -> pl.DataFrame:
        key = {"provider": pl.String, "symbol": pl.String, "ts": pl.Int64}
        return pl.DataFrame(schema={**key, **dict.fromkeys(self._edges, pl.Boolean)})

    def snapshot(self) -> pl.DataFrame:
        """Whether each rule on an edge held at the latest row of each symbol."""
        return self._memory

    def restore(self, state: pl.DataFrame) -> None:
        """Continue from a snapshot; a rule that it does not know starts as not having held."""
        known = [name for name in self._edges if name in state.columns]
        new = [pl.lit(value=False).alias(name) for name in self._edges if name not in known]
        self._memory = state.select(*_SUBJECT, "ts", *known, *new).select(self._memory.columns)
