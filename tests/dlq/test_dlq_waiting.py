"""When refused records are sent back, and how many are held until then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.dlq_section import AutoRule, AutoSection
from mdp.ops.dlq.marks import Origin
from mdp.ops.dlq.records import DlqRecord
from mdp.ops.dlq.waiting import Waiting, due_ns

SECOND = 1_000_000_000
NOW = 1_761_314_520 * SECOND


def refused(number: int = 0, *, failed_at: int = NOW, retries: int = 0, reason: str = "future") -> DlqRecord:
    return DlqRecord(
        partition=0,
        offset=number,
        reason=reason,
        error="",
        origin=Origin("events", 0, number, 0),
        failed_at=failed_at,
        content_type=None,
        key=None,
        payload=b"x" * 1_000_000,
        rows=None,
        stub=None,
        retries=retries,
        redriven=False,
        trace=None,
    )


@given(st.integers(0, 10_000), st.integers(0, 99), st.floats(0, 86_400), st.integers(-(2**62), 2**62))
def test_each_retry_waits_twice_as_long_up_to_a_day_and_half_as_much_again(
    number: int, retries: int, backoff_s: float, failed_at: int
) -> None:
    rule = AutoRule(reason="future", max_retries=100, backoff_s=backoff_s)
    record = refused(number, failed_at=failed_at, retries=retries)
    wait = due_ns(record, rule, NOW) - min(failed_at, NOW)
    least = min(backoff_s * 2.0**retries, 86_400.0) * SECOND
    assert least - 1 <= wait <= 1.5 * least
    assert due_ns(record, rule, NOW) == due_ns(record, rule, NOW)


def test_what_is_to_stay_is_due_at_once_so_that_it_is_counted() -> None:
    rule = AutoRule(reason="future", max_retries=2, backoff_s=3_600)
    assert due_ns(refused(retries=2), rule, NOW) == NOW


@given(st.lists(st.tuples(st.integers(0, 100), st.sampled_from(["future", "contract", "store"])), max_size=30))
def test_records_come_out_when_they_are_due_and_those_without_a_rule_never(added: list[tuple[int, str]]) -> None:
    rules = {reason: AutoRule(reason=reason, backoff_s=0) for reason in ("future", "contract")}
    waiting = Waiting(rules, 1_000)
    for number, (seconds, reason) in enumerate(added):
        waiting.add(refused(number, failed_at=NOW + seconds * SECOND, reason=reason), NOW + 1_000 * SECOND)
    for seconds in (30, 60, 100):
        for reason, records in waiting.due(NOW + seconds * SECOND, 1_000).items():
            assert reason in rules
            assert all(record.failed_at <= NOW + seconds * SECOND for record in records)
    assert len(waiting) == 0


def test_number_and_bytes_of_records_that_wait_are_bounded() -> None:
    rules = {"future": AutoRule(reason="future", backoff_s=60)}
    few, large = Waiting(rules, 3), Waiting(rules, 1_000_000)
    for number in range(64):
        if number < 3:
            few.add(refused(number), NOW)
        large.add(refused(number), NOW)
    assert (few.is_full, large.is_full) == (True, True)
    assert len(large.due(NOW + 120 * SECOND, 10)["future"]) == 10
    assert not large.is_full


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"reason": "store"}], "are no events, and cannot be sent back"),
        ([{"reason": "contract", "fix": ".", "fix_with": "f"}], "use either fix or fix_with"),
        ([{"reason": "contract"}, {"reason": "contract"}], "contract has two rules"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rules: list[dict[str, str]], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AutoSection.model_validate({"rules": rules})
