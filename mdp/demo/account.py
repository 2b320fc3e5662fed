"""Whether every event that was sent is where it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from contracts.batch import Outcomes
from transports.outgoing import Sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run has left in the database and in the output topics.

    Attributes:
        outcomes: what the worker has counted, as stored with its progress.
        trades, revisions: sums over all bars: events in bars, and those of them that came after a bar's close.
        bars, features, signals: rows.
        signal_records, rejected_records, late_records: committed records of the topics of signals, of what was
            rejected, and of late events.
        late_copies: those late records that were an event's second.
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
        """Events that are in a bar or in a topic for what did not get into one, and duplicates, which are in none."""
        return self.trades + self.outcomes.duplicate + self.late_records + self.rejected_records


@dataclass(frozen=True, slots=True)
class Check:
    """Two numbers that were arrived at in different ways and have to be equal."""

    expected_what: str
    expected: int
    found_what: str
    found: int

    @property
    def holds(self) -> bool:
        return self.expected == self.found


def checks(sent: Sent, found: Found) -> list[Check]:
    """What was sent against what was made of it, and what was counted against what is there."""
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
    """The last line of a run."""
    failed = sum(not check.holds for check in results)
    line = f"{found.accounted} of {sent.total} events accounted for"
    return f"{line}, and {failed} of {len(results)} checks failed" if failed else line
