"""The normalizing dataflow: raw messages of venues to canonical envelopes, on the topics of their types."""

from __future__ import annotations

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from contracts.batch import without_results
from flows import endpoints, steps
from flows.config_file import ConfigError, connected, load
from flows.raw_messages import envelope_topics, raw_decoder
from flows.settings import Settings
from flows.spec import NORMALIZE, FlowSpec
from transports.kafka.output_progress import InGroup


def flow(settings: Settings | None = None) -> Dataflow:
    """A branch for each raw topic: they share workers and saved state, and nothing else."""
    settings = settings or connected(load())
    if not settings.normalize.sources:
        raise ConfigError("normalize.sources is empty: name a raw topic, its mapping and its source_id there")
    dataflow = Dataflow(NORMALIZE.name)
    for branch in NORMALIZE.branches(settings):
        _read(dataflow, settings, branch)
    return dataflow


def _read(dataflow: Dataflow, settings: Settings, spec: FlowSpec) -> None:
    name = spec.step_suffix(settings)
    source = endpoints.source(settings, spec, raw_decoder(settings, spec.topic(settings)).decode_all)
    envelopes = op.input(f"raw-{name}", dataflow, source)
    totals = op.stateful_batch(f"steps-{name}", envelopes, steps.chained(settings, spec))
    topics = envelope_topics(settings, source.topic)
    op.output(f"kafka-{name}", totals, endpoints.kafka(settings, spec, source, topics, InGroup))
    # The database holds how far it is, and no messages: `persist` stores those.
    progress = op.map_value(f"progress-{name}", totals, without_results)
    op.output(f"timescale-{name}", progress, endpoints.timescale(settings, spec, source.identity.confirm))
