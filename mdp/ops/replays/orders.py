"""Judges replay requests: which topic they are about, whether they may be served, and what there is to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.bar import BAR_V1
from contracts.duration import format_duration
from contracts.errors import MdpError
from contracts.payloads.replay_request import ReplayRequest
from contracts.payloads.replay_status import Left
from contracts.registry import stored_types
from contracts.signal import SIGNAL_V1
from contracts.suggestions import did_you_mean
from contracts.timestamps import format_timestamp
from contracts.values import MAX_ITEMS
from flows.market_input import market_decoder
from flows.settings import Settings
from mdp.ops.replays.readers import EventReader, Reader, envelopes, plain_messages
from mdp.ops.replays.selection import Selection
from transports.kafka.config import KafkaConfig
from transports.kafka.topic_reader import TopicReader
from transports.kafka.topics import first_time_ms, partitions_of

_BARS = "bars"


class Refused(MdpError):  # noqa: N818 - says what happened
    """The request cannot be served; one line says why."""


@dataclass(frozen=True, slots=True)
class Order:
    """A request that may be served.

    Attributes:
        earliest_ns: no record with an older timestamp can hold what is asked for; None: any can.
    """

    source: str
    target: str
    selection: Selection
    read: Reader
    earliest_ns: int | None


def order_of(settings: Settings, request: ReplayRequest) -> Order:
    """What a request asks for, by the config alone.

    Raises:
        Refused: the config does not allow it.
    """
    source, read = _source(settings, request)
    target = request.target or settings.bus.kafka.replay_topic
    _check_target(settings, source, target)
    selection = Selection.of(request)
    if selection.span is None:
        return Order(source, target, selection, read, None)
    span_ns, most_ns = selection.span.end - selection.span.start, settings.replay.max_span_ns
    if span_ns > most_ns:
        raise Refused(f"the window is longer than {format_duration(most_ns)}, the replay.max_span here")
    future_ns = settings.micro_batch.max_future_ms * 1_000_000
    return Order(source, target, selection, read, selection.span.start - future_ns)


def _source(settings: Settings, request: ReplayRequest) -> tuple[str, Reader]:
    """The topic of a domain, and how its records are read."""
    bus, envelope_topics = settings.bus.kafka, _envelope_topics(settings)
    if request.subtopic is not None and request.domain != _BARS:
        raise Refused(f"a subtopic is a part of {_BARS} only: name the symbols or the keys of {request.domain}")
    if request.domain in envelope_topics:
        return envelope_topics[request.domain], envelopes(request.version)
    known = _own_sources(settings, bus)
    if request.domain not in known:
        names = sorted({*known, *envelope_topics})
        hint = did_you_mean(request.domain, names) or f"; there are {', '.join(names)}"
        raise Refused(f"no topic here is one of {request.domain!r}{hint}: add it to replay.sources")
    topic, reader = known[request.domain]
    is_envelopes = topic == bus.topic and settings.market.input == "envelopes"
    version = "v2" if is_envelopes else "v1"
    if request.version not in (None, version):
        raise Refused(f"{request.domain} here are of version {version}, not {request.version}")
    return topic, reader


def _envelope_topics(settings: Settings) -> Mapping[str, str]:
    """The topics of envelopes by domain: those that the config names, and else where types of messages are at home."""
    at_home = {
        kind.name: kind.topic(settings.messages.env, settings.messages.realm) for kind in stored_types().values()
    }
    return {**{name: topic for name, topic in at_home.items() if topic is not None}, **settings.replay.sources}


def _own_sources(settings: Settings, bus: KafkaConfig) -> Mapping[str, tuple[str, Reader]]:
    events = bus.topic, EventReader(market_decoder(settings))
    return {
        "events": events,
        "ticks": events,
        _BARS: (bus.bars_topic, plain_messages(BAR_V1, "window_start")),
        "signals": (bus.signals_topic, plain_messages(SIGNAL_V1, "ts")),
    }


def _check_target(settings: Settings, source: str, target: str) -> None:
    bus, replay = settings.bus.kafka, settings.replay
    if target == source:
        raise Refused(f"{target} is the topic that is read: name another target")
    named = {getattr(bus, key) for key in type(bus).model_fields if key == "topic" or key.endswith("_topic")}
    if target in (named - {bus.replay_topic}) | set(replay.sources.values()):
        raise Refused(f"{target} is a topic that mdp itself reads or writes: name another target")
    if target not in (bus.replay_topic, *replay.targets):
        raise Refused(
            f"{target} is no target that is allowed here: name {bus.replay_topic}, or add it to replay.targets"
        )


def places_of(kafka: KafkaConfig, order: Order) -> list[Left]:
    """What there is to read now, for each partition of the source.

    Raises:
        Refused: the source no longer has all of it, or the target is no place for it.
        SourceError: a topic cannot be read.
    """
    check_partitions(kafka, order)
    with TopicReader(kafka, order.source) as reader:
        return [
            (partition, _first(kafka, reader, order, partition, low), end)
            for partition, (low, end) in reader.settled_bounds().items()
        ]


def check_partitions(kafka: KafkaConfig, order: Order) -> None:
    """Raises Refused unless each record can keep its partition; SourceError if a topic does not exist."""
    ours, theirs = (len(partitions_of(kafka, topic)) for topic in (order.source, order.target))
    if ours != theirs:
        raise Refused(
            f"{order.target} has {theirs} partitions and {order.source} has {ours}: records keep their partition, "
            f"so name a target with the same number"
        )
    if ours > MAX_ITEMS:
        raise Refused(f"{order.source} has {ours:,} partitions, and a status holds {MAX_ITEMS:,} at most")


def _first(kafka: KafkaConfig, reader: TopicReader, order: Order, partition: int, low: int) -> int:
    """The first offset that can hold what is asked for."""
    if order.earliest_ns is None:
        return low
    if low > 0:
        _check_reach(kafka, reader.topic, partition, order.earliest_ns)
    return max(low, reader.offset_at(partition, order.earliest_ns))


def _check_reach(kafka: KafkaConfig, topic: str, partition: int, earliest_ns: int) -> None:
    first_ms = first_time_ms(kafka, topic, partition)
    if first_ms is None or first_ms * 1_000_000 > earliest_ns:
        since = "nothing" if first_ms is None else f"records since {format_timestamp(first_ms * 1_000_000)}"
        raise Refused(
            f"{topic}[{partition}] no longer has all of the window: it holds {since}; ask for a later start, "
            f"or export the rows of the tables with `mdp store`"
        )
