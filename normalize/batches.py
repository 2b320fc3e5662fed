"""Fetches of raw messages to micro-batches of envelopes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Final

import msgspec
import numpy as np
import polars as pl

from codec.encoding import EncodingError, PayloadCodec
from codec.refused import one_line, refused_record, row_set
from contracts.batch import NO_REFUSED, MicroBatch, Outcomes
from contracts.binary import NONE
from contracts.budgets import GZIP_ABOVE_BYTES
from contracts.frames import ENVELOPES, REFUSED
from contracts.record import Fetch, Records
from normalize.envelopes import Accepted
from normalize.feed import Arrivals
from normalize.normalizer import Normalizer, Rejected
from normalize.rows import CONTRACT

_TEXTS: Final = {
    "key": "keys",
    "message_id": "message_ids",
    "partition_key": "partition_keys",
    "dedupe_key": "dedupe_keys",
}


@dataclass(frozen=True, slots=True)
class RawDecoder:
    """Turns fetches of raw messages into micro-batches, whose results are ENVELOPES frames by the ids of their types.

    Attributes:
        normalizer: maps and validates.
        payloads: packs large envelopes, and has very large ones put elsewhere.
        note_skipped: takes how many raw messages of a fetch were left out, as no mapping is for them.
    """

    normalizer: Normalizer
    payloads: PayloadCodec
    note_skipped: Callable[[int], None]

    def decode_all(self, fetches: Iterable[Fetch]) -> MicroBatch:
        """One micro-batch from at least one fetch; each is normalized before the next is requested.

        Raises:
            MdpError: the blob store does not answer.
        """
        found = _Found(self.normalizer, self.payloads)
        for fetch in fetches:
            self.note_skipped(found.add(fetch))
        results = found.results()
        accepted = sum(frame.height for frame in results.values())
        return MicroBatch(
            topic=fetch.topic,
            partition=fetch.partition,
            next_offset=fetch.next_offset,
            read_at=fetch.read_at,
            results=results,
            rejects=found.rejects(),
            outcomes=Outcomes(accepted=accepted, rejected=found.rejected),
            ingested={self.normalizer.feed.source_id: accepted} if accepted else {},
        )


@dataclass(slots=True)
class _Found:
    """What the fetches of a batch have become so far."""

    normalizer: Normalizer
    payloads: PayloadCodec
    rejected: int = 0
    _frames: dict[str, list[pl.DataFrame]] = field(default_factory=dict)
    _refused: list[tuple[object, ...]] = field(default_factory=list)

    def add(self, fetch: Fetch) -> int:
        """Takes a fetch, and returns how many of its raw messages are left out."""
        records = fetch.records
        place = f"{fetch.topic}[{fetch.partition}]"
        traces = records.traces.to_list() if (records.traces.lengths != NONE).any() else ()
        arrivals = Arrivals(records.times().tolist(), traces, place, records.offsets.tolist())
        result = self.normalizer.normalize(records.values.to_list(), arrivals)
        rejected = result.rejected
        for group in result.accepted:
            frame, too_large = self._packed(group, _frame(group, arrivals))
            self._frames.setdefault(group.kind.id, []).append(frame)
            rejected = rejected + too_large
        self.rejected += len(rejected)
        self._refused += _refused(records, sorted(rejected))
        return result.skipped

    def _packed(self, group: Accepted, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Rejected]]:
        """The frame with large values packed, and what is too large for any record, which is not in the frame."""
        large = [at for at, value in enumerate(group.values) if len(value) > GZIP_ABOVE_BYTES]
        if not large:
            return frame, []
        values: list[bytes] = list(group.values)
        packing: list[bytes | None] = [None] * len(values)
        too_large: dict[int, Rejected] = {}
        for at in large:
            try:
                values[at], headers = self.payloads.pack(values[at])
                packing[at] = msgspec.json.encode(headers)
            except EncodingError as error:
                too_large[at] = Rejected(group.records[at], group.numbers[at], CONTRACT, one_line(error))
        packed = frame.with_columns(pl.Series("value", values, pl.Binary), pl.Series("packing", packing, pl.Binary))
        fits = pl.Series([at not in too_large for at in range(len(values))])
        return packed.filter(fits), list(too_large.values())

    def results(self) -> dict[str, pl.DataFrame]:
        """A frame for each type, in log order."""
        return {name: pl.concat(frames).sort("offset", "row") for name, frames in self._frames.items()}

    def rejects(self) -> pl.DataFrame:
        """A REFUSED frame, in log order."""
        return pl.DataFrame(self._refused, schema=REFUSED, orient="row") if self._refused else NO_REFUSED


def _frame(group: Accepted, arrivals: Arrivals) -> pl.DataFrame:
    nothing, traces = pl.Series([None] * len(group), dtype=pl.Binary), arrivals.traces
    columns = {
        "offset": [arrivals.offsets[at] for at in group.records],
        "row": group.numbers,
        "value": group.values,
        "trace": [traces[at] for at in group.records] if traces else nothing,
        "packing": nothing,
        **{name: pl.Series(getattr(group, texts), dtype=pl.String).cast(pl.Binary) for name, texts in _TEXTS.items()},
    }
    return pl.DataFrame({name: columns[name] for name in ENVELOPES}, schema=ENVELOPES)


def _refused(records: Records, rejected: Sequence[Rejected]) -> Iterator[tuple[object, ...]]:
    """A row of a REFUSED frame for each record; one that holds several messages leaves once, and says which of them."""
    for record, group in groupby(rejected, attrgetter("record")):
        first, *others = group
        error = f"{first.error} (the first of {len(others) + 1} rows)" if others else first.error
        row = list(refused_record(records, record, first.reason, error))
        if others or first.number:
            row[_ROW] = first.number
            row[_ROWS] = row_set(np.array([first.number, *(one.number for one in others)]))
        yield tuple(row)


_ROW: Final = REFUSED.names().index("row")
_ROWS: Final = REFUSED.names().index("rows")
