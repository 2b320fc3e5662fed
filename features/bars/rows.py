"""The events of a batch with their outcomes, and those of them that leave as they came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from codec.refused import Sources, refused_rows
from contracts.batch import MicroBatch, Outcomes
from features.bars.accumulators import BarIds
from features.bars.outcome import HEARTBEAT, LATE, OUTCOMES, REJECTED, Bools, OutcomeCodes, counted
from features.bars.seen_ids import Ids
from native.ordering import Ints

TOO_MANY_SYMBOLS: Final = "too_many_symbols"
TOO_MANY_PROVIDERS: Final = "too_many_providers"
FOR_ROOM: Final = (TOO_MANY_SYMBOLS, TOO_MANY_PROVIDERS)  # the reasons that depend on earlier events

_ERRORS: Final = {
    LATE: "its window can no longer change",
    TOO_MANY_SYMBOLS: "its partition holds as many symbols as micro_batch.max_symbols allows",
    TOO_MANY_PROVIDERS: "its partition has as many providers as micro_batch.max_providers allows",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Events, with the bar, watermark and outcome of each."""

    events: pl.DataFrame
    bar: BarIds
    ids: Ids
    newest: Ints  # of each provider after them, by its number
    watermark: Ints
    outcome: OutcomeCodes

    def with_outcome(self, outcome: str) -> Ints:
        return np.flatnonzero(self.outcome == OUTCOMES.index(outcome))

    @property
    def is_event(self) -> Bools:
        """Which of them are events that were not rejected."""
        is_event: Bools = self.outcome < OUTCOMES.index(HEARTBEAT)
        return is_event

    @property
    def outcomes(self) -> Outcomes:
        """Their number by outcome."""
        return Outcomes(**dict(zip(OUTCOMES, counted(self.outcome).tolist(), strict=True)))


def late(rows: Rows, batch: MicroBatch) -> pl.DataFrame:
    """The late rows of a batch, as REFUSED."""
    chosen = rows.with_outcome(LATE)
    return _refused(rows.events[chosen], batch, LATE) if len(chosen) else batch.late


def rejects(rows: Rows, strangers: pl.DataFrame, batch: MicroBatch) -> pl.DataFrame:
    """All rejects of a batch, as REFUSED: those that it has, those without room, and those of unknown providers."""
    parts, chosen = [batch.rejects], rows.with_outcome(REJECTED)
    if len(chosen):
        parts.append(_refused(rows.events[chosen], batch, TOO_MANY_SYMBOLS))
    if strangers.height:
        parts.append(_refused(strangers, batch, TOO_MANY_PROVIDERS))
    return pl.concat(parts).sort("offset", "row") if len(parts) > 1 else batch.rejects


def _refused(events: pl.DataFrame, batch: MicroBatch, reason: str) -> pl.DataFrame:
    why = events.with_columns(reason=pl.lit(reason), error=pl.lit(_ERRORS[reason]))
    return refused_rows(events, Sources(batch.payloads, batch.traces), why, events["src_ts"])
