"""Which holes there are in what has come, told from the messages alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.runtime.coverage import Coverage
from connectors.runtime.gaps import Hole, Mark, Series, Tracker

BTC = Series("trades.tick", "BTC/USD")
ETH = Series("trades.tick", "ETH/USD")
MS = 1_000_000


def numbered(number: int) -> Mark:
    return Mark(number * MS, f"id-{number}", number)


def plain(number: int) -> Mark:
    return Mark(number * MS, f"id-{number}")


def tracker(*, contiguous: bool, **marks: Mark) -> Tracker:
    return Tracker(lambda _: contiguous, {Series("trades.tick", name): mark for name, mark in marks.items()})


def spans(holes: list[Hole]) -> list[tuple[str, int, int]]:
    return [(hole.reason, hole.before.time_ns // MS, hole.end_ns // MS) for hole in holes]


def fed(one: Tracker, *marks: Mark, series: Series = BTC) -> list[Hole]:
    return [hole for mark in marks if (hole := one.see(series, mark)) is not None]


def test_the_first_message_ever_leaves_no_hole() -> None:
    assert fed(tracker(contiguous=True), numbered(7), numbered(8)) == []


def test_a_jump_in_numbers_without_holes_is_one() -> None:
    one = tracker(contiguous=True)
    holes = fed(one, numbered(1), numbered(2), numbered(5), numbered(6))
    assert spans(holes) == [("sequence", 2, 5)]
    assert list(holes[0].missing) == [3, 4]
    assert fed(tracker(contiguous=False), numbered(1), numbered(5)) == []


def test_numbers_that_come_late_complete_their_hole() -> None:
    one = tracker(contiguous=True)
    (hole,) = fed(one, numbered(1), numbered(4), numbered(3))
    assert not hole.is_complete
    assert fed(one, numbered(2), numbered(2), numbered(5)) == []
    assert hole.is_complete


@pytest.mark.parametrize(("contiguous", "mark"), [(True, numbered), (False, plain)])
def test_a_lost_connection_leaves_a_hole_for_each_series_but_not_where_messages_meet(contiguous, mark) -> None:  # type: ignore[no-untyped-def]
    one = tracker(contiguous=contiguous)
    fed(one, mark(1), mark(2))
    fed(one, mark(1), series=ETH)
    one.disconnected()
    assert fed(one, mark(1), mark(2), mark(3)) == []  # a snapshot that repeats the last message
    assert spans(fed(one, mark(4), series=ETH)) == [("reconnect", 1, 4)]


def test_numbers_that_go_on_show_that_nothing_was_missed() -> None:
    one = tracker(contiguous=True)
    fed(one, numbered(1))
    one.disconnected()
    assert fed(one, numbered(2)) == []


def test_messages_from_before_the_last_do_not_end_a_hole() -> None:
    one = tracker(contiguous=False)
    fed(one, plain(3))
    one.disconnected()
    assert spans(fed(one, plain(1), plain(2), plain(9))) == [("reconnect", 3, 9)]


def test_a_restart_leaves_a_hole_after_the_position() -> None:
    one = tracker(contiguous=False, **{"BTC/USD": plain(3)})
    assert spans(fed(one, plain(9), plain(10))) == [("restart", 3, 9)]


def test_a_source_that_counts_anew_leaves_a_hole_without_numbers() -> None:
    one = tracker(contiguous=True)
    (hole,) = fed(one, numbered(500), Mark(501 * MS, "id-1", 1), Mark(502 * MS, "id-2", 2))
    assert not hole.missing
    assert one.positions()[BTC].sequence == 500
    one.close(hole)
    assert one.positions()[BTC].sequence == 2


def test_the_position_stays_before_a_hole_until_it_is_closed() -> None:
    one = tracker(contiguous=True)
    holes = fed(one, *map(numbered, (1, 2, 5, 6, 9)))
    assert one.positions() == {BTC: numbered(2)}
    one.close(holes[0])
    assert one.positions() == {BTC: numbered(6)}
    one.close(holes[1])
    assert one.positions() == {BTC: numbered(9)}


def test_a_silent_series_is_looked_after_once_and_its_hole_stays_to_be_found() -> None:
    one = tracker(contiguous=False)
    fed(one, plain(1))
    one.disconnected()
    (early,) = one.silent(5 * MS)
    assert one.silent(6 * MS) == []
    one.close(early, plain(4))
    assert one.positions() == {BTC: plain(4)}
    assert spans(fed(one, plain(8))) == [("reconnect", 4, 8)]


@given(st.integers(0, 2**32), st.integers(0, 120))
def test_what_has_not_come_lies_in_a_hole(seed: int, count: int) -> None:
    """Whatever is lost, repeated, out of order or cut off by lost connections; but for what comes before all else."""
    chance, one = random.Random(seed), tracker(contiguous=True)
    sent, came, holes = list(range(1, count + 1)), list[int](), list[Hole]()
    for number in sent:
        if chance.random() < 0.1:
            one.disconnected()
        if chance.random() < 0.3:
            continue
        for again in (number, *chance.sample(sent[:number], min(number, chance.randrange(3)))):
            holes += fed(one, numbered(again))
            came.append(again)
    missing = {number for hole in holes for number in hole.missing}
    since_the_first = set(range(came[0], max(came))) if came else set()
    assert since_the_first - set(came) <= missing


def covered(hole: Hole, *marks: Mark) -> str | None:
    coverage = Coverage(hole)
    for mark in marks:
        coverage.add(BTC, mark)
    return coverage.flaw


def test_a_hole_is_filled_when_all_numbers_are_there_in_any_order() -> None:
    hole = Hole(BTC, numbered(1), numbered(6), 6 * MS, "sequence")
    assert covered(hole, *map(numbered, (4, 2, 9, 3, 5))) is None
    assert covered(hole, *map(numbered, (1, 2, 4, 5, 6))) == "the source does not send number 3 again"


def test_without_numbers_a_hole_is_filled_when_the_messages_on_both_sides_are_there() -> None:
    hole = Hole(BTC, plain(1), plain(6), 6 * MS, "reconnect")
    assert covered(hole, *map(plain, (1, 2, 6))) is None
    assert covered(hole, *map(plain, (1, 2))) == "the source has not sent the message after it again"
    assert "before 1970-01-01T00:00:00.002000Z" in str(covered(hole, *map(plain, (2, 6))))
    assert covered(hole) == "the source sends nothing of it again"


def test_messages_of_another_series_fill_nothing() -> None:
    coverage = Coverage(Hole(BTC, plain(1), plain(2), 2 * MS, "reconnect"))
    coverage.add(ETH, plain(1))
    coverage.add(ETH, plain(2))
    assert coverage.flaw is not None
