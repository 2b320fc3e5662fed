"""Limits on the size of fetches, and statistics of their answers.

librdkafka decompresses all of a broker's answer before it checks the size. An answer holds up to `fetch.max.bytes`, or
one producer batch that is larger. A zstd batch may decompress to `receive.message.max.bytes`, 30,000 times its size;
batches of other codecs to a thousand times theirs at most. So a fetch may be large where no batch can grow large, and
must be small where one can.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from transports.kafka.config import ClientOption

# One batch that decompresses to 100 MB, or several to less together; a batch of any size can be read.
# `max.partition.fetch.bytes` is not a bound: the client doubles it whenever an answer holds only records of aborted
# transactions.
NARROW: Final[dict[str, ClientOption]] = {"fetch_max_bytes": 2_048, "message_max_bytes": 2_048}

# 64 KB decompress to 110 MB at most, as a batch of less than 80 bytes yields no more than 128 KiB. A batch that would
# exceed that is reported as unreadable, and one that exceeds it compressed closes the connection.
WIDE: Final[dict[str, ClientOption]] = {
    "fetch_max_bytes": 65_536,
    "message_max_bytes": 65_536,
    "receive_message_max_bytes": 131_072,
}

# For a command that reads a topic and does little else: 32 KB decompress to 1 GB at most.
MODERATE: Final[dict[str, ClientOption]] = {"fetch_max_bytes": 32_768, "message_max_bytes": 32_768}

_MOST_BYTES: Final = 65_536  # of records in an answer: with larger ones, answers are few
_LEAST_ANSWERS: Final = 20  # per second, from a lagging partition: fewer of them cost little
_LEAST_AT_END: Final = 1_000  # per second, from a partition at its end, where only their number matters


class _Sizes(msgspec.Struct):
    """Decompressed sizes of the answers since the last report, in bytes."""

    max: int
    cnt: int


class _Topic(msgspec.Struct):
    batchsize: _Sizes


class _Statistics(msgspec.Struct):
    topics: dict[str, _Topic]


_decoder: Final = msgspec.json.Decoder(_Statistics)


class Answers:
    """Statistics of the broker's answers to the consumer of one partition, each second (librdkafka's STATISTICS.md)."""

    def __init__(self) -> None:
        self.are_many_and_small = False
        self._have_reached_the_end = False

    @property
    def callbacks(self) -> dict[str, Any]:
        """Options of a consumer that reports here."""
        return {"statistics.interval.ms": 1_000, "stats_cb": self.report}

    def reach_the_end(self) -> None:
        """Notes that the reader has reached the end of the partition."""
        self._have_reached_the_end = True

    def report(self, statistics: str) -> None:
        sizes = [topic.batchsize for topic in _decoder.decode(statistics).topics.values()]
        least = _LEAST_AT_END if self._have_reached_the_end else _LEAST_ANSWERS
        are_many = sum(one.cnt for one in sizes) >= least
        self.are_many_and_small = are_many and all(one.max <= _MOST_BYTES for one in sizes)
        self._have_reached_the_end = False
