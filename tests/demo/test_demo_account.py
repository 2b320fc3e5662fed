"""Unit tests of the account: it holds for what a run leaves behind, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts.batch import Outcomes
from mdp.demo.account import Found, checks, verdict
from transports.outgoing import DUPLICATE, GOOD, OUT_OF_ORDER, Sent

# 1,000 events, 940 in time, 20 amending, 40 late; 30 sent again, 2 of these copies late; 7 broken.
SENT = Sent({GOOD: 900, OUT_OF_ORDER: 100, DUPLICATE: 30, "truncated": 4, "nan_price": 3})
FOUND = Found(
    outcomes=Outcomes(accepted=940, amending=20, duplicate=28, late=42, rejected=7, heartbeat=3),
    trades=960,
    revisions=20,
    bars=48,
    features=48,
    signals=5,
    signal_records=5,
    rejected_records=7,
    late_records=42,
    late_copies=2,
)


def failed(sent: Sent, found: Found) -> set[str]:
    return {check.expected_what for check in checks(sent, found) if not check.holds}


def test_every_check_holds_for_a_complete_run() -> None:
    assert failed(SENT, FOUND) == set()
    assert verdict(SENT, FOUND, checks(SENT, FOUND)) == "1037 of 1037 events accounted for"


def test_a_run_without_events_is_complete() -> None:
    assert verdict(Sent(), Found(), checks(Sent(), Found())) == "0 of 0 events accounted for"


@pytest.mark.parametrize(
    ("field", "suspects"),
    [
        ("trades", {"distinct events sent", "accepted and amending"}),
        ("revisions", {"amending"}),
        ("signals", {"signals in the database"}),
        ("signal_records", {"signals in the database"}),
        ("rejected_records", {"rejected"}),
        ("late_records", {"distinct events sent", "late"}),
        ("late_copies", {"distinct events sent", "sent again"}),
    ],
)
@pytest.mark.parametrize("difference", [-1, 1])
def test_an_output_that_lacks_one_or_has_one_too_many_fails(field: str, suspects: set[str], difference: int) -> None:
    wrong = replace(FOUND, **{field: getattr(FOUND, field) + difference})
    assert failed(SENT, wrong) == suspects


@pytest.mark.parametrize(
    ("outcome", "suspects"),
    [
        ("accepted", {"events sent", "accepted and amending"}),
        ("amending", {"events sent", "accepted and amending", "amending"}),
        ("duplicate", {"events sent", "sent again"}),
        ("late", {"events sent", "late"}),
        ("rejected", {"events sent", "malformed sent", "rejected"}),
    ],
)
def test_an_event_that_is_counted_twice_fails(outcome: str, suspects: set[str]) -> None:
    counted = replace(FOUND.outcomes, **{outcome: getattr(FOUND.outcomes, outcome) + 1})
    assert failed(SENT, replace(FOUND, outcomes=counted)) == suspects


def test_a_good_event_dropped_as_a_duplicate_fails_although_the_totals_agree() -> None:
    swapped = replace(FOUND.outcomes, accepted=939, duplicate=29)
    wrong = replace(FOUND, outcomes=swapped, trades=959)
    assert failed(SENT, wrong) == {"distinct events sent", "sent again"}


def test_an_event_that_never_arrived_is_missing_from_the_last_line() -> None:
    more = SENT + Sent({GOOD: 1})
    assert verdict(more, FOUND, checks(more, FOUND)) == "1037 of 1038 events accounted for, and 2 of 9 checks failed"
