"""The whole pipeline row by row in plain Python: what has to come out of a log, and what the database then holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from contracts import frames
from features.bars.window_config import WindowConfig
from features.rolling.feature_config import FeatureConfig
from tests import oracle_features
from tests.oracle_windows import Row, WindowOracle


@dataclass(frozen=True)
class OracleRule:
    """A rule twice: as the pipeline reads it, and in Python over a row of features, in which null is None."""

    name: str
    condition: str
    holds: Callable[[Row], bool]
    emit: Literal["every", "edge"] = "every"
    symbols: tuple[str, ...] = ()
    signal: float = 1.0
    score: float = 0.5

    def config(self) -> dict[str, Any]:
        """Its entry in the rules file."""
        entry = {name: getattr(self, name) for name in ("name", "condition", "emit", "signal", "score")}
        return {**entry, "symbols": list(self.symbols)} if self.symbols else entry


@dataclass
class Made:
    """What leaves, in order."""

    bars: list[Row] = field(default_factory=list)
    features: list[Row] = field(default_factory=list)
    signals: list[Row] = field(default_factory=list)

    def add(self, more: Made) -> None:
        self.bars += more.bars
        self.features += more.features
        self.signals += more.signals


class Oracle:
    """One partition. `take` every row of the log; `end` tells what a bounded run that ends here adds."""

    def __init__(self, config: WindowConfig, features: Sequence[FeatureConfig], rules: Sequence[OracleRule]) -> None:
        self.config = config
        self.features = features
        self.rules = rules
        self.span_ns = max(feature.span(config.window_ns) for feature in features) * config.window_ns
        self.windows = WindowOracle(config)
        self.known: dict[tuple[str, str], dict[int, oracle_features.Bar]] = {}
        self.edges: dict[tuple[str, str], tuple[int, set[str]]] = {}
        self.outcomes: list[str] = []
        self.made = Made()

    def take(self, row: Row) -> str:
        """What became of a row. One that breaks the contract has a `fault`."""
        before = len(self.windows.emitted)
        outcome = "rejected" if row.get("fault") or self._is_ahead(row) else self.windows.take(row)
        self.outcomes.append(outcome)
        for bar in self.windows.emitted[before:]:
            self.made.add(self._leave(bar))
        return outcome

    def end(self, cause: Row) -> Made:
        """What is still open, as if it closed now. Nothing of it is kept."""
        known, edges = {key: dict(bars) for key, bars in self.known.items()}, dict(self.edges)
        made = Made()
        for bar in self.windows.still_open(cause):
            made.add(self._leave(bar))
        self.known, self.edges = known, edges
        return made

    def _is_ahead(self, row: Row) -> bool:
        known, ahead = row["record_ts"] > 0, row["src_ts"] - row["record_ts"]
        return bool(known and ahead > self.config.max_future_ms * 1_000_000)

    def _leave(self, bar: Row) -> Made:
        subject, end = (bar["provider"], bar["symbol"]), bar["window_end"]
        bars = self.known.setdefault(subject, {})
        bars[end] = oracle_features.Bar(end, bar["close"], bar["volume"], bar["vwap"])
        if bar["revision"]:
            return Made(bars=[bar])
        values = oracle_features.features_at(bars.values(), self.features, self.config.window_ns, end)
        kept = ("provider", "symbol", "interval", *frames.BAR_VALUES, *frames.CAUSE)
        row = {"ts": end, **values, **{name: bar[name] for name in kept}}
        return Made(bars=[bar], features=[row], signals=self._signals(row))

    def _signals(self, row: Row) -> list[Row]:
        subject = row["provider"], row["symbol"]
        meant = [rule for rule in self.rules if not rule.symbols or row["symbol"] in rule.symbols]
        holding = [rule for rule in meant if rule.holds(row)]
        ts_before, held_before = self.edges.get(subject, (-(2**63), set()))
        if row["ts"] - ts_before >= self.span_ns:
            held_before = set()
        self.edges[subject] = row["ts"], {rule.name for rule in holding}
        return [_signal(rule, row) for rule in holding if rule.emit == "every" or rule.name not in held_before]


def _signal(rule: OracleRule, row: Row) -> Row:
    parts = [row["provider"], row["symbol"], row["interval"], _iso(row["ts"]), rule.name, "rules"]
    return {
        "signal_id": "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts),
        **{name: row[name] for name in ("provider", "symbol", "interval", "ts", "offset", "row")},
        "name": rule.name,
        "value": rule.signal,
        "score": rule.score,
        "adapter": "rules",
        "meta": {"window": row["interval"], "price": row["close"]},
    }


def _iso(ts: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ts // 1_000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Database:
    """The tables after every write, by the rules of the sink: what is written again changes nothing."""

    bars: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    features: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    signals: dict[tuple[Any, ...], Row] = field(default_factory=dict)

    def write(self, made: Made) -> None:
        for bar in made.bars:
            stored = self.bars.setdefault(_key(bar, frames.BAR_KEY), bar)
            if _age(bar) > _age(stored):
                self.bars[_key(bar, frames.BAR_KEY)] = bar
        for row in made.features:
            stored = self.features.setdefault(_key(row, frames.FEATURE_KEY), dict(row))
            stored.update({name: row[name] for name in row if stored[name] is None})
        for signal in made.signals:
            self.signals.setdefault(_key(signal, frames.SIGNAL_KEY), signal)


def _key(row: Row, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _age(bar: Row) -> tuple[int, ...]:
    return bar["revision"], bar["offset"], bar["row"]


def parsed_meta(signals: list[Row]) -> list[Row]:
    """Signals as the pipeline makes them, their meta read."""
    return [{**signal, "meta": json.loads(signal["meta"])} for signal in signals]
