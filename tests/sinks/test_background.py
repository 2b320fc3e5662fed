import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import polars as pl
import pytest

from contracts.batch import MicroBatch
from contracts.frames import REFUSED
from sinks.background import BackgroundWriter
from tests.harness import until

SMALL = MicroBatch(topic="events", partition=0, next_offset=0)
ROW = [(0, 0, "undecodable", "", "application/json", None, bytes(20_000_000), None, None, 0, None, None)]
LARGE = replace(SMALL, rejects=pl.DataFrame(ROW, schema=REFUSED, orient="row"))


class Slow:
    """Writes when it is let."""

    def __init__(self) -> None:
        self.may_write, self.begun = threading.Event(), threading.Event()
        self.written: list[MicroBatch] = []
        self.writer = BackgroundWriter("slow", self._write, lambda: None)
        self.writer.submit([SMALL])
        assert self.begun.wait(10)  # and now has one in hand

    def _write(self, batches: Sequence[MicroBatch]) -> None:
        self.begun.set()
        self.may_write.wait()
        self.written += batches


@pytest.mark.parametrize(("batch", "most"), [(SMALL, 16), (LARGE, 2)], ids=["many", "large"])
def test_what_waits_is_bounded_in_number_and_in_size(batch: MicroBatch, most: int) -> None:
    slow, taken = Slow(), threading.Semaphore(0)

    def submit() -> None:
        for _ in range(most + 1):
            slow.writer.submit([batch])
            taken.release()

    with ThreadPoolExecutor() as pool:
        submitted = pool.submit(submit)
        assert all(taken.acquire(timeout=10) for _ in range(most))
        assert not taken.acquire(timeout=0.05)  # no more of them has room
        slow.may_write.set()
        submitted.result(10)
    slow.writer.barrier()
    until(lambda: len(slow.written) == most + 2, "everything written")
    slow.writer.close()


def test_what_closing_raises_is_not_raised_into_a_dataflow_that_ends() -> None:
    def close() -> None:
        raise RuntimeError("broken")

    BackgroundWriter("closing", lambda _: None, close).close()
