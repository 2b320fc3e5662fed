"""The first half of the market dataflow: events to bars, in the database and on the bars topic."""

from __future__ import annotations

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.config_file import connected, load
from flows.settings import Settings
from flows.spec import MICRO_BATCH


def flow(settings: Settings | None = None) -> Dataflow:
    """The flow from the events topic to the database and the bars topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(MICRO_BATCH.name)

    source = endpoints.source(settings, MICRO_BATCH, endpoints.events(settings))
    events = op.input("events", dataflow, source)
    bars = op.stateful_batch("steps", events, steps.chained(settings, MICRO_BATCH))
    op.output("kafka", bars, endpoints.kafka(settings, MICRO_BATCH, source))
    op.output("timescale", bars, endpoints.timescale(settings, MICRO_BATCH, source.identity.confirm))
    op.output("heartbeats", bars, endpoints.heartbeats(settings, MICRO_BATCH, source.identity.confirm))
    return dataflow
