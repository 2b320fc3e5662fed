"""Lines of files as records, so that the pipeline's own decoder judges them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.record import Fetch, Headers

WITHOUT_TIMESTAMP = -1


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A JSON text at a place in a file; its number takes the place of an offset."""

    number: int
    text: bytes
    timestamp_ms: int = WITHOUT_TIMESTAMP

    def value(self) -> bytes:
        return self.text

    def key(self) -> None:
        return None

    def offset(self) -> int:
        return self.number

    def timestamp(self) -> tuple[int, int]:
        return 0, self.timestamp_ms

    def headers(self) -> Headers | None:
        return None


def as_fetch(name: str, texts: Iterable[tuple[int, bytes]], timestamp_ms: int = WITHOUT_TIMESTAMP) -> Fetch:
    """Numbered JSON texts as if fetched from a partition, to which they were written at `timestamp_ms`."""
    records = [FileRecord(number, text, timestamp_ms) for number, text in texts]
    return Fetch(topic=name, partition=0, next_offset=records[-1].number + 1 if records else 0, records=records)
