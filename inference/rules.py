"""Adapter `rules`: a signal wherever a condition on the features of one window holds.

The rules file is a YAML list of rules; `emit` and `symbols` may be left out:

    - name: rsi_overbought
      condition: rsi > 70       # see inference.conditions
      signal: -1.0              # the signal's value
      score: 0.7
      emit: edge                # every (the default): each window in which it holds; edge: only when it turns true
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
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from contracts import frames
from contracts.suggestions import did_you_mean
from inference.conditions import ConditionError, compile_condition
from inference.config import InferenceConfigError
from inference.edges import Edges, EdgesState
from inference.evaluator import causes, no_signals, signals

_WHOLE: Final = [name for name in frames.BAR_VALUES if frames.BARS[name] != pl.Float64]  # numeric, but not floats

Finite = Annotated[float, Field(allow_inf_nan=False)]


class RuleConfig(BaseModel):
    """One entry of the rules file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="Name of the signals; distinct.")
    condition: str = Field(
        description="SQL over the configured features and the bar's open, high, low, close, volume, vwap, buy_volume, "
        "sell_volume and trades; see [extending.md](extending.md#rules)."
    )
    signal: Finite = Field(description="The signal's value.")
    score: Finite = Field(description="The signal's score.")
    emit: Literal["every", "edge"] = Field(
        default="every",
        description="`every`: each window in which the condition holds; `edge`: only where it has turned true.",
    )
    symbols: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="Only these symbols; null: all."
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to run: `holds` is boolean, never null, over a features frame with Float64 values."""

    name: str
    holds: pl.Expr
    value: float
    score: float
    on_edge: bool
    inputs: tuple[str, ...] = ()  # the columns that the condition looks at


def load_rules(file: Path, features: Sequence[str]) -> tuple[Rule, ...]:
    """Load the rules of `file`; their conditions may use `features` and the bar's values.

    Raises:
        InferenceConfigError: one line that names the file, the rule and what is wrong with it.

    """
    rules: dict[str, Rule] = {}
    for number, entry in enumerate(_entries(file), start=1):
        rule = _rule(file, number, entry, (*features, *frames.BAR_VALUES))
        if rule.name in rules:
            raise InferenceConfigError(f"{file}: rule {number}: another rule is already named {rule.name!r}")
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
        raise InferenceConfigError(f"{file}: rule {number}{_problem(error)}") from error
    try:
        holds = compile_condition(config.condition, names)
    except ConditionError as error:
        raise InferenceConfigError(f"{file}: rule {config.name!r}: {error}") from error
    inputs = tuple(known for known in names if known in holds.meta.root_names())
    if config.symbols is not None:
        holds &= pl.col("symbol").is_in(config.symbols)
    return Rule(config.name, holds, config.signal, config.score, config.emit == "edge", inputs)


def _problem(error: ValidationError) -> str:
    """The first problem; an unknown key before the missing one that it stands for."""
    problems = error.errors()
    unknown = next((one for one in problems if one["type"] == "extra_forbidden"), None)
    if unknown is not None:
        word = str(unknown["loc"][-1])
        return f": {word} is not a known key{did_you_mean(word, RuleConfig.model_fields)}"
    where = ".".join(str(part) for part in ("", *problems[0]["loc"]))
    return f"{where}: {problems[0]['msg']}"


class RulesEvaluator:
    """Evaluates all rules on all rows of a frame at once; inference.edges keeps the state of rules with emit: edge."""

    name: Final = "rules"

    def __init__(self, rules: Sequence[Rule], span_ns: int) -> None:
        self._conditions = [rule.holds.alias(f"holds {rule.name}") for rule in rules]
        used = {name for rule in rules for name in rule.holds.meta.root_names()}
        self._casts = [pl.col(name).cast(pl.Float64) for name in _WHOLE if name in used]
        self._names = [rule.name for rule in rules]
        self._values = np.array([rule.value for rule in rules], dtype=np.float64)
        self._scores = np.array([rule.score for rule in rules], dtype=np.float64)
        self._on_edge = np.array([rule.on_edge for rule in rules], dtype=np.bool_)
        self._edges = Edges([f"holds {rule.name}" for rule in rules if rule.on_edge], span_ns)

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return signals in the order of rows, then of rules."""
        if features.is_empty() or not self._conditions:
            return no_signals()
        floats = features.with_columns(self._casts) if self._casts else features
        holds = floats.select_seq(self._conditions)  # in this thread: another one would have to wait for a core
        emits = holds.to_numpy(writable=True)
        if self._on_edge.any():
            emits[:, self._on_edge] &= self._edges.turned(features, emits[:, self._on_edge])
        rows, rules = np.nonzero(emits)
        if not rows.size:
            return no_signals()
        name = pl.Series([self._names[rule] for rule in rules.tolist()])
        value, score = pl.Series(self._values[rules]), pl.Series(self._scores[rules])
        return signals(causes(features, rows), name=name, value=value, score=score)

    def snapshot(self) -> EdgesState:
        """Return whether each rule with emit: edge held at the latest row of each symbol."""
        return self._edges.snapshot()

    def restore(self, state: EdgesState) -> None:
        """Continue from a snapshot; a rule that it lacks starts as not having held."""
        self._edges.restore(state)
