"""The second half of the market dataflow: the bars topic to features and signals."""

from __future__ import annotations

from bytewax import operators as op
from bytewax.dataflow import Dataflow

from flows import endpoints, steps
from flows.config_file import connected, load
from flows.settings import Settings
from flows.spec import INFER


def flow(settings: Settings | None = None) -> Dataflow:
    """The flow from the bars topic to the database and the signals topic."""
    settings = settings or connected(load())
    dataflow = Dataflow(INFER.name)

    source = endpoints.source(settings, INFER, endpoints.bars(settings))
    bars = op.input("bars", dataflow, source)
    # One operator, see flows.chain: bars to features, features to signals.
    results = op.stateful_batch("steps", bars, steps.chained(settings, INFER))
    op.output("kafka", results, endpoints.kafka(settings, INFER, source))
    op.output("timescale", results, endpoints.timescale(settings, INFER, source.identity.confirm))
    return dataflow
