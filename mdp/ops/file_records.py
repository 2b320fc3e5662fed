"""Lines of files as records, to validate them by the pipeline's own decoder."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.record import Fetch, Records

WITHOUT_TIMESTAMP = -1


def as_fetch(name: str, texts: Iterable[tuple[int, bytes]], timestamp_ms: int = WITHOUT_TIMESTAMP) -> Fetch:
    """Numbered JSON texts as if fetched from a partition, with record timestamp `timestamp_ms`.

    Their numbers serve as offsets.
    """
    numbered = dict(texts)
    records = Records.of_values(list(numbered.values()), list(numbered), [timestamp_ms] * len(numbered))
    return Fetch(topic=name, partition=0, next_offset=max(numbered, default=-1) + 1, records=records)
