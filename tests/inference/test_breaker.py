import pickle
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import cast

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.breaker import Breaker
from inference.config import BreakerConfig
from inference.evaluator import Evaluator, signals
from tests.inference.inference_frames import SECOND, WINDOW, features

FAILURES = 3
COOLDOWN_WINDOWS = 4
CONFIG = BreakerConfig(failures=FAILURES, cooldown_ms=COOLDOWN_WINDOWS * WINDOW // 1_000_000)


class Counting:
    """A signal per row, numbered; a frame with a negative close makes it raise, after it has begun to count."""

    name = "counting"

    def __init__(self) -> None:
        self.count = 0

    def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
        first = self.count
        self.count += features.height
        if (features["close"] < 0).any():
            raise ArithmeticError("a negative price")
        numbers = pl.Series(range(first, self.count), dtype=pl.Float64)
        return signals(features, name=pl.lit("n"), value=numbers, score=pl.lit(1.0))

    def snapshot(self) -> int:
        return self.count

    def restore(self, state: int) -> None:
        self.count = state


class Told:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def failed(self, adapter: str, error: BaseException) -> None:
        self.all.append(f"{adapter} failed: {error}")

    def skipped(self, adapter: str) -> None:
        self.all.append(f"{adapter} skipped")

    def opened(self, adapter: str) -> None:
        self.all.append(f"{adapter} opened")

    def closed(self, adapter: str) -> None:
        self.all.append(f"{adapter} closed")

    def timer(self, adapter: str) -> Callable[[], AbstractContextManager[object]]:
        return nullcontext


def guarded(evaluator: Evaluator | None = None) -> tuple[Breaker, Told]:
    told = Told()
    return Breaker(evaluator or Counting(), CONFIG, told), told


def windows(good: Sequence[bool]) -> pl.DataFrame:
    """Two symbols per window; the second one's close is negative where the window is not good."""
    return features(
        [
            {"symbol": symbol, "ts": (at + 1) * WINDOW, "close": -1.0 if symbol == "B" and not is_good else 1.0}
            for at, is_good in enumerate(good)
            for symbol in "AB"
        ]
    )


def evaluated_windows(good: Sequence[bool]) -> list[int]:
    """The windows that have signals, by what the config promises."""
    found: list[int] = []
    failures, asked_from = 0, 0
    for at, is_good in enumerate(good):
        if at < asked_from:
            continue
        failures = 0 if is_good else failures + 1
        if is_good:
            found.append(at)
        if failures >= FAILURES:
            asked_from = at + COOLDOWN_WINDOWS
    return found


@given(good=st.lists(st.booleans(), max_size=40), data=st.data())
def test_which_windows_have_signals_depends_on_the_windows_alone(good: list[bool], data: st.DataObject) -> None:
    rows, at = windows(good), 0
    breaker, _ = guarded()
    values: list[tuple[int, float]] = []
    while at < len(good):
        size = data.draw(st.integers(1, len(good) - at), "windows in this batch")
        made = breaker.evaluate(rows[2 * at : 2 * (at + size)])
        values += zip((made["ts"] // WINDOW - 1).to_list(), made["value"].to_list(), strict=True)
        at += size
        if data.draw(st.booleans(), "crashes"):
            state = pickle.loads(pickle.dumps(breaker.snapshot()))
            breaker, _ = guarded()
            breaker.restore(state)
    expected = [window for window in evaluated_windows(good) for _ in "AB"]
    assert values == list(zip(expected, map(float, range(len(expected))), strict=True))


def test_it_opens_after_so_many_failures_in_a_row_and_closes_when_a_window_succeeds() -> None:
    breaker, told = guarded()
    breaker.evaluate(windows([True, False, True, False, False, False, True, True, True, True]))
    assert told.all == [
        "counting failed: a negative price",
        *["counting failed: a negative price"] * 3,
        "counting opened",
        *["counting skipped"] * 3,
        "counting closed",
    ]


def test_one_failure_when_it_is_asked_again_lets_it_stay_open() -> None:
    breaker, told = guarded()
    breaker.evaluate(windows([False] * 8))
    assert told.all.count("counting failed: a negative price") == FAILURES + 1
    assert told.all.count("counting opened") == 1
    assert "counting closed" not in told.all


def test_an_open_breaker_is_told_of_again_after_a_restart() -> None:
    breaker, _ = guarded()
    breaker.evaluate(windows([False] * FAILURES))
    restarted, told = guarded()
    restarted.restore(breaker.snapshot())
    assert told.all == ["counting opened"]


@pytest.mark.parametrize("answer", [None, pl.DataFrame({"ts": [1]}), pl.DataFrame({"name": ["n"]})])
def test_an_answer_that_is_no_frame_of_signals_is_a_failure(answer: pl.DataFrame | None) -> None:
    class Careless(Counting):
        def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
            return cast(pl.DataFrame, answer)

    breaker, told = guarded(Careless())
    assert breaker.evaluate(windows([True])).is_empty()
    assert len(told.all) == 1


def test_a_panic_within_polars_is_a_failure() -> None:
    class Panicking(Counting):
        def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
            raise pl.exceptions.PanicException("index out of bounds")

    breaker, told = guarded(Panicking())
    assert breaker.evaluate(windows([True])).is_empty()
    assert told.all == ["counting failed: index out of bounds"]


@pytest.mark.parametrize("column", ["symbol", "ts", "name", "offset"])
def test_signals_that_nobody_can_place_are_a_failure(column: str) -> None:
    class Nameless(Counting):
        def evaluate(self, features: pl.DataFrame) -> pl.DataFrame:
            return super().evaluate(features).with_columns(pl.when(pl.col("symbol") != "A").then(column))

    breaker, told = guarded(Nameless())
    assert breaker.evaluate(windows([True])).is_empty()
    assert told.all == [f"counting failed: signals without {column}"]


def test_a_provider_that_is_behind_waits_for_the_same_event_time() -> None:
    breaker, told = guarded()
    breaker.evaluate(windows([False] * FAILURES))
    behind = windows([True]).with_columns(provider=pl.lit("slow"), ts=pl.lit(SECOND, pl.Int64))
    assert breaker.evaluate(behind).is_empty()
    assert told.all[-1] == "counting skipped"
