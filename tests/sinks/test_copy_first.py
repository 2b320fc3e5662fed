from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.copy_first import CopyFirst


def written(*new: bool) -> CopyFirst:
    ahead = CopyFirst()
    for is_new in new:
        ahead.flushed(is_new=is_new)
    return ahead


def test_a_flow_is_ahead_after_a_flush_of_new_rows() -> None:
    assert not written().is_likely
    assert written(True).is_likely
    assert not written(True, False).is_likely
    assert written(False, True).is_likely


def test_a_copy_that_succeeds_is_followed_by_others() -> None:
    ahead = written(True)
    ahead.refused()
    for _ in range(2):
        ahead.flushed(is_new=True)
    ahead.confirmed()
    ahead.flushed(is_new=False)
    ahead.flushed(is_new=True)
    assert ahead.is_likely


@given(flushes=st.integers(0, 2_000))
def test_rows_that_only_look_new_are_tried_ever_more_rarely(flushes: int) -> None:
    ahead, refused = CopyFirst(), 0
    for _ in range(flushes):
        if ahead.is_likely:
            ahead.refused()
            refused += 1
        ahead.flushed(is_new=True)
    assert refused <= 7 + flushes / 64
