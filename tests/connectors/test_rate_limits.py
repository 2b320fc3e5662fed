from __future__ import annotations

import asyncio
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.manifest import RateLimits, ReconnectSection
from connectors.runtime.backoff import Backoff
from connectors.runtime.rate_limit import TokenBucket

NS = 1_000_000_000


class Clock:
    """A clock that only sleeping moves, and who moves it."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += max(math.ceil(seconds * NS), 1)


def most_in(calls: list[int], window_ns: int) -> int:
    """The most calls that are in any window of this length, its ends included."""
    most, first = 0, 0
    for last, at in enumerate(calls):
        while at - calls[first] > window_ns:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_no_window_of_a_million_random_schedules_has_more_calls_than_the_limit() -> None:
    chance, schedules = random.Random(7), 0
    while schedules < 1_000_000:
        limits = RateLimits(
            max_rps=chance.choice([0.3, 1.0, 3.0, 7.0, 50.0, 1_000.0 / 3]), burst=chance.randrange(1, 20)
        )
        clock = Clock()
        bucket = TokenBucket(limits, clock=clock)
        calls: list[int] = []
        for _ in range(1_000):
            clock.now += int(chance.expovariate(limits.max_rps * chance.choice([0.5, 1, 20])) * NS)
            wait = bucket.take()
            if wait:
                clock.now += wait if chance.random() < 0.7 else chance.randrange(wait + 1)
                wait = bucket.take()
            if not wait:
                calls.append(clock.now)
            schedules += 1
        for window in (chance.uniform(0, 3), chance.uniform(0, 60)):
            assert most_in(calls, int(window * NS)) <= limits.burst + limits.max_rps * window


@given(
    max_rps=st.floats(0.01, 1e6),
    burst=st.integers(1, 50),
    pauses=st.lists(st.integers(0, 10 * NS), max_size=60),
    window_ns=st.integers(0, 100 * NS),
)
def test_any_rate_any_burst_any_window(max_rps: float, burst: int, pauses: list[int], window_ns: int) -> None:
    clock = Clock()
    bucket = TokenBucket(RateLimits(max_rps=max_rps, burst=burst), clock=clock)
    calls = []
    for pause in pauses:
        clock.now += pause
        if wait := bucket.take():
            clock.now += wait
            assert bucket.take() == 0  # it has waited for long enough
        calls.append(clock.now)
    assert most_in(calls, window_ns) <= burst + max_rps * window_ns / NS


def test_calls_that_wait_come_in_their_order_and_as_soon_as_they_may() -> None:
    clock, order = Clock(), list[tuple[int, int]]()
    waited: list[float] = []

    async def call(bucket: TokenBucket, number: int) -> None:
        await bucket.acquire()
        order.append((number, clock.now))

    async def all_at_once() -> None:
        limits = RateLimits(max_rps=4, burst=2)
        bucket = TokenBucket(limits, clock=clock, sleep=clock.sleep, note_wait=waited.append)
        await asyncio.gather(*(call(bucket, number) for number in range(5)))

    asyncio.run(all_at_once())
    assert order == [(0, 0), (1, 0), (2, NS // 4), (3, NS // 2), (4, 3 * NS // 4)]
    assert waited == [0, 0, 0.25, 0.5, 0.75]


def test_more_calls_at_once_than_the_burst_are_refused() -> None:
    bucket = TokenBucket(RateLimits(max_rps=1, burst=3))
    with pytest.raises(ValueError, match="4 calls at once, and the burst is 3"):
        bucket.take(4)


def test_delays_double_up_to_the_longest_and_begin_anew_after_a_connection_that_has_lasted() -> None:
    backoff = Backoff(ReconnectSection(first="1s", longest="5s"), uniform=lambda _, high: high)
    assert [backoff.delay(0.0) for _ in range(5)] == [1, 2, 4, 5, 5]
    assert [backoff.delay(4.9), backoff.delay(5.0), backoff.delay(0.0)] == [5, 1, 2]


def test_delays_are_spread_over_half_of_their_bound() -> None:
    backoffs = [Backoff(ReconnectSection(first="1s", longest="1s")) for _ in range(200)]
    delays = [one.delay(0.0) for one in backoffs]
    assert 0.5 <= min(delays) < 0.6
    assert 0.9 < max(delays) <= 1.0
