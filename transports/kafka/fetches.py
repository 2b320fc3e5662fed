"""How large fetches are, and what has become of them.

librdkafka unpacks all of a broker's answer before it looks how much it holds. An answer is as large as
`fetch.max.bytes`, or it is one batch of a producer that is larger. A zstd batch may become as large as
`receive.message.max.bytes`, 30,000 times what it was; batches of other codecs become a thousand times as large at most.
So a fetch may be large where no batch may become large, and has to be small where one may.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from transports.kafka.config import ClientOption

# One batch that becomes 100 MB, or some that become less together; a batch of any size can be read.
# `max.partition.fetch.bytes` is no bound: the client doubles it whenever an answer holds nothing but records of aborted
# transactions.
NARROW: Final[dict[str, ClientOption]] = {"fetch_max_bytes": 2_048, "message_max_bytes": 2_048}

# 64 KB become 110 MB at most, as a batch of less than 80 bytes becomes no more than 128 KiB. One that becomes more is
# reported as unreadable, and one that is larger as it is ends the connection.
WIDE: Final[dict[str, ClientOption]] = {
    "fetch_max_bytes": 65_536,
    "message_max_bytes": 65_536,
    "receive_message_max_bytes": 131_072,
}

# Of a command that reads a topic and does little else: 32 KB become 1 GB at most.
MODERATE: Final[dict[str, ClientOption]] = {"fetch_max_bytes": 32_768, "message_max_bytes": 32_768}

_MOST_BYTES: Final = 65_536  # of records in an answer: with more of them, answers are few
_LEAST_ANSWERS: Final = 20  # a second, of a partition that is behind: with fewer of them, they cost little
_LEAST_AT_END: Final = 1_000  # of one that is not, and gains nothing but that


class _Sizes(msgspec.Struct):
    """Of the answers since the report before, unpacked, in bytes."""

    max: int
    cnt: int


class _Topic(msgspec.Struct):
    batchsize: _Sizes


class _Statistics(msgspec.Struct):
    topics: dict[str, _Topic]


_decoder: Final = msgspec.json.Decoder(_Statistics)


class Answers:
    """What a consumer of one partition reports of the broker's answers, every second (STATISTICS.md of librdkafka)."""

    def __init__(self) -> None:
        self.are_many_and_small = False
        self._have_reached_the_end = False

    @property
    def callbacks(self) -> dict[str, Any]:
        """What a consumer is configured with so that it reports here."""
        return {"statistics.interval.ms": 1_000, "stats_cb": self.report}

    def reach_the_end(self) -> None:
        """There is no more to read for now."""
        self._have_reached_the_end = True

    def report(self, statistics: str) -> None:
        sizes = [topic.batchsize for topic in _decoder.decode(statistics).topics.values()]
        least = _LEAST_AT_END if self._have_reached_the_end else _LEAST_ANSWERS
        are_many = sum(one.cnt for one in sizes) >= least
        self.are_many_and_small = are_many and all(one.max <= _MOST_BYTES for one in sizes)
        self._have_reached_the_end = False
