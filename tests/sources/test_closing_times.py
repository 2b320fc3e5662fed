"""Which fetches can wait: those in which no event passes the end of the newest window and its grace."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from sources.closing_times import ClosingTimes

START = datetime(2025, 10, 24, 14, 2, tzinfo=UTC)


def event(seconds: float) -> bytes:
    at = (START + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.dumps({"symbol": "X", "src_ts": at}).encode()


def passed(*fetches: list[bytes | None]) -> list[bool]:
    """Of windows of 2 s with a grace of 500 ms."""
    times = ClosingTimes(2_000_000_000, 500_000_000)
    return [times.pass_one(fetch) for fetch in fetches]


def test_the_first_event_that_brings_the_watermark_to_the_end_of_a_window_cannot_wait() -> None:
    assert passed(
        [event(0.6)], [event(1.9)], [event(2.49)], [event(2.5)], [event(2.6)], [event(4.49)], [event(4.5)]
    ) == [
        True,
        *(False, False, True),
        *(False, False, True),
    ]


def test_one_event_among_many_is_enough() -> None:
    assert passed([event(0.6)], [event(1.0), event(2.7), event(1.1)], [event(2.8)]) == [True, True, False]


def test_events_out_of_order_can_wait() -> None:
    assert passed([event(9.0)], [event(3.0), event(1.0)]) == [True, False]


@pytest.mark.parametrize("payload", [None, b"", b"{", b"\x83\xa1", b'{"src_ts": 5}', b'{"src_ts": "soon"}'])
def test_what_is_no_json_event_cannot_wait(payload: bytes | None) -> None:
    assert passed([event(0.6)], [payload], [event(0.7), payload], [event(0.8)]) == [True, True, True, False]
