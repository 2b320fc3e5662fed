"""The sources and sinks of the dataflows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from codec.bars import BarDecoder
from codec.output_records import Identity
from contracts.batch import Confirm, taken_as_read
from contracts.partition_keys import part_name
from contracts.progress import Loss, Source
from contracts.registry import stored_types
from flows.market_input import heartbeat_encoder, market_decoder, tick_format
from flows.sender import sender
from flows.settings import Settings
from flows.spec import FlowSpec
from flows.state_shape import FORMAT
from flows.stop import STOP
from native.closing_times import ClosingTimes
from sinks import set_back
from sinks.beginnings import Beginnings
from sinks.connection import StoreUnavailable
from sinks.merge import Target, message_target, targets
from sinks.partitioned import HeartbeatSink, KafkaSink, TimescaleSink
from sinks.queries.flow_topics import known_id
from sinks.schema.migrate import migrate
from sinks.store import StoreWriter
from sinks.timescale import TimescaleWriter
from telemetry.outage import Outage, wait_out
from telemetry.whereabouts import first_row
from transports.kafka.config import KafkaConfig
from transports.kafka.end_offsets import EndOffsets
from transports.kafka.output_progress import InOutputs, OutputProgress
from transports.kafka.source import Bounds, Decode, KafkaSource
from transports.kafka.topic_identity import TopicIdentity
from transports.kafka.topics import partitions_of
from transports.kafka.transactional_writer import Records, outputs

_NO_TOPICS: Final[Mapping[str, Records]] = MappingProxyType({})


def source(settings: Settings, spec: FlowSpec, decode: Decode) -> KafkaSource:
    """The source: the partitions of the flow's topic, from the begin of the run, decoded."""
    kafka, run, window, topic = settings.bus.kafka, settings.run, settings.micro_batch, spec.topic(settings)
    outage, url, reach_ns = Outage("Kafka"), settings.results_url, spec.warm_up_ns(settings)
    from_ns = None if run.from_ns is None else run.from_ns - reach_ns
    ends = EndOffsets(kafka, topic, window.flush_timeout_ms * 1_000_000, outage)
    bounds = Bounds(from_ns, until_end=run.bounded, is_span=run.is_span)
    beginnings = Beginnings(url, spec.progress_id(settings), topic, lambda: create_tables(settings, spec))
    waits = window.window_ns, window.allow_late_ns, window.max_future_ms * 1_000_000
    closing = partial(ClosingTimes, tick_format(settings).scanner, *waits)
    closing_times = closing if spec.closes_windows and not run.bounded else None

    identity = TopicIdentity(kafka, topic, lambda: known_id(url, spec.id(settings), topic))
    return KafkaSource(
        config=kafka,
        topic=topic,
        decode=decode,
        max_batch_size=window.max_batch_size,
        identity=identity,
        stop=STOP,
        beginnings=beginnings,
        reach_ns=reach_ns,
        outage=outage,
        ends=ends,
        bounds=bounds,
        closing_times=closing_times,
        state_format=FORMAT,
        first_row=_first_row(spec),
    )


def events(settings: Settings) -> Decode:
    """Decodes records to events."""
    return market_decoder(settings).decode_all


def bars(settings: Settings) -> Decode:
    """Decodes records to bars."""
    return BarDecoder(settings.micro_batch.window_ns).decode_all


def heartbeats(settings: Settings, spec: FlowSpec, confirm: Confirm) -> HeartbeatSink:
    """Writes heartbeats to the source topic."""
    return HeartbeatSink(settings.bus.kafka, confirm, heartbeat_encoder(settings, spec.id(settings)))


def create_tables(settings: Settings, *specs: FlowSpec) -> list[str]:
    """Migrates the schema for these flows, with a column for each feature; returns what was done, one line each."""
    store, has_messages = settings.store, any(spec.stores_messages for spec in specs)
    if settings.run.name is not None:
        return migrate(settings.results_url, settings.features.names, plain=True)
    return migrate(
        store.url.get_secret_value(),
        settings.features.names,
        retention=store.retention,
        compress_after=store.compress_after,
        chunk=store.chunk_length(settings.micro_batch.window_ns),
        kinds=tuple(stored_types().values()) if has_messages else (),
    )


def timescale(settings: Settings, spec: FlowSpec, confirm: Confirm = taken_as_read) -> TimescaleSink:
    """Writes the results to the tables of the flow."""
    overwrite = settings.run.overwrite and settings.run.name is None
    others = [one for one in spec.branches(settings) if one != spec]

    def open_writer(partitions: int) -> StoreWriter:
        create_tables(settings, spec)
        writer = TimescaleWriter(
            settings.results_url,
            flow=spec.progress_id(settings),
            targets=_targets(settings, spec, overwrite=overwrite),
            partitions=partitions + sum(len(_parts(settings, one)) for one in others),
            overwrite=overwrite,
        )
        own = sender(spec.progress_id(settings))
        return StoreWriter(writer, settings.bus.kafka, own, confirm, lambda: create_tables(settings, spec))

    return TimescaleSink(open_writer, lambda: _parts(settings, spec), _first_row(spec))


def _targets(settings: Settings, spec: FlowSpec, *, overwrite: bool) -> list[Target]:
    if spec.stores_messages:
        return [message_target(kind) for kind in stored_types().values()]
    known = targets(settings.features.names, overwrite=overwrite)
    return [target for target in known if target.table in spec.tables]


def kafka(
    settings: Settings,
    spec: FlowSpec,
    source: KafkaSource,
    others: Mapping[str, Records] = _NO_TOPICS,
    progress: Callable[[KafkaConfig, Identity], OutputProgress] = InOutputs,
) -> KafkaSink:
    """Writes signals or bars, and always rejected and late rows, to their topics; nothing in a backtest.

    Args:
        settings: the config.
        spec: the flow, or the branch of it.
        source: what it reads.
        others: further topics, and what of a batch goes to each.
        progress: how the outputs say how far the source has been turned into them.
    """
    config, run = settings.bus.kafka, settings.run

    def identity() -> Identity:
        return Identity(
            owner=spec.owner(settings),
            flow_id=spec.id(settings),
            progress_id=spec.progress_id(settings),
            topic=source.topic,
            topic_id=source.identity.id,
            sender=sender(spec.progress_id(settings)),
        )

    topics = {} if run.is_backtest else {**outputs(config, spec.writes, spec.schema(settings)), **others}

    def mark(lost: Mapping[Source, Loss]) -> None:
        progress_id = spec.progress_id(settings)
        wait_out(lambda: set_back.mark(settings.results_url, progress_id, lost), StoreUnavailable, "the database")

    parts, first_row = partial(_parts, settings, spec), _first_row(spec)
    return KafkaSink(config, identity, topics, source.identity.confirm, mark, parts, first_row, progress)


def _first_row(spec: FlowSpec) -> int:
    """Where the partitions of the flow's topic begin among those of all its topics."""
    return first_row(spec.branch.number, spec.branch.count) if spec.branch else 0


def _parts(settings: Settings, spec: FlowSpec) -> list[str]:
    return [part_name(partition) for partition in partitions_of(settings.bus.kafka, spec.topic(settings))]
