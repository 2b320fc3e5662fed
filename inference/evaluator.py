"""What turns features into signals, and how to write one of your own.

An evaluator of your own is a class with the methods of `Evaluator`, made by a factory that your package announces as an
entry point; the entry point's name is the adapter's name in signals and in the configuration:

    [project.entry-points."mdp.evaluators"]
    breakout = "my_package:breakout"

    def breakout(options: Mapping[str, Any], features: Sequence[str], span_ns: int) -> Evaluator: ...

    inference: {adapters: {breakout: {enabled: true, lookback: 3}}}     # options == {"lookback": 3}

`features` are the names of the configured features, `span_ns` is the longest time that a symbol without bars is
remembered. The factory is called once per Kafka partition and raises ValueError with a one-line message when it cannot
work with its options or features. So that results do not depend on how the log was cut into batches, an evaluator
treats the rows of one frame as if they had come one by one, and reads no clock.
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
        """Make the signals of `features`.

        Args:
            features: the rows of at least one closed window, columns as frames.features_schema, at most one row per
                (provider, symbol, interval, ts), possibly many symbols and several ts. A provider's ts never goes back.

        Returns:
            columns as `EVALUATED` (`signals` makes such a frame), rows in the order of the rows of `features` that
            caused them, whose key, offset and row they carry.

        """

    def snapshot(self) -> object:
        """All that later results depend on, never changed afterwards; None if nothing.

        Of Python's own types and NumPy arrays, so that any later version of what you use can read it.
        """

    def restore(self, state: Any) -> None:
        """Continue from what `snapshot` returned."""


EvaluatorFactory = Callable[[Mapping[str, Any], Sequence[str], int], Evaluator]


def causes(features: pl.DataFrame, rows: NDArray[np.int64]) -> pl.DataFrame:
    """Some rows of a features frame, with the columns that `signals` needs of them.

    Column by column, as Polars hands a whole frame over to a thread of its own, which has to wait for a core.
    """
    places = pl.Series(rows.astype(np.uint32))  # the type of index that Polars need not look through
    return pl.DataFrame([features[name][places] for name in _CAUSES])


def signals(
    rows: pl.DataFrame, *, name: pl.Series | pl.Expr, value: pl.Series | pl.Expr, score: pl.Series | pl.Expr
) -> pl.DataFrame:
    """One signal for each row of a features frame, with the bar's interval and close in its meta."""
    told = {"name": name, "value": value, "score": score}
    asked = {"meta": _META} | {name: column for name, column in told.items() if isinstance(column, pl.Expr)}
    # what is there as a column already is put beside the answer: to pass it through the query would double its cost
    made = rows.select_seq(**asked)
    there = {name: column for name, column in told.items() if isinstance(column, pl.Series)}
    columns = {**{name: rows[name] for name in _CARRIED}, **there, **{column.name: column for column in made}}
    return pl.DataFrame([columns[name].alias(name) for name in EVALUATED])


def no_signals() -> pl.DataFrame:
    """Answer with no signals: a frame of the caller's own."""
    return _NONE.clone()
