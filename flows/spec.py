"""The specification of each dataflow: a single object, used wherever flows are distinguished.

A new dataflow is an object here, and a module of its name in this package that wires its steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:  # commands know the flows without the slow imports of the settings and of Polars
    from contracts.schema_names import SchemaName
    from flows.settings import Settings


@dataclass(frozen=True, slots=True)
class Branch:
    """A part of a flow that reads a topic of its own.

    Attributes:
        number: among the branches, which are `count`.
    """

    topic: str
    number: int
    count: int


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A dataflow, built by `flows.<name>`.

    Attributes:
        name: used in commands, saved state, transactional ids and progress.
        reads: the key under `bus.kafka` of its topic; `messages` and `raw`: several topics, of envelopes and of venues,
            each in a branch of the flow.
        steps: its stateful steps in order, by their names in `flows.steps`.
        writes: its outputs to topics, besides rejected and late rows.
        branch: which of its topics this is about.
    """

    name: str
    reads: Literal["topic", "bars_topic", "messages", "raw"]
    steps: tuple[str, ...]
    writes: frozenset[Literal["signals", "bars"]]
    branch: Branch | None = None

    @property
    def closes_windows(self) -> bool:
        """Whether it makes bars; heartbeats then close the last windows of an idle market."""
        return "windows" in self.steps

    @property
    def has_windows(self) -> bool:
        """Whether its results are of windows."""
        return self.reads in ("topic", "bars_topic")

    @property
    def stores_messages(self) -> bool:
        """Whether its results are rows of the tables of message types."""
        return self.reads == "messages"

    def schema(self, settings: Settings) -> SchemaName:
        """What the records of its topic are."""
        from contracts.market_prices import read_type  # noqa: PLC0415 - as above
        from contracts.schema_names import BAR, ENVELOPE, EVENT, RAW, name_of  # noqa: PLC0415

        if self.reads != "topic":
            return {"bars_topic": BAR, "messages": ENVELOPE, "raw": RAW}[self.reads]
        return EVENT if settings.market.input == "events" else name_of(read_type(settings.market.price))

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of results of windows that it writes."""
        return tuple(table for table, step in _MADE_BY.items() if step in self.steps)

    def owner(self, settings: Settings) -> str:
        """The flow's name in saved state and transactions; one worker or cluster at a time holds it."""
        return f"{settings.name}-{self.name}"

    def id(self, settings: Settings) -> str:
        """The flow's name in outputs and progress; it depends on the window, where results do, as bars and signals."""
        owner = self.owner(settings)
        return f"{owner}-{settings.micro_batch.interval}" if self.has_windows else owner

    def progress_id(self, settings: Settings) -> str:
        """Names the progress of a run through the log; a part of the log has its own beside that of the live flow."""
        return self.id(settings) + (_SPAN if settings.run.is_span and settings.run.name is None else "")

    def progress_ids(self, settings: Settings) -> tuple[str, str]:
        """All names of the progress of the flow's runs."""
        return self.id(settings), self.id(settings) + _SPAN

    def branches(self, settings: Settings) -> tuple[FlowSpec, ...]:
        """The flow once for each of its topics."""
        if self.has_windows:
            return (self,)
        topics = settings.messages.persisted if self.stores_messages else settings.normalize.topics
        return tuple(replace(self, branch=Branch(topic, n, len(topics))) for n, topic in enumerate(topics))

    def topic(self, settings: Settings) -> str:
        """Its source topic; that of the branch, if it reads several."""
        name: str = self.branch.topic if self.branch else getattr(settings.bus.kafka, self.reads)
        return name

    def step_suffix(self, settings: Settings) -> str:
        """Distinguishes the steps of branches: without periods, as Bytewax asks; Kafka lets no two topics differ so."""
        return self.topic(settings).replace(".", "_")

    def warm_up_ns(self, settings: Settings) -> int:
        """How far back in time its state reaches."""
        return settings.warm_up_ns if self.has_windows else 0


_SPAN: Final = "-span"
_MADE_BY: Final[Mapping[str, str]] = {"bars_ohlcv": "windows", "features": "rolling", "signals": "inference"}

MARKET: Final = FlowSpec("market", "topic", ("windows", "rolling", "inference"), frozenset({"signals"}))
MICRO_BATCH: Final = FlowSpec("micro_batch", "topic", ("windows",), frozenset({"bars"}))
INFER: Final = FlowSpec("infer", "bars_topic", ("totals", "rolling", "inference"), frozenset({"signals"}))
NORMALIZE: Final = FlowSpec("normalize", "raw", ("totals",), frozenset())
PERSIST: Final = FlowSpec("persist", "messages", ("totals",), frozenset())

FLOWS: Final[Mapping[str, FlowSpec]] = {spec.name: spec for spec in (MARKET, MICRO_BATCH, INFER, NORMALIZE, PERSIST)}
