"""The interface of evaluators, which turn features into signals, and how to write one.

An evaluator is a class with the methods of `Evaluator`, created by a factory that your package declares as an entry
point; the entry point's name is the adapter's name in signals and in the configuration:

    [project.entry-points."mdp.evaluators"]
    breakout = "my_package:breakout"

    def breakout(options: Mapping[str, Any], features: Sequence[str], span_ns: int) -> Evaluator: ...

    inference: {adapters: {breakout: {enabled: true, lookback: 3}}}     # options == {"lookback": 3}

`features` are the names of the configured features, `span_ns` is the longest time that a symbol without bars is
remembered. The factory is called once per Kafka partition and raises ValueError with a one-line message if its options
or features are invalid. So that results do not depend on the cut of batches, an evaluator must process the rows of a
frame as if they had arrived one by one, and must not read a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from contracts import frames

ENTRY_POINTS: Final = "mdp.evaluators"

EVALUATED: Final = pl.Schema(
    {name: dtype for name, dtype in frames.SIGNALS.items() if name not in {"signal_id", "adapter"}}
)

_NONE: Final = EVALUATED.to_frame()
_CARRIED: Final = ("provider", "symbol", "interval", "ts", "offset", "row")
_CAUSES: Final = (*_CARRIED, "close")
_META: Final = pl.struct(window="interval", price="close").struct.json_encode()


class Evaluator(Protocol):
    """A pure state machine of one Kafka partition: features in, signals out."""

    @property
    def name(self) -> str:
        """The adapter's name, as configured."""

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        """Return the signals of `features`.

        Args:
            features: the rows of at least one closed window, columns as frames.features_schema, at most one row per
                (provider, symbol, interval, ts), possibly many symbols and several ts. A provider's ts never goes back.

        Returns:
            columns as `EVALUATED` (`signals` builds such a frame), rows in the order of the rows of `features` that
            caused them, with the key, offset and row of these.

        """

    def snapshot(self) -> object:
        """Return the state that later results depend on, which must never be mutated; None without state.

        Use built-in types and NumPy arrays, so that later versions of your libraries can read it.
        """

    def restore(self, state: Any) -> None:
        """Continue from what `snapshot` returned."""


EvaluatorFactory = Callable[[Mapping[str, Any], Sequence[str], int], Evaluator]


def causes(features: pl.DataFrame, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Some rows of a features frame, with the columns that `signals` needs.

    Gathered column by column, as Polars passes a whole frame to its thread pool, which has to wait for a core.
    """
    places = pl.Series(rows.astype(np.uint32))  # the index type that Polars does not have to check
    return pl.DataFrame([features[name][places] for name in _CAUSES])


def signals(
    rows: pl.DataFrame, *, name: pl.Series | pl.Expr, value: pl.Series | pl.Expr, score: pl.Series | pl.Expr
) -> pl.DataFrame:
    """One signal for each row of a features frame, with the bar's interval and close in its meta."""
    given = {"name": name, "value": value, "score": score}
    computed = {"meta": _META} | {name: column for name, column in given.items() if isinstance(column, pl.Expr)}
    # existing columns are added to the result: passing them through the query would double its cost
    result = rows.select_seq(**computed)
    existing = {name: column for name, column in given.items() if isinstance(column, pl.Series)}
    columns = {**{name: rows[name] for name in _CARRIED}, **existing, **{column.name: column for column in result}}
    return pl.DataFrame([columns[name].alias(name) for name in EVALUATED])


def no_signals() -> pl.DataFrame:
    """Return an empty frame of signals, which the caller may change."""
    return _NONE.clone()
