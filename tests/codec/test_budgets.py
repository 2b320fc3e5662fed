"""A small record that would become large costs itself: little memory, little time, and one record of the DLQ."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codec.decode import fitting
from codec.refused import count_rows
from contracts.budgets import ALONE_ROWS, ALONE_TIMES, RECORD_BYTES, RECORD_ROWS, Room
from contracts.record import ARROW
from tests.codec.bombs import BOMBS, MEGABYTE, coded, compressed, same_buffers, ticks, views
from tests.codec.stored_records import TICK, Stored, as_arrow, as_json, decode, fetch

ROOM = 3 * 1024 * MEGABYTE  # of address space: what a bomb may take before it is stopped
BOUND = 3 * RECORD_BYTES


@pytest.fixture(scope="module")
def child() -> Iterator[ProcessPoolExecutor]:
    """A process that has decoded records, and cannot take much memory."""
    with ProcessPoolExecutor(1, get_context("spawn"), _confine) as pool:
        yield pool


def _confine() -> None:
    decode(as_json(TICK), as_arrow([TICK]), as_arrow(ticks(RECORD_ROWS)))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + ROOM, held + ROOM))


def _peak_of(bomb: Stored) -> tuple[int, int, int, int]:
    """(events, refused rows, bytes of what is refused, how much more memory was resident at the peak than before)."""
    before = _most_resident()
    batch = decode(bomb, as_json(TICK))
    assert batch.events["offset"][-1] == 1
    rejects = batch.rejects
    nbytes = sum(rejects["value"].bin.size().to_list()) + sum(rejects["key"].bin.size().fill_null(0).to_list())
    return batch.events.height - 1, count_rows(rejects), nbytes, _most_resident() - before


def _most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_become_large_costs_itself_alone(child: ProcessPoolExecutor, name: str) -> None:
    bomb = BOMBS[name]()
    events, _, nbytes, peak = child.submit(_peak_of, bomb).result()
    assert events == 0
    assert peak < BOUND
    assert nbytes <= len(bomb.payload or b"") + len(bomb.key() or b"")


@pytest.mark.parametrize(
    "record",
    [
        as_arrow(ticks(RECORD_ROWS)),
        Stored(compressed(ticks(RECORD_ROWS)), as_arrow(ticks(1)).content_type),
        as_arrow(ticks(50_000, symbol=coded("S" * 256, 50_000), provider=coded("p" * 256, 50_000))),
        as_arrow(ticks(15_000, extra=views(15_000))),
        Stored(same_buffers(60), as_arrow(ticks(1)).content_type),
    ],
    ids=["rows", "compressed", "dictionaries", "views", "buffers"],
)
def test_what_stays_within_the_budgets_is_read(record: Stored) -> None:
    assert "undecodable" not in decode(record).rejects["reason"].to_list()


_HALF = RECORD_ROWS // 2 + 1
_ALIKE = [as_arrow(ticks(count)) for count in (1, 1_000, _HALF)]
_ALIKE += [Stored(compressed(ticks(count)), ARROW) for count in (1, 1_000, RECORD_ROWS // 3, _HALF, RECORD_ROWS)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.sampled_from(_ALIKE), min_size=1, max_size=6), max_size=4))
def test_fetches_of_a_batch_become_no_more_than_a_record_may(parts: list[list[Stored]]) -> None:
    decode(as_arrow(ticks(1)))  # whose layout tells nothing of those that are compressed
    room, rows, whole = Room(), 0, True
    for part in parts:
        count = fitting(fetch(part).records, room) if whole else 0
        assert count or rows
        rows += decode(*part[:count]).events.height if count else 0
        whole &= count == len(part)
    assert rows <= RECORD_ROWS


def test_rows_leave_alone_up_to_a_bound_of_their_number() -> None:
    few, many = (decode(as_arrow(ticks(count, v=[-1.0] * count))) for count in (ALONE_ROWS, ALONE_ROWS + 1))
    assert few.rejects["row"].to_list() == list(range(ALONE_ROWS))
    assert many.rejects.select("row", "error").rows() == [(0, f"v is negative (the first of {ALONE_ROWS + 1} rows)")]
    assert (few.outcomes.rejected, many.outcomes.rejected) == (ALONE_ROWS, ALONE_ROWS + 1)


def test_rows_leave_alone_up_to_a_bound_of_their_bytes() -> None:
    name = "x" * MEGABYTE
    few, many = (decode(as_arrow(ticks(count, v=[-1.0] * count, **{name: [0] * count}))) for count in (10, 40))
    assert few.rejects.height == 10
    assert 10 < ALONE_TIMES < 40
    assert many.rejects.height == 1
