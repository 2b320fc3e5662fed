"""What the normalizing dataflow makes of a raw topic: how its records are decoded, and which topics they go to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from heapq import merge
from operator import attrgetter

from codec.output_records import OutRecord, envelope_records
from contracts.batch import MicroBatch
from contracts.message import MessageType
from contracts.schema_names import name_of
from flows.message_input import payload_codec
from flows.settings import Settings
from normalize.batches import RawDecoder
from normalize.feed import Feed
from normalize.normalizer import Normalizer
from telemetry.metrics import SKIPPED_MESSAGES
from transports.kafka.transactional_writer import Records


def raw_decoder(settings: Settings, topic: str) -> RawDecoder:
    """Decodes records of a raw topic to envelopes.

    Raises:
        MdpError: a mapping is invalid.
    """
    return RawDecoder(_normalizer(settings, topic), payload_codec(settings), SKIPPED_MESSAGES.labels(topic).inc)


def envelope_topics(settings: Settings, topic: str) -> dict[str, Records]:
    """The topics of the types that a raw topic's mappings lead to, and what of a batch goes to each.

    Raises:
        MdpError: a mapping is invalid.
    """
    normalizer, kinds = _normalizer(settings, topic), dict[str, list[MessageType]]()
    for kind in normalizer.kinds:
        kinds.setdefault(settings.messages.topic_of(kind, normalizer.feed.realm), []).append(kind)
    return {name: partial(_records, its_kinds, normalizer.feed.source_id) for name, its_kinds in kinds.items()}


def all_envelope_topics(settings: Settings) -> list[str]:
    """Those of all raw topics.

    Raises:
        MdpError: a mapping is invalid.
    """
    return list(dict.fromkeys(name for topic in settings.normalize.topics for name in envelope_topics(settings, topic)))


def _normalizer(settings: Settings, topic: str) -> Normalizer:
    source = settings.normalize.source(topic)
    feed = Feed(source.source_id, source.realm or settings.messages.realm, source.region)
    return Normalizer.of_file(source.mapping, feed, skip_unmapped=source.unmapped == "skip")


def _records(kinds: Sequence[MessageType], source: str, batch: MicroBatch) -> Iterator[OutRecord]:
    """Of several types, which may share a topic, in the order of the log."""
    found = [kind for kind in kinds if kind.id in batch.results]
    every = [envelope_records(batch.results[kind.id], name_of(kind), source) for kind in found]
    return merge(*every, key=attrgetter("cause"))
