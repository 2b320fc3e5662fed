"""Checks that every event sent is accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.batch import Outcomes
from transports.outgoing import Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The results of a run in the database and in the output topics.

    Attributes:
        outcomes: the worker's counts, as stored with its progress.
        trades, revisions: sums over all bars: events in bars, and events that amended a bar after its close.
        bars, features, signals: row counts.
        signal_records, rejected_records, late_records: committed records in the topics of signals, of rejected and of
            late events.
        late_copies: late records that are the second copy of an event.
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    trades: int = 0
    revisions: int = 0
    bars: int = 0
    features: int = 0
    signals: int = 0
    signal_records: int = 0
    rejected_records: int = 0
    late_records: int = 0
    late_copies: int = 0

    @property
    def accounted(self) -> int:
        """Events in bars, rejected events, late events, and duplicates."""
        return self.trades + self.outcomes.duplicate + self.late_records + self.rejected_records


@dataclass(frozen=True, slots=True)
class Check:
    """Two numbers, computed in different ways, that must be equal."""

    expected_what: str
    expected: int
    found_what: str
    found: int

    @property
    def holds(self) -> bool:
        return self.expected == self.found


def checks(sent: Sent, found: Found) -> list[Check]:
    """Compares what was sent with the results, and the worker's counts with what is stored."""
    outcomes = found.outcomes
    return [
        Check("events sent", sent.total, "counted by the worker", outcomes.events),
        Check(
            "distinct events sent",
            sent.good,
            "in bars or late",
            found.trades + found.late_records - found.late_copies,
        ),
        Check("sent again", sent.duplicates, "dropped as duplicates or late", outcomes.duplicate + found.late_copies),
        Check("malformed sent", sent.malformed, "rejected", outcomes.rejected),
        Check("rejected", outcomes.rejected, "records in the dead letter topic", found.rejected_records),
        Check("late", outcomes.late, "records in the late topic", found.late_records),
        Check("accepted and amending", outcomes.accepted + outcomes.amending, "trades in the bars", found.trades),
        Check("amending", outcomes.amending, "revisions of the bars", found.revisions),
        Check("signals in the database", found.signals, "records in the signals topic", found.signal_records),
    ]


def verdict(sent: Sent, found: Found, results: Sequence[Check]) -> str:
    """The last line of a run's output."""
    failed = sum(not check.holds for check in results)
    line = f"{found.accounted} of {sent.total} events accounted for"
    return f"{line}, and {failed} of {len(results)} checks failed" if failed else line
