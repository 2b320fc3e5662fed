"""Differences between clocks, estimated from observations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mdp.doctor.findings import Finding, ok, wrong

TOLERANCE: Final = 1.0  # seconds
_REMEDY: Final = "keep the clocks of all machines together with NTP (chrony, systemd-timesyncd)"


def ahead(there: float, before: float, after: float) -> float:
    """Returns how many seconds another clock is at least ahead; negative: behind; 0 if it may be right.

    Args:
        there: its time, read between `before` and `after`.
        before: this machine's time before the reading.
        after: this machine's time after the reading. All in seconds since the epoch.
    """
    if there > after:
        return there - after
    return min(there - before, 0.0)


def ahead_by_records(times: Iterable[tuple[float, float]]) -> float:
    """Returns the same for the clock that has timestamped records when they were appended to a log.

    Args:
        times: when a record was timestamped there, and received here. Delivery may be delayed, so the fastest record
            counts, and a clock that is behind cannot be distinguished from records that have waited.
    """
    return -min((received - stamped for stamped, received in times), default=0.0)


def verdict(whose: str, seconds: float) -> Iterator[Finding]:
    """Yields the finding on a clock that is `seconds` ahead."""
    if abs(seconds) <= TOLERANCE:
        yield ok(f"{whose} is within {TOLERANCE:.0f} s of this machine's")
    else:
        word = "ahead of" if seconds > 0 else "behind"
        yield wrong(f"{whose} is {abs(seconds):.1f} s {word} this machine's", _REMEDY)
