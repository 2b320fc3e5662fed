"""Which fetches can wait: those in which no event passes the end of its provider's newest window and the grace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from codec.tick_formats import EVENT_TICKS
from contracts.record import Headers, Records
from native.closing_times import ClosingTimes

START = datetime(2025, 10, 24, 14, 2, tzinfo=UTC)
HOUR = 3_600.0


@dataclass
class Stored:
    """A record that the broker got a minute after START."""

    payload: bytes | None

    def value(self) -> bytes | None:
        return self.payload

    def key(self) -> bytes | None:
        return None

    def offset(self) -> int:
        return 0

    def timestamp(self) -> tuple[int, int]:
        return 1, int(START.timestamp() * 1000) + 60_000

    def headers(self) -> Headers | None:
        return None


def event(seconds: float, provider: str = "feed", zone: str = "Z") -> Stored:
    at = (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", zone)
    return Stored(
        json.dumps({"kind": "tick", "provider": provider, "symbol": "X", "src_ts": at, "c": 1.5, "v": 1}).encode()
    )


def passed(*fetches: list[Stored]) -> list[bool]:
    """Of windows of 2 s with a grace of 500 ms, and events up to 5 s ahead."""
    times = ClosingTimes(EVENT_TICKS.scanner, 2_000_000_000, 500_000_000, 5_000_000_000)
    return [times.pass_one(Records.of(fetch)) for fetch in fetches]


def test_the_first_event_that_brings_the_watermark_to_the_end_of_a_window_cannot_wait() -> None:
    in_turn = [[event(seconds)] for seconds in (0.6, 1.9, 2.49, 2.5, 2.6, 4.49, 4.5)]
    assert passed(*in_turn) == [True, False, False, True, False, False, True]


def test_no_provider_can_choose_to_be_taken_for_another() -> None:
    alike = ["feed", *(f"{number}" for number in range(100_000) if fnv(f"{number}") == fnv("feed"))]
    assert len(alike) > 10
    ahead = [event(4.9, provider) for provider in alike[1:]]
    # By chance one in a hundred may be, as the hash is short: under another key others are.
    assert any(passed([event(0.6)], ahead, [event(2.7)])[-1] for _ in range(5))


def fnv(text: str) -> int:
    """FNV-1a, to as many places as there are."""
    number = 0x811C9DC5
    for letter in text.encode():
        number = (number ^ letter) * 0x01000193 & 0xFFFFFFFF
    return number % 4_096


def test_one_event_among_many_is_enough_and_all_of_them_count() -> None:
    assert passed([event(0.6)], [event(1.0), event(2.7), event(1.1)], [event(2.8)]) == [True, True, False]
    assert passed([event(0.6), event(2.7), event(4.7)], [event(6.4)]) == [True, False]


def test_events_out_of_order_can_wait() -> None:
    assert passed([event(9.0)], [event(3.0), event(1.0)]) == [True, False]


def test_a_slow_provider_does_not_wait_for_a_fast_one() -> None:
    fast, slow = event(40.0, "fast"), [event(seconds, "slow") for seconds in (0.6, 1.9, 2.5)]
    assert passed([fast], *([one] for one in slow)) == [True, True, False, True]


def test_an_event_too_far_ahead_moves_nothing() -> None:
    assert passed([event(0.6)], [event(HOUR)], [event(1.9)], [event(2.5)]) == [True, True, False, True]


def test_times_in_other_zones_are_understood() -> None:
    assert passed([event(9.0)], [event(0.7, zone="+00:00")], [event(0.6, zone="+05:00")]) == [True, False, False]
    assert passed([event(9.0)], [event(0.6, zone="-00:01")]) == [True, True]


def test_the_soonest_end_of_a_window_is_as_far_ahead_as_the_latest_events_of_its_provider_are_before_it() -> None:
    times = ClosingTimes(EVENT_TICKS.scanner, 2_000_000_000, 500_000_000, 5_000_000_000)
    assert times.pass_one(Records.of([event(0.6), event(2.0), event(1.0)]))
    assert times.ahead_ns == 500_000_000
    assert times.pass_one(Records.of([event(1.2, "slow"), event(2.1)]))
    assert times.ahead_ns == 400_000_000
    assert not times.pass_one(Records.of([event(1.3, "slow")]))
    assert times.ahead_ns == 1_200_000_000


DEEP = b'{"src_ts": "2025-10-24T14:02:01Z", "provider": "feed", "x": ' + b"[" * 3_000 + b"]" * 3_000 + b"}"


@pytest.mark.parametrize(
    "payload",
    [None, b"", b"{", b"\x83\xa1", b'{"src_ts": 5}', b'{"provider": "feed", "src_ts": "soonZ"}', DEEP],
    ids=range(7),
)
def test_what_is_no_json_event_cannot_wait(payload: bytes | None) -> None:
    odd = Stored(payload)
    assert passed([event(0.6)], [odd], [event(0.7), odd], [event(0.8)]) == [True, True, True, False]
