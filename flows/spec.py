"""What each dataflow is: one object says it, and all that has to know a flow asks that object.

A new dataflow is an object here, and a file of its name beside it that wires its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from contracts.schema_names import BAR, EVENT, SchemaName

if TYPE_CHECKING:  # commands know the flows without waiting for all that settings load
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A dataflow, which `flows.<name>` builds.

    Attributes:
        name: in commands, saved state, transactional ids and progress.
        reads: the key under `bus.kafka` that names its topic.
        steps: its stateful steps in order, by their names in `flows.steps`.
        writes: what goes to topics of its own, besides what is rejected or late.
    """

    name: str
    reads: Literal["topic", "bars_topic"]
    steps: tuple[str, ...]
    writes: frozenset[Literal["signals", "bars"]]

    @property
    def closes_windows(self) -> bool:
        """Whether bars are made here; heartbeats then let a quiet market's last windows close."""
        return "windows" in self.steps

    @property
    def schema(self) -> SchemaName:
        """What the records of its topic are."""
        return EVENT if self.reads == "topic" else BAR

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of results that it writes."""
        return tuple(table for table, step in _MADE_BY.items() if step in self.steps)

    def owner(self, settings: Settings) -> str:
        """Names the flow of a deployment in saved state and transactions; one worker or cluster at a time has it."""
        return f"{settings.name}-{self.name}"

    def id(self, settings: Settings) -> str:
        """Names the flow in its outputs and its progress; with another window it makes other bars and signals."""
        return f"{self.owner(settings)}-{settings.micro_batch.interval}"

    def progress_id(self, settings: Settings) -> str:
        """Names the progress of a run through the log; a part of the log has its own beside that of the live flow."""
        return self.id(settings) + (_SPAN if settings.run.is_span and settings.run.name is None else "")

    def progress_ids(self, settings: Settings) -> tuple[str, str]:
        """All names under which runs of the flow make progress."""
        return self.id(settings), self.id(settings) + _SPAN

    def topic(self, settings: Settings) -> str:
        """The topic that it reads."""
        name: str = getattr(settings.bus.kafka, self.reads)
        return name


_SPAN: Final = "-span"
_MADE_BY: Final[Mapping[str, str]] = {"bars_ohlcv": "windows", "features": "rolling", "signals": "inference"}

MARKET: Final = FlowSpec("market", "topic", ("windows", "rolling", "inference"), frozenset({"signals"}))
MICRO_BATCH: Final = FlowSpec("micro_batch", "topic", ("windows",), frozenset({"bars"}))
INFER: Final = FlowSpec("infer", "bars_topic", ("totals", "rolling", "inference"), frozenset({"signals"}))

FLOWS: Final[Mapping[str, FlowSpec]] = {spec.name: spec for spec in (MARKET, MICRO_BATCH, INFER)}
