"""The first half of the market dataflow: events to bars, in the database and on the bars topic."""

from __future__ import annotations

from typing import Final

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.chain import chain
from flows.config_file import connected, load
from flows.settings import Settings
from telemetry.observe import Observation

NAME: Final = "micro_batch"


def flow(settings: Settings | None = None) -> Dataflow:
    """From the events topic to the bars topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(NAME)

    source = endpoints.source(settings, NAME, endpoints.events(settings))
    events = op.input("events", dataflow, source)
    stateless = steps.within(settings), Observation(settings.telemetry, settings.micro_batch.window_ms)
    bars = op.stateful_batch("steps", events, chain(settings, NAME, [steps.windows], stateless))
    op.output("kafka", bars, endpoints.kafka(settings, NAME, source, bars=True))
    op.output("timescale", bars, endpoints.timescale(settings, NAME, source.identity.confirm))
    op.output("heartbeats", bars, endpoints.heartbeats(settings, source.identity.confirm))
    return dataflow
