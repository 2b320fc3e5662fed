from __future__ import annotations

import time

import polars as pl
import pytest

from telemetry.metrics import STEP_CPU
from telemetry.step_cpu import counted


def spent(step: str) -> float:
    (family,) = STEP_CPU.labels(step).collect()
    return next(sample.value for sample in family.samples if sample.name.endswith("_total"))


def test_a_step_counts_its_own_work_and_that_of_polars_and_no_waiting() -> None:
    numbers = pl.Series(range(300_000, 0, -1))

    def work() -> None:
        numbers.to_frame("n").sort("n")  # nearly all of it in a thread of Polars
        sum(numbers)
        time.sleep(0.2)

    work = counted("test-work", work)
    before, begin = spent("test-work"), time.process_time()
    work()
    used = time.process_time() - begin
    assert spent("test-work") - before == pytest.approx(used, rel=0.3)
    assert used < 0.2


def test_a_step_that_fails_is_counted_and_fails() -> None:
    def fail() -> None:
        sum(range(200_000))
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        counted("test-failure", fail)()
    assert spent("test-failure") > 0
