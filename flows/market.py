"""The market dataflow: events to bars, features and signals."""

from __future__ import annotations

from typing import Final

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.chain import chain
from flows.config_file import connected, load
from flows.settings import Settings
from telemetry.observe import Observation

NAME: Final = "market"


def flow(settings: Settings | None = None) -> Dataflow:
    """Everything, from the events topic to the database and the signals topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(NAME)

    source = endpoints.source(settings, NAME, endpoints.events(settings))
    events = op.input("events", dataflow, source)
    # One operator, see flows.chain: events to bars, bars to features, features to signals.
    stateful = steps.windows, steps.rolling, steps.inference
    stateless = steps.within(settings), Observation(settings.telemetry, settings.micro_batch.window_ms)
    results = op.stateful_batch("steps", events, chain(settings, NAME, stateful, stateless))
    op.output("kafka", results, endpoints.kafka(settings, NAME, source, signals=True))
    op.output("timescale", results, endpoints.timescale(settings, NAME, source.identity.confirm))
    op.output("heartbeats", results, endpoints.heartbeats(settings, source.identity.confirm))
    return dataflow
