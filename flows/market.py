"""The market dataflow: events to bars, features and signals."""

from __future__ import annotations

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.config_file import connected, load
from flows.settings import Settings
from flows.spec import MARKET


def flow(settings: Settings | None = None) -> Dataflow:
    """The whole flow, from the events topic to the database and the signals topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(MARKET.name)

    source = endpoints.source(settings, MARKET, endpoints.events(settings))
    events = op.input("events", dataflow, source)
    # One operator, see flows.chain: events to bars, bars to features, features to signals.
    results = op.stateful_batch("steps", events, steps.chained(settings, MARKET))
    op.output("kafka", results, endpoints.kafka(settings, MARKET, source))
    op.output("timescale", results, endpoints.timescale(settings, MARKET, source.identity.confirm))
    op.output("heartbeats", results, endpoints.heartbeats(settings, MARKET, source.identity.confirm))
    return dataflow
