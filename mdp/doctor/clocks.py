"""How far clocks are apart, out of what can be seen of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from mdp.doctor.findings import Finding, ok, wrong

TOLERANCE: Final = 1.0  # seconds
_REMEDY: Final = "keep the clocks of all machines together with NTP (chrony, systemd-timesyncd)"


def ahead(there: float, before: float, after: float) -> float:
    """By how many seconds another clock is ahead at least; negative: behind. 0 where it may be right.

    Args:
        there: what it showed, at some moment between
        before: and
        after: on the clock of this machine. All in seconds since the epoch.
    """
    if there > after:
        return there - after
    return min(there - before, 0.0)


def ahead_by_records(times: Iterable[tuple[float, float]]) -> float:
    """The same, of the clock that has stamped records as they came to a log.

    Args:
        times: when a record was stamped there, and received here. It may have been long on its way, so the one that was
            the shortest counts, and nothing tells a clock that is behind from records that have waited.
    """
    return -min((received - stamped for stamped, received in times), default=0.0)


def judged(whose: str, seconds: float) -> Iterator[Finding]:
    """What to say of a clock that is so far ahead."""
    if abs(seconds) <= TOLERANCE:
        yield ok(f"{whose} is within {TOLERANCE:.0f} s of this machine's")
    else:
        word = "ahead of" if seconds > 0 else "behind"
        yield wrong(f"{whose} is {abs(seconds):.1f} s {word} this machine's", _REMEDY)
